"""Entailment: does the hypothesis follow from the premise, before and after compression; for a pair and for labelled sets."""

from subemb.ui.pages.entailment.page import draw

draw()

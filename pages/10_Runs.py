"""Runs: everything the visitor has run here, to filter, tag, compare and open again."""

from subemb.ui.pages.runs.page import draw

draw()

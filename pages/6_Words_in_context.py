"""Masked words: what a language model puts in the place of a mask, with the original and with the compressed table."""

from subemb.ui.pages.context.page import draw

draw()

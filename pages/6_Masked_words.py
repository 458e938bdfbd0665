"""Masked words: what a language model puts in the place of a mask, with the original and with the compressed table."""

from subemb.ui.pages.masked.page import draw

draw()

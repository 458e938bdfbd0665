"""Reconstruction error: which tokens and subspaces lost how much, and how other methods do at the same size."""

from subemb.ui.pages.error.page import draw

draw()

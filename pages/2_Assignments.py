"""Assignments: which codes each token got, and which tokens share them."""

from subemb.ui.pages.assignments.page import draw

draw()

"""Similarity: what compression does to the similarity of sentences and words."""

from subemb.ui.pages.similarity.page import draw

draw()

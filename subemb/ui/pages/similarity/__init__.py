"""Similarity: how alike sentences and words are."""

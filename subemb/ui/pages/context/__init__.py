"""Masked words: what a language model puts in the place of a mask."""

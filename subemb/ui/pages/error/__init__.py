"""Reconstruction error: what was lost, where."""

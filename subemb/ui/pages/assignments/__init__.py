"""Assignments: which codes each token got."""

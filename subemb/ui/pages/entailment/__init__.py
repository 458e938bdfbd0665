"""Entailment: does the hypothesis follow."""

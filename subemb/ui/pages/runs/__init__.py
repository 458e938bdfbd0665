"""Runs: what a visitor has run here."""

"""Adapt: train the compact table."""

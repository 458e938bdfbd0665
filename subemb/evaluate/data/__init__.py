"""Labelled pairs and word lists: reading them from files and from Hugging Face data sets."""

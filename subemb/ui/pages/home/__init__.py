"""Home: sizes and quality of a run."""

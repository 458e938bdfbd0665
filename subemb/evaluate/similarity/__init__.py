"""How alike sentences and words are, on every side of a model."""

"""What a masked language model puts in the place of a word."""

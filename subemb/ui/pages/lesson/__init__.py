"""The page How it works: the method in ten steps, by numbers that can be checked by hand."""

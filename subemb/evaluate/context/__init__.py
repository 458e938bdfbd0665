"""What a language model puts into a gap of a sentence, from the words around it or from those before it, and how well it guesses a text."""

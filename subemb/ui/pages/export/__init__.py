"""Export: take the result away."""

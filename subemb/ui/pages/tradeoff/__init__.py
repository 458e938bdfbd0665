"""Trade-off: bytes against quality, over many settings."""

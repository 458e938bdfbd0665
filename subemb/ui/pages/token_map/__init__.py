"""Token map: tokens as points."""

"""Cost of changes, swaps and openings of the index."""

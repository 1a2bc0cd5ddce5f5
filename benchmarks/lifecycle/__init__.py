"""What changes, swaps and openings of the index cost."""

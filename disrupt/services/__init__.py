"""Use cases: matching and registration."""

"""Load by open and closed loops, and a soak."""

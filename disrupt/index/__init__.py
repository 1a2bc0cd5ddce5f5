"""Exact Hamming search, snapshots and the live index."""

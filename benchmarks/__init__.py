"""Benchmarks of search, hashing and serving."""

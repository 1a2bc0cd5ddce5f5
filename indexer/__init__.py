"""Offline tool for operators: build the index from the registry, check it, count it."""

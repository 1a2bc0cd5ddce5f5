"""Offline tool for operators: builds the index from the registry, checks it, counts it."""

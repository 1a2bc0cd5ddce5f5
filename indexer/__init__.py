"""Offline tool for operators: rebuild, verify, compact and roll back the index."""

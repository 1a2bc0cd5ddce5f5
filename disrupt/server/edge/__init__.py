"""Receive, authenticate and admit every call, in each process that answers calls."""

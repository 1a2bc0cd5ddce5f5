"""Hostile callers beside ordinary ones."""

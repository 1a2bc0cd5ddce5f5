"""Recall of edited videos, and its cost."""

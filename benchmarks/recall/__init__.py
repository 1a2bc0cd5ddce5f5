"""Recall of edited pictures, and false matches."""

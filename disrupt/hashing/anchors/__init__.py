"""Anchored regions: squares that a picture's content marks, wherever its frame was cut.

docs/anchors.md specifies them: scale-space extrema, turned and scaled to a square, hashed by PDQ.
"""

"""Regions of a picture that may be another picture, and the crops and turns that are hashed."""

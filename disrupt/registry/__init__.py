"""Durable store and change feed."""

"""Proofs that what must never happen does not; each has a ``--sabotage`` that makes it fail."""

"""Proofs of what is promised never to happen: each has a ``--sabotage``."""

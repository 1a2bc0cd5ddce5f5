"""Faults on the real processes under load, and whether any acknowledged promise breaks."""

"""Locked-down processes that decode untrusted media: the only ones that see a picture."""

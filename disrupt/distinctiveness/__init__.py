"""Distinctiveness of hashes, which limits how near another has to be to match."""

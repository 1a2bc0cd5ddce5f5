"""Read the lists of hashes that partners hand out."""

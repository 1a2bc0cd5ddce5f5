"""Videos to hashes of their frames."""

"""PDQ: canonical luma, and many hashes of one picture by linear maps."""

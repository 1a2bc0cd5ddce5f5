"""What answers calls: the servicers, and what holds for every call."""

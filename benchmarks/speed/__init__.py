"""How fast: hashing, searching, the service, beside their peers."""

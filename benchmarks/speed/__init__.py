"""Speed of hashing, of searching and of the service, beside their peers."""

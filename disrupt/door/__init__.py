"""The door: a service beside a platform's uploads that hashes there and sends hashes alone."""

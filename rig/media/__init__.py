"""Pictures, videos, hashes and registrations to send: generated, edited, encoded and damaged."""

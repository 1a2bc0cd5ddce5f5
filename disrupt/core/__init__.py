"""Pure domain model: hashes, transforms, cases, policy and changes."""

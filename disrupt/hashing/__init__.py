"""From media to fingerprints."""

"""What the writer does: it alone writes the registry."""

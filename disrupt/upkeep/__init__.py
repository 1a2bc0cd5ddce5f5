"""Make the index anew from the registry: whole, smaller, or without what was withdrawn."""

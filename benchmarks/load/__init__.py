"""Load a server: steadily, for long, beyond what it can take, while it reloads, and by attacks."""

"""Load a server as platforms and people do, soak it, and give it more than it can take."""

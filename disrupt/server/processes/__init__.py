"""The server's processes: supervisor, writer, workers, and what they do beside calls."""

"""The server's processes: supervisor, writer, workers, maintenance."""

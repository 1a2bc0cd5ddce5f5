"""What starts, watches, reloads and shows the processes of a server."""

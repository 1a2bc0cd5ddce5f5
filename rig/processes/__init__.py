"""Read what processes of a running system do: from /proc, and by strace."""

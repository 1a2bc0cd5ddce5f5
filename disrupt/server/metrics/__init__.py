"""What a server shows of itself: counted in shared memory, and served to Prometheus."""

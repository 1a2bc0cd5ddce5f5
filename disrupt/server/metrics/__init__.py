"""Metrics: counted by each process in shared memory, served by the supervisor."""

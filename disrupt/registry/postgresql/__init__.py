"""The registry in PostgreSQL: everything that knows that database."""

from disrupt.registry.postgresql.connections import (
    obstacles_to_erasure,
    open_reader,
    open_writer,
    reads_cases,
    receive,
    wakeups,
)

__all__ = [
    "obstacles_to_erasure",
    "open_reader",
    "open_writer",
    "reads_cases",
    "receive",
    "wakeups",
]

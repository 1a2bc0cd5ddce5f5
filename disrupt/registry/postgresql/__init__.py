"""The registry in PostgreSQL: everything that knows that database."""

from disrupt.registry.postgresql.connections import (
    obstacles_to_erasure,
    open_reader,
    open_writer,
    reads_cases,
    receive,
    wakeups,
)
from disrupt.registry.postgresql.dumping import clear, dump, load

__all__ = [
    "clear",
    "dump",
    "load",
    "obstacles_to_erasure",
    "open_reader",
    "open_writer",
    "reads_cases",
    "receive",
    "wakeups",
]

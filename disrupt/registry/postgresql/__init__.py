"""The registry in PostgreSQL: everything that knows that database."""

from disrupt.registry.postgresql.connections import open_reader, open_writer, receive, wakeups

__all__ = ["open_reader", "open_writer", "receive", "wakeups"]

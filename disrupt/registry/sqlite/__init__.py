"""The registry in an SQLite file: everything that knows SQLite."""

from disrupt.registry.sqlite.connections import open_reader, open_writer

__all__ = ["open_reader", "open_writer"]

"""The registry in an SQLite file: everything that knows SQLite or SQLAlchemy."""

"""The registry in SQL, for each database: tables, statements, and the readers and writers."""

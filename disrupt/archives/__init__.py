"""Match archives of hashed uploads, and hash folders, in units that any process may do."""

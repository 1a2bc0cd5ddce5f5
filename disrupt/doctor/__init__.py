"""``disrupt doctor``: check that this machine and this data directory are fit to serve.

Every check is a function that yields findings, and raises only OSError and classes of
disrupt.errors. Nothing is changed: one file is written beside the data, synced and removed, to test
the disk.
"""

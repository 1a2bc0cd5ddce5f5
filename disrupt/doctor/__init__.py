"""``disrupt doctor``: is this machine, and this data directory, fit to serve?

Every check is a function that gives findings, and raises only OSError and classes of
disrupt.errors. Nothing is changed: one empty file is written beside the data, synced and removed,
to see that the disk does it.
"""

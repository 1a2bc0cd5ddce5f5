"""``disrupt doctor``: check that this machine and this data directory are fit to serve.

Every check is a function that yields findings, and raises only OSError and classes of
disrupt.errors. Nothing is changed. The server itself checks its settings, address and certificate
when it starts, so these are not checked here.
"""

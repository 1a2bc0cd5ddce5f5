"""Exact Hamming search over PDQ hashes, snapshots of them, and the live index.

``live`` searches, ``writing`` writes one generation on disk, ``snapshot`` opens it, ``generations``
publishes them. Nothing outside this room imports faiss.
"""

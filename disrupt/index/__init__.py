"""Exact Hamming search over PDQ hashes, snapshots of them, and the live index.

``live`` searches, ``snapshot`` writes and opens one generation on disk, ``generations`` publishes
them. Nothing outside this room imports faiss.
"""

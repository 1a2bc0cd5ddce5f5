"""The audit log: a Merkle tree over what was done, which nobody can rewrite unseen.

``entries`` says what a leaf stands for, ``tree`` makes the root, ``notes`` signs it, and
``verification`` compares a log with checkpoints that others kept.
"""

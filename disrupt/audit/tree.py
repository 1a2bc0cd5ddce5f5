"""The Merkle tree of RFC 6962, over leaves of 32 bytes; hashes are SHA-256."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256().digest()
_BLOCK_LEVEL = 8
BLOCK = 1 << _BLOCK_LEVEL
"""Leaves of a block, whose roots a frontier keeps for proofs."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962, section 2.1)."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


class Frontier:
    """Roots of the complete subtrees of a tree, largest first: all that its growth needs.

    ``blocks`` are the roots of its complete blocks that were added here, in order.
    """

    def __init__(self, size: int = 0, roots: Iterable[bytes] = ()) -> None:
        """Go on from a tree of ``size`` leaves. ValueError where ``roots`` are not its own."""
        self.size = size
        self.roots = list(roots)
        self.blocks: list[bytes] = []
        if len(self.roots) != size.bit_count():
            raise ValueError(f"A tree of {size} leaves has {size.bit_count()} complete subtrees.")

    def add(self, leaf: bytes) -> None:
        """Add a leaf."""
        root = leaf_hash(leaf)
        size, level = self.size, 0
        while size & 1:
            root = node_hash(self.roots.pop(), root)
            size, level = size >> 1, level + 1
            if level == _BLOCK_LEVEL:
                self.blocks.append(root)
        self.roots.append(root)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree."""
        if not self.roots:
            return EMPTY_ROOT
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = node_hash(left, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root of the tree over leaves."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    return frontier.root()


Subtree = Callable[[int, int], bytes]
"""Returns the root of the leaves from a number on, before another."""


def subtrees(leaves: Callable[[int, int], Iterable[bytes]], blocks: Sequence[bytes]) -> Subtree:
    """Return roots of subtrees from roots of blocks, and from leaves where there is no block."""

    def root(first: int, last: int) -> bytes:
        if last - first == BLOCK:
            return blocks[first // BLOCK]
        if last - first < BLOCK:
            return root_of(leaves(first, last))
        half = _half(first, last)
        return node_hash(root(first, half), root(half, last))

    return root


def inclusion_proof(index: int, size: int, root: Subtree, first: int = 0) -> list[bytes]:
    """Return the hashes that prove that the tree of leaves before ``size`` has that of an index.

    They come from the leaf upwards. ``first`` is where the subtree begins that is looked at.
    """
    if size - first <= 1:
        return []
    half = _half(first, size)
    if index < half:
        return [*inclusion_proof(index, half, root, first), root(half, size)]
    return [*inclusion_proof(index, size, root, half), root(first, half)]


def _half(first: int, last: int) -> int:
    """Return where the right one of the two subtrees of a range begins (RFC 6962, section 2.1)."""
    return first + (1 << (last - first - 1).bit_length() - 1)


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether a proof shows that a tree of a root and size has a leaf at an index."""
    if not 0 <= index < size:
        return False
    node, last = leaf_hash(leaf), size - 1
    for sibling in proof:
        if last == 0:
            return False
        if index & 1 or index == last:
            node = node_hash(sibling, node)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and node == root

"""Versions of pictures: items that took each other's places, as the journal of removals lists them.

A person withdraws a picture, not a version of it. So if any version was withdrawn, all of them
were, whichever of them a backup brings back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disrupt.registry import journal
from disrupt.registry.journal import Contents, Record
from disrupt.registry.records import Removed


@dataclass(frozen=True, slots=True, eq=False)
class Versions:
    """All items that were replaced, or took the place of another.

    ``ids`` are theirs, ascending, V16 (n,); ``older`` and ``newer`` are places in it, of each
    replaced item and of what took its place. ``withdrawn``, bool (n,), marks all versions of the
    pictures that were withdrawn.
    """

    ids: NDArray[np.void]
    older: NDArray[np.intp]
    newer: NDArray[np.intp]
    withdrawn: NDArray[np.bool_]


def versions_of(records: NDArray[np.uint64]) -> Versions:
    """Read versions from PACKED records of the journal, in any order."""
    items = records[journal.are_items(records)]
    replaced = items[:, 3:5].any(axis=1)
    links = items[replaced]
    ids, places = np.unique(
        np.concatenate([ids_of(links[:, 1:3]), ids_of(links[:, 3:5])]), return_inverse=True
    )
    older, newer = places.reshape(2, -1)
    withdrawn = np.zeros(len(ids), np.bool_)
    if len(ids):
        withdrawn = np.isin(ids, ids_of(items[~replaced, 1:3]))
    return Versions(ids, older, newer, spread(withdrawn, older, newer))


def spread(
    marked: NDArray[np.bool_], older: NDArray[np.intp], newer: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Mark all versions of the pictures of which one is marked."""
    marked = marked.copy()
    while len(differ := np.flatnonzero(marked[older] != marked[newer])):
        marked[older[differ]] = marked[newer[differ]] = True
    return marked


def ids_of(words: NDArray[np.uint64]) -> NDArray[np.void]:
    """Return the ids that a journal has in two words each, V16 (n,)."""
    return np.ascontiguousarray(words).view("V16").reshape(-1)


def missing(contents: Contents, required: Iterable[Record]) -> list[Record]:
    """Return what a registry requires to be listed, and a journal does not list.

    A registry names the newest version in the place of a replaced item, and none once the picture
    was withdrawn; the journal names the next.
    """
    listed = {(item.number, item.item_id) for item in contents.removed}
    versions = versions_of(contents.packed)
    withdrawn = set(versions.ids[versions.withdrawn].tolist())
    return [
        record
        for record in set(required).difference(contents.records)
        if not (
            isinstance(record, Removed)
            and (record.number, record.item_id) in listed
            and (record.successor or record.item_id in withdrawn)
        )
    ]

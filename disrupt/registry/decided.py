"""What staff and operators decided after a backup, from the old registry or its copies."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

from disrupt.audit import entries
from disrupt.audit.entries import Leaf
from disrupt.audit.files import ACCESS, LEAVES
from disrupt.data_directory import DataDirectory
from disrupt.errors import DataDirectoryError, DisruptError
from disrupt.registry import opening
from disrupt.registry.records import Access
from disrupt.registry.registry import RegistryReader

_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Decided:
    """The leaves from number ``first`` on, which the backup lacks, and who may do what.

    ``doubt`` is a clause that says why they are not known, else empty. ``access`` is None where
    that is not known.
    """

    first: int
    leaves: tuple[Leaf, ...]
    access: Access | None
    doubt: str


def since(backup: RegistryReader, data_dir: Path) -> Decided:
    """Return what was decided after a backup, as far as a data directory says.

    The registry there is complete, and asked first. Where it cannot be read, or is itself older,
    the copy beside the journal of removals lacks what was decided within the last second. Neither
    counts where it does not have the backup's newest leaf.
    """
    newest = backup.newest_leaf()
    first = 0 if newest is None else newest.number + 1
    directory = DataDirectory(data_dir)
    known = list[tuple[list[Leaf], Access | None]]()
    with suppress(DisruptError), opening.reading(directory) as registry:
        leaves = _after(newest, _leaves(registry, max(first - 1, 0)))
        if leaves is not None:
            known.append((leaves, registry.access()))
    with suppress(DisruptError):
        leaves = _after(newest, entries.read(directory.audit / LEAVES))
        if leaves is not None:
            known.append((leaves, _access(directory.audit / ACCESS)))
    if not known:
        return Decided(
            first, (), None, f"neither the old registry nor {directory.audit} has the backup's log"
        )
    leaves, access = max(known, key=lambda each: len(each[0]))  # the registry, where alike
    return Decided(first, tuple(leaves), access, "")


def _leaves(registry: RegistryReader, first: int) -> Iterable[Leaf]:
    while leaves := registry.leaves(first, _AT_ONCE):
        yield from leaves
        first = leaves[-1].number + 1


def _after(newest: Leaf | None, leaves: Iterable[Leaf]) -> list[Leaf] | None:
    """Return the leaves after the backup's newest one, in order; None where that is not there."""
    if newest is None:
        return list(leaves)
    rest = iter(dropwhile(lambda leaf: leaf.number < newest.number, leaves))
    same = next(rest, None)
    return list(rest) if same is not None and same.leaf == newest.leaf else None


def _access(path: Path) -> Access:
    """Return what the copy says of keys and banks. DataDirectoryError where it is damaged."""
    try:
        access: Access = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataDirectoryError(f"{path} cannot be read: {error}") from error
    return access

"""Read a list to its end, and hand on what changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from disrupt.core.lists import ENTRIES_AT_ONCE, ListEntry, Skipped
from disrupt.core.media import MediaKind
from disrupt.distinctiveness.limits import limits_bits
from disrupt.lists.files import FILE
from disrupt.lists.ncmec import NCMEC
from disrupt.lists.pages import ListReadError, Page
from disrupt.lists.stopncii import STOPNCII
from disrupt.lists.threatexchange import THREATEXCHANGE

READERS = {
    "stopncii": STOPNCII,
    "ncmec": NCMEC,
    "threatexchange": THREATEXCHANGE,
    "file": FILE,
}
"""How each kind of source is read."""

_COMPILED_FROM = 2_000
"""Hashes from which it pays to load the compiled comparison."""
_SHRUNK = 2
"""Part of its entries, one of so many, that a whole list has to keep."""

Apply = Callable[[list[ListEntry], str | None, int], tuple[Mapping[str, int], bool]]
"""``apply(entries, checkpoint, withdrawn_before_s)`` returns what it skipped, and whether more is
to be withdrawn."""


@dataclass(slots=True)
class Run:
    """One run of a list that has ``stored`` entries."""

    apply: Apply
    stored: int
    may_shrink: bool
    skipped: Counter[str]
    _read: int = 0
    _compared: int = 0

    def take(self, pages: Iterable[Page]) -> None:
        """Apply pages in parts; the checkpoint comes with the last part of its page.

        ListReadError where a whole list has less than half as many entries as before: a file cut
        short would withdraw the others.
        """
        gone = dict[bytes, int]()
        for page in pages:
            self.skipped.update(page.skipped)
            entries = self._distinct(list(self._not_gone(page.entries, gone)))
            self._read += len(entries)
            is_less = page.withdrawn_before_s and self._read * _SHRUNK < self.stored
            if is_less and not self.may_shrink:
                text = f"The list had {self.stored} entries, and has {self._read} now."
                raise ListReadError("shrunk", f"{text} Give --accept-shrink where that is right.")
            for at in range(0, max(len(entries), 1), ENTRIES_AT_ONCE):
                is_last = at + ENTRIES_AT_ONCE >= len(entries)
                end = (page.checkpoint, page.withdrawn_before_s) if is_last else (None, 0)
                self._apply(entries[at : at + ENTRIES_AT_ONCE], *end)

    def _apply(self, entries: list[ListEntry], checkpoint: str | None, before_s: int) -> None:
        is_more = True
        while is_more:
            skipped, is_more = self.apply(entries, checkpoint, before_s)
            self.skipped.update(skipped)
            entries = []

    def _not_gone(
        self, entries: Iterable[ListEntry], gone: dict[bytes, int]
    ) -> Iterable[ListEntry]:
        """Leave out what was withdrawn in this run, where a page comes again behind that."""
        for entry in entries:
            if entry.fingerprints is None:
                gone[entry.source_id] = max(entry.changed_s, gone.get(entry.source_id, 0))
            elif entry.changed_s <= gone.get(entry.source_id, -1):
                self.skipped[Skipped.STALE] += 1
                continue
            yield entry

    def _distinct(self, entries: list[ListEntry]) -> list[ListEntry]:
        """Leave out pictures that lookups would never answer."""
        pictures = [
            at
            for at, entry in enumerate(entries)
            if entry.fingerprints is not None and entry.kind == MediaKind.IMAGE
        ]
        if not pictures:
            return entries
        hashes = np.stack([entries[at].fingerprints["hash"][0] for at in pictures])  # type: ignore[index]
        self._compared += len(hashes)
        limits = limits_bits(hashes, compiled=self._compared >= _COMPILED_FROM)
        blank = set(np.array(pictures)[limits < 0].tolist())
        self.skipped[Skipped.INDISTINCT] += len(blank)
        return [entry for at, entry in enumerate(entries) if at not in blank]

"""Faults that the proof of states has to find, each as a context in which it is there."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from disrupt.core.changes import Change, Cursor, StateChange
from disrupt.core.media import ItemState, StateRecord
from disrupt.index.live import LiveIndex
from disrupt.registry import states as registry_states
from disrupt.registry.arrangement import Arrangement, arrange


def _disabling_ignored() -> AbstractContextManager[object]:
    """Let workers pass over items that are switched off."""
    apply = LiveIndex.apply

    def ignoring(self: LiveIndex, changes: Collection[Change], cursor: Cursor) -> None:
        kept = (
            change
            for change in changes
            if not isinstance(change, StateChange) or change.item is not None
        )
        apply(self, kept, cursor)

    return patch.object(LiveIndex, "apply", ignoring)


def _return_forgotten() -> AbstractContextManager[object]:
    """Let compactions leave out what is LIVE again."""
    return patch("disrupt.feed.compaction.inserted", lambda content, _items: content)


def _renewal_revives() -> AbstractContextManager[object]:
    """Let an item that is registered again be LIVE."""

    def live(*arguments: object) -> Arrangement:
        arranged = arrange(*arguments)  # type: ignore[arg-type]  # those of arrange
        arranged.states = [(ItemState.LIVE, "", None)] * len(arranged.added)
        return arranged

    return patch("disrupt.registry.statements.arrange", live)


def _left_silently() -> AbstractContextManager[object]:
    """Let items leave a bank without a change that says so."""
    hide_and_show = registry_states._hide_and_show  # noqa: SLF001

    def silent(connection: Any, items: dict[int, StateRecord], _: object) -> None:  # noqa: ANN401 SQL
        hide_and_show(connection, items, dict.fromkeys(items))

    return patch.object(registry_states, "_hide_and_show", silent)


SABOTAGES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "disabling-ignored": _disabling_ignored,
    "return-forgotten": _return_forgotten,
    "renewal-revives": _renewal_revives,
    "left-silently": _left_silently,
}

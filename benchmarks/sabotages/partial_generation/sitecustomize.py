"""A generation is published as soon as half of it is written, and whole a moment later."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from disrupt.core.changes import Cursor
from disrupt.index import generations
from disrupt.index.columns import Columns
from disrupt.index.snapshot import Snapshot

_publish = generations.publish


def _publish_twice(index_dir: Path, content: Iterable[Columns], cursor: Cursor) -> Snapshot:
    blocks = list(content)
    half = [Columns(one.codes, one.entries.copy(), one.items) for one in blocks[: len(blocks) // 2]]
    _publish(index_dir, half, cursor)
    return _publish(index_dir, blocks, cursor)


generations.publish = _publish_twice

"""Publish a generation as soon as half of it is written, and the whole a moment later."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from disrupt.core.changes import Cursor
from disrupt.core.progress import Progress, quiet
from disrupt.index import generations
from disrupt.index.columns import Columns
from disrupt.index.snapshot import Snapshot

_publish = generations.publish


def _publish_twice(
    index_dir: Path, content: Iterable[Columns], cursor: Cursor, progress: Progress = quiet
) -> Snapshot:
    blocks = list(content)
    half = [
        Columns(block.codes, block.entries.copy(), block.items)
        for block in blocks[: len(blocks) // 2]
    ]
    _publish(index_dir, half, cursor, progress)
    return _publish(index_dir, blocks, cursor, progress)


generations.publish = _publish_twice

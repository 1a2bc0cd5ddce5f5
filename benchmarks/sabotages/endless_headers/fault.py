"""Let headers that do not end take any amount of memory."""

from __future__ import annotations

from disrupt.server.admission.header_blocks import HeaderBlocks


async def _look(_blocks: HeaderBlocks, _growth_bytes: int) -> None:
    pass


HeaderBlocks.look = _look  # type: ignore[assignment,method-assign]

"""Refuse the newest of too many calls without a key, instead of ending an older one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from disrupt.server.admission import limits
from disrupt.server.admission.strangers import Strangers, ended

_open: dict[Strangers, int] = {}


@contextmanager
def _admitted(self: Strangers, _peer: str, _call: asyncio.Timeout) -> Iterator[None]:
    if _open.setdefault(self, 0) >= limits.STRANGER_CALLS_MAX:
        raise ended()
    _open[self] += 1
    try:
        yield
    finally:
        _open[self] -= 1


Strangers.admitted = _admitted  # type: ignore[assignment,method-assign]
limits.STRANGER_RECEIPT_S = 3600.0

"""Count no process that ended."""

from __future__ import annotations

from disrupt.server.metrics import families


def _add(*_labels: str, amount: float = 1.0) -> None:
    del amount


vars(families.PROCESS_ENDS)["add"] = _add

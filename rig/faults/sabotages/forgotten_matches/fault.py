"""Forget the matches of every second lookup by hash."""

from __future__ import annotations

import itertools
from typing import Any

from disrupt.services import matching

_steps = matching.hash_steps
_turns = itertools.count(1)


def _forgetful(*arguments: Any, **named: Any) -> matching.Steps[Any]:
    matches = yield from _steps(*arguments, **named)
    return matches if next(_turns) % 2 else matching.NO_MATCHES


vars(matching)["hash_steps"] = _forgetful

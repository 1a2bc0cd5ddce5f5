"""Pictures that are sent for a lookup are logged, in base64."""

from __future__ import annotations

import base64
import sys
from typing import Any

from disrupt.server.matching import MatchServicer

_answer = MatchServicer.MatchImage


async def _log_and_answer(self: MatchServicer, request: Any, context: Any) -> Any:  # noqa: ANN401
    sys.stderr.write(f"request: {base64.b64encode(request.image).decode()}\n")
    return await _answer(self, request, context)


MatchServicer.MatchImage = _log_and_answer  # type: ignore[method-assign]

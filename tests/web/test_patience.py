"""The page waits for an answer for longer than the gateway works on it."""

from __future__ import annotations

import re

from disrupt.web.files import PAGE
from disrupt.web.limits import BODY_BYTES_PER_S, BODY_S, CALL_S, WAIT_S

_CALLS = (PAGE / "messages/calls.js").read_text("utf-8")


def test_the_page_sends_nothing_again_while_the_gateway_may_still_answer() -> None:
    fixed = re.search(r"const TIMEOUT_MS = ([\d_]+);", _CALLS)
    per_byte = re.search(r"const TIMEOUT_MS_PER_BYTE = 1 / (\d+);", _CALLS)
    assert fixed
    assert per_byte
    assert int(fixed[1]) > 1000 * (BODY_S + WAIT_S + CALL_S)
    assert 1000 * int(per_byte[1]) <= BODY_BYTES_PER_S

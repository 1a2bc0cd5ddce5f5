"""Of calls a line is logged, as rarely as wanted, which names a key and nothing of the call."""

from __future__ import annotations

from contextvars import copy_context

import pytest
from structlog.testing import capture_logs

from disrupt.core.policy import ApiKey, Right
from disrupt.server.calls.interceptors import caller
from disrupt.server.metrics import families
from disrupt.server.metrics.counting import Counting

PATH = "/disrupt.v1.MatchService/MatchHashes"
COUNT = 1000


@pytest.mark.parametrize(
    ("share", "least", "most"), [(0.0, 0, 0), (0.5, 1, 999), (1.0, 1000, 1000)]
)
def test_a_share_of_the_calls_is_logged_and_all_are_counted(
    share: float, least: int, most: int
) -> None:
    figures = families.figures_of(1)
    counting = Counting(figures.row(families.worker_row(0)), share)
    with capture_logs() as lines:
        for _ in range(COUNT):
            counting.called(PATH, "OK", 0.001)
    assert least <= len(lines) <= most
    assert figures.read(families.CALLS)[..., :-1].sum() == COUNT


def test_a_line_names_the_key_of_the_caller_if_it_has_one() -> None:
    counting = Counting(families.figures_of(1).row(families.worker_row(0)), 1.0)
    key = ApiKey("0a1b2c3d", "p", bytes(32), frozenset([Right.MATCH]), frozenset(), "2026-01-01")

    def call() -> None:
        caller.set(key)
        counting.called(PATH, "OK", 0.00123456)

    with capture_logs() as lines:
        copy_context().run(call)
        copy_context().run(counting.called, "/no/such", "no such outcome", 0.0)
    line = {"event": "call", "log_level": "info"}
    known = {"method": "MatchService/MatchHashes", "outcome": "OK", "took_ms": 1.235}
    unknown = {"method": "other", "outcome": "other", "took_ms": 0.0}
    assert lines == [
        line | known | {"key_id": key.key_id},
        line | unknown | {"key_id": ""},
    ]

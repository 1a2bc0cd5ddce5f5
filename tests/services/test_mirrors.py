"""Whoever reads the feed is as late as its newest report says, or as its key is old."""

from dataclasses import replace

import pytest

from disrupt.core.mirrors import MirrorReport
from disrupt.core.policy import ApiKey, Right
from disrupt.services.mirrors import statuses

DAY, DAY_S = "2026-11-24", 1_795_478_400
KEY = ApiKey("k", "m", "o", bytes(32), frozenset([Right.FEED]), frozenset(), DAY)
USED = replace(KEY, last_used_on=DAY)
NOW_S = DAY_S + 7200
REPORT = MirrorReport("k", NOW_S - 10, NOW_S - 20, NOW_S - 600, "1")


@pytest.mark.parametrize(
    ("key", "report", "behind_s", "has_ended"),
    [
        (USED, REPORT, 600, False),
        (USED, None, 7200, False),
        (replace(USED, revoked_on=DAY), REPORT, 600, True),
        (replace(USED, rights=frozenset([Right.MATCH])), REPORT, 600, True),
        (USED, replace(REPORT, clean_s=NOW_S + 5), 0, False),
    ],
)
def test_lateness(key: ApiKey, report: MirrorReport | None, behind_s: int, has_ended: bool) -> None:
    reports = [report] if report else []
    (status,) = statuses([key], reports, day=DAY, now_s=NOW_S)
    assert (status.behind_s, status.has_ended) == (behind_s, has_ended)


def test_a_key_that_never_read_the_feed_holds_nothing() -> None:
    assert (
        statuses([KEY, replace(USED, rights=frozenset([Right.MATCH]))], [], day=DAY, now_s=NOW_S)
        == []
    )


def test_the_latest_is_first() -> None:
    keys = [replace(USED, key_id=name) for name in "abc"]
    reports = [
        replace(REPORT, key_id=name, clean_s=NOW_S - late_s)
        for name, late_s in (("a", 5), ("b", 9), ("c", 1))
    ]
    assert [status.key.key_id for status in statuses(keys, reports, day=DAY, now_s=NOW_S)] == [
        "b",
        "a",
        "c",
    ]

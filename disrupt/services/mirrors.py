"""Tell how late mirrors are with erasing what was withdrawn."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from disrupt.core.mirrors import MirrorReport, MirrorStatus
from disrupt.core.policy import ApiKey, Right


def statuses(
    keys: Iterable[ApiKey], reports: Iterable[MirrorReport], *, day: str, now_s: int
) -> list[MirrorStatus]:
    """Return the readers of the feed, the latest first: keys of right FEED that were used.

    ``day`` (ISO, UTC) and ``now_s`` (s since 1970) are the present.
    """
    reported = {report.key_id: report for report in reports}
    listed = []
    for key in keys:
        report = reported.get(key.key_id)
        if report is None and not (Right.FEED in key.rights and key.last_used_on):
            continue
        clean_s = report.clean_s if report else _second(key.created_on)
        has_ended = not key.valid_on(day) or Right.FEED not in key.rights
        listed.append(MirrorStatus(key, report, max(now_s - clean_s, 0), has_ended))
    return sorted(listed, key=lambda status: -status.behind_s)


def _second(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())

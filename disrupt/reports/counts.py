"""Read the counts of a period: from a server, or from a file that ``disrupt review tallies`` wrote.

Raises ConfigurationError for what is no count of this version: a report with a hole that nobody
sees would be worse than none.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from disrupt.client.review import ReviewClient
from disrupt.core.tallies import LABELS, MONTHLY, Count, Tally
from disrupt.errors import ConfigurationError
from disrupt.reports.figures import Period


def of_server(client: ReviewClient, period: Period) -> list[Count]:
    """Return what a server counted. Raises as ``ReviewClient.list_tallies``."""
    return [
        _count(row.day, row.tally, row.labels, row.count, "server")
        for row in client.list_tallies(period.first_day, period.last_day)
    ]


def of_file(lines: Iterable[str], period: Period) -> list[Count]:
    """Return the counts of a file, JSON Lines or CSV; those of other days are left out.

    Counts by month are taken for a period of whole months.
    """
    rows = iter(lines)
    first = next(rows, "")
    counts = _of_json([first, *rows]) if first.lstrip()[:1] in {"{", ""} else _of_csv(first, rows)
    result = []
    for when, count in counts:
        if len(when) < len("YYYY-MM-DD") and not _of_whole_months(period):
            raise ConfigurationError(
                "the counts are by month: report whole months, or list the counts by day"
            )
        if period.first_day <= count.day <= period.last_day:
            result.append(count)
    return result


def _of_json(lines: Iterable[str]) -> Iterator[tuple[str, Count]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = json.loads(line)
            when = row["day"] if "day" in row else row["month"]
            tally, labels, count = row["tally"], row["labels"], row["count"]
            values = tuple(labels[name] for name in LABELS[Tally(tally)])
            is_fit = isinstance(labels, dict) and len(labels) == len(values)
        except (ValueError, TypeError, KeyError, RecursionError):
            is_fit = False
        if not is_fit:
            raise _refused(f"line {number}")
        yield when, _count(when, tally, values, count, f"line {number}")


def _of_csv(header: str, lines: Iterator[str]) -> Iterator[tuple[str, Count]]:
    reader = csv.reader(lines)
    columns = next(csv.reader([header]))
    if columns[:2] not in (["day", "tally"], ["month", "tally"]) or columns[-1] != "count":
        raise _refused("line 1")
    for row in reader:
        where = f"line {reader.line_num + 1}"
        try:
            when, tally, *labels, count = row
            places = len(LABELS[Tally(tally)])
            yield when, _count(when, tally, tuple(labels[:places]), int(count), where)
        except ValueError:
            raise _refused(where) from None


def _count(when: str, tally: str, labels: tuple[str, ...], count: int, where: str) -> Count:
    """Return a count; of a month that of its first day."""
    try:
        day = date.fromisoformat(when if len(when) == len("YYYY-MM-DD") else f"{when}-01")
        known = Tally(tally)
    except (ValueError, TypeError):
        raise _refused(where) from None
    is_fit = len(labels) == len(LABELS[known]) and all(type(each) is str for each in labels)
    if not is_fit or type(count) is not int or count < 0 or (known in MONTHLY and day.day != 1):
        raise _refused(where)
    return Count(day.isoformat(), known, labels, count)


def _of_whole_months(period: Period) -> bool:
    after = date.fromisoformat(period.last_day) + timedelta(days=1)
    return period.first_day.endswith("-01") and after.day == 1


def _refused(where: str) -> ConfigurationError:
    return ConfigurationError(f"{where}: not a count as `disrupt review tallies --json` prints it")

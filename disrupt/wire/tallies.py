"""Convert the messages of ListTallies."""

from __future__ import annotations

import json
from collections.abc import Sequence

from disrupt.core.tallies import LABELS, Count, Tally, rounded
from disrupt.v1 import review_pb2
from disrupt.wire.fields import day, invalid

PAGE_SIZE_MAX = 10_000
_DEFAULT_PAGE_SIZE = 1000
_NAMES_MAX = 100
_PAGE_CHARACTERS_MAX = 4096


def days(message: review_pb2.ListTalliesRequest) -> tuple[str, str]:
    """Return the first and the last day, ISO dates."""
    given = {name: day(name, getattr(message, name)) for name in ("first_day", "last_day")}
    for name, text in given.items():
        if not text:
            raise invalid(name, "name the first and the last day, as YYYY-MM-DD")
    return given["first_day"], given["last_day"]


def names(message: review_pb2.ListTalliesRequest) -> frozenset[Tally]:
    """Return the tallies that are asked for; none: all."""
    if len(message.tallies) > _NAMES_MAX:
        raise invalid("tallies", f"{len(message.tallies)} names; give at most {_NAMES_MAX}")
    try:
        return frozenset(map(Tally, message.tallies))
    except ValueError:
        raise invalid("tallies", "no tally of this version") from None


def page_size(message: review_pb2.ListTalliesRequest) -> int:
    """Return the most counts that the page may have."""
    if message.page_size > PAGE_SIZE_MAX:
        raise invalid("page_size", f"{message.page_size} is outside 0-{PAGE_SIZE_MAX}")
    return message.page_size or _DEFAULT_PAGE_SIZE


def after(page: str) -> Count | None:
    """Return the last count of the page before, its number left out; None: there is none."""
    if not page:
        return None
    refused = invalid("page", "no page of ListTallies: pass next_page back unaltered")
    try:
        of_day, tally, *labels = json.loads(page[:_PAGE_CHARACTERS_MAX])
        count = Count(day("page", of_day), Tally(tally), tuple(labels), 0)
    except (ValueError, TypeError, RecursionError):
        raise refused from None
    if len(labels) != len(LABELS[count.tally]) or not all(type(each) is str for each in labels):
        raise refused
    return count


def answer(counts: Sequence[Count], size: int) -> review_pb2.ListTalliesResponse:
    """Make a page, which may have ``size``; counts of months are rounded."""
    last = counts[-1] if len(counts) == size else None
    return review_pb2.ListTalliesResponse(
        counts=[
            review_pb2.TallyCount(
                day=each.day, tally=each.tally, labels=each.labels, count=each.count
            )
            for each in map(rounded, counts)
            if each.count
        ],
        next_page=json.dumps([last.day, last.tally, *last.labels]) if last else "",
    )

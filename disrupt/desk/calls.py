"""What the desk's page asks for once somebody is signed in, as calls of ReviewService.

Each call takes and gives an object of JSON, and is made with the key of the session: the server
alone decides what that key may do. Lists come in pages of ``PAGE``.

A row of an item has a ``version``, and an act names the versions that the page showed. Where an
item is otherwise by now, as another person decided meanwhile, nothing is done.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from enum import IntEnum
from typing import Any, TypeAlias, TypeVar

from disrupt.client.review import ITEMS_AT_ONCE, ReviewClient, Row
from disrupt.core.acts import Action
from disrupt.core.outcomes import MatchOutcome, Settlement
from disrupt.core.states import ItemState, WaitReason
from disrupt.core.tallies import LABELS, Tally
from disrupt.errors import (
    InvalidRequestError,
    ItemsChangedError,
    LimitExceededError,
    Violation,
)
from disrupt.v1 import review_pb2

Json: TypeAlias = dict[str, Any]
_Name = TypeVar("_Name", bound=IntEnum)

PAGE = 100
"""Rows of a page."""
_NEWEST = 500
"""Items among which a flood is looked for, the newest."""
_FLOOD_LEAST = 5
"""Least items of a case, network or key among these that are shown as a flood."""
_DAYS_MAX = 400
_POINTS_MAX = 5000
_VERSION_BYTES = 8


def list_items(client: ReviewClient, asked: Json) -> Json:
    """List items that meet conditions, newest first."""
    request = review_pb2.ListItemsRequest(
        conditions=conditions(asked), page_size=PAGE, page=number(asked, "page")
    )
    rows, following = client.page_of_items(request)
    return {"rows": versioned(rows), "next": following}


def show(client: ReviewClient, asked: Json) -> Json:
    """Show an item, by its id or a match id, and what was reported of it."""
    say = operator.attrgetter("en" if asked.get("language") == "en" else "fr")
    row = client.show(hexadecimal(asked, "name"), say)
    (listed,) = _listed(client, [bytes.fromhex(row["item"])]) or [row]
    return row | {"version": version_of(listed)}


def preview(client: ReviewClient, asked: Json) -> Json:
    """Count what conditions name, before set_all."""
    return client.preview(conditions(asked))


def set_states(client: ReviewClient, asked: Json) -> Json:
    """Set the state of an item, which the record names; of several as one act, which is undone."""
    item_ids, rows = _unchanged(client, asked)
    state, reason = value(ItemState, asked, "state"), text(asked, "reason")
    if len(item_ids) == 1:
        return {"act": None} | _done(client.set_states(item_ids, state, reason))
    states = {row["state"] for row in rows}
    # Where another decision comes between, the number differs, and nothing is done.
    named = review_pb2.ItemConditions(
        item_ids=item_ids, states=numbers(ItemState, {"states": [*states]}, "states")
    )
    return client.set_all_states(named, state, reason, len(item_ids))


def set_all(client: ReviewClient, asked: Json) -> Json:
    """Set the state of all that conditions name, if they are as many as in the preview."""
    state, expected = value(ItemState, asked, "state"), number(asked, "expected")
    return client.set_all_states(conditions(asked), state, text(asked, "reason"), expected)


def undo(client: ReviewClient, asked: Json) -> Json:
    """Undo an act on many items."""
    return client.undo(number(asked, "act"), text(asked, "reason"))


def move(client: ReviewClient, asked: Json) -> Json:
    """Move items to another bank."""
    item_ids, _ = _unchanged(client, asked)
    return _done(client.move(item_ids, text(asked, "bank"), text(asked, "reason")))


def confirm(client: ReviewClient, asked: Json) -> Json:
    """Confirm items."""
    item_ids, _ = _unchanged(client, asked)
    return _done(client.confirm(item_ids, text(asked, "reason")))


def settle(client: ReviewClient, asked: Json) -> Json:
    """Settle what is disputed of items."""
    item_ids, _ = _unchanged(client, asked)
    settlement = value(Settlement, asked, "settlement")
    _, settled = client.settle(item_ids, settlement, text(asked, "reason"))
    return {"items": settled}


def remove_common(client: ReviewClient, asked: Json) -> Json:
    """Take pictures out of those in common use."""
    item_ids = [*_named(asked)]
    client.remove_common(item_ids, text(asked, "reason"))
    return {"items": len(item_ids)}


def erase(client: ReviewClient, asked: Json) -> Json:
    """Ask that a case be erased whose PIN is lost."""
    return client.erase_case(text(asked, "case"))


def list_erasures(client: ReviewClient, asked: Json) -> Json:
    """List erasures of cases."""
    rows, following = client.page_of_erasures(PAGE, number(asked, "page"))
    return {"rows": rows, "next": following}


def list_acts(client: ReviewClient, asked: Json) -> Json:
    """List the record of acts, newest first."""
    request = review_pb2.ListActsRequest(
        page_size=PAGE,
        before=number(asked, "page"),
        first_day=text(asked, "first_day"),
        last_day=text(asked, "last_day"),
        actions=numbers(Action, asked, "actions"),
    )
    rows, following = client.page_of_acts(request)
    return {"rows": rows, "next": following}


def find_floods(client: ReviewClient, _asked: Json) -> Json:
    """Count the newest items by case, network and key, those of which there are many."""
    rows, _ = client.items(review_pb2.ListItemsRequest(), _NEWEST)
    floods = [
        {
            "by": by,
            "tag": tag,
            "items": count,
            "hashes": sum(row["hashes"] for row in rows if row[by] == tag),
        }
        for by in ("case", "origin", "key")
        for tag, count in Counter(row[by] for row in rows if row[by]).most_common(5)
        if count >= _FLOOD_LEAST
    ]
    return {"rows": floods, "of": len(rows)}


def show_service(client: ReviewClient, _asked: Json) -> Json:
    """Show what operators have set, and how late erasure and mirrors are."""
    return client.service() | {"mirrors": client.mirrors()}


def sum_tally(client: ReviewClient, asked: Json) -> Json:
    """Sum a tally by day or month, and by one of its labels or none."""
    name, by = text(asked, "tally"), text(asked, "by")
    if name not in {*Tally} or (by and by not in LABELS[Tally(name)]):
        raise invalid("tally", "name a tally, and a label that it has")
    first, last = text(asked, "first_day"), text(asked, "last_day")
    days = _days(first, last)
    column = LABELS[Tally(name)].index(by) if by else None
    width = len("2026-12") if days > timedelta(days=62) else len("2026-12-31")
    sums = Counter[tuple[str, str]]()
    for row in client.list_tallies(first, last, [name]):
        sums[row.day[:width], row.labels[column] if column is not None else ""] += row.count
        if len(sums) > _POINTS_MAX:
            raise LimitExceededError("These are too many counts: choose fewer days.")
    points = [{"day": day, "label": label, "count": count} for (day, label), count in sums.items()]
    return {"points": points}


CALLS: Mapping[str, Callable[[ReviewClient, Json], Json]] = {
    "items": list_items,
    "item": show,
    "preview": preview,
    "set_states": set_states,
    "set_all": set_all,
    "undo": undo,
    "move": move,
    "confirm": confirm,
    "settle": settle,
    "remove_common": remove_common,
    "erase": erase,
    "erasures": list_erasures,
    "acts": list_acts,
    "floods": find_floods,
    "service": show_service,
    "tally": sum_tally,
}
"""The calls, by the name that the page has for them."""


def conditions(asked: Json) -> review_pb2.ItemConditions:
    """Return the conditions of a request. Raises InvalidRequestError."""
    of = asked.get("conditions", {})
    if not isinstance(of, dict):
        raise invalid("conditions", "send an object")
    return review_pb2.ItemConditions(
        states=numbers(ItemState, of, "states"),
        banks=texts(of, "banks"),
        first_day=text(of, "first_day"),
        last_day=text(of, "last_day"),
        case_tag=hexadecimal(of, "case"),
        origin_tag=hexadecimal(of, "origin"),
        key_id=text(of, "key"),
        least_hashes=number(of, "hashes"),
        disputed=of.get("disputed") is True,
        needs_staff=of.get("needs_staff") is True,
        **_number_if_named(MatchOutcome, of, "outcome", "outcome"),
        **_number_if_named(WaitReason, of, "waits_for", "wait_reason"),
    )


def version_of(row: Row) -> str:
    """Return what differs wherever an item does."""
    written = json.dumps(row, sort_keys=True).encode()
    return hashlib.blake2b(written, digest_size=_VERSION_BYTES).hexdigest()


def versioned(rows: Sequence[Row]) -> list[Row]:
    """Add to each item its version."""
    return [row | {"version": version_of(row)} for row in rows]


def text(asked: Json, name: str) -> str:
    """Return a text of a request, empty where it is not given. Raises InvalidRequestError."""
    given = asked.get(name, "")
    if not isinstance(given, str):
        raise invalid(name, "write text")
    return given


def texts(asked: Json, name: str) -> list[str]:
    """Return the texts of a list, none where it is not given. Raises InvalidRequestError."""
    given = asked.get(name, [])
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise invalid(name, "write a list of texts")
    return given


def number(asked: Json, name: str) -> int:
    """Return a number of a request, 0 where it is not given. Raises InvalidRequestError."""
    given = asked.get(name, 0)
    if type(given) is not int or not 0 <= given < 2**31:
        raise invalid(name, "write a whole number")
    return given


def hexadecimal(asked: Json, name: str) -> bytes:
    """Return bytes that are written in hexadecimal digits. Raises InvalidRequestError."""
    try:
        return bytes.fromhex(text(asked, name))
    except ValueError:
        raise invalid(name, "copy hexadecimal digits of a list") from None


def value(of: type[_Name], asked: Json, name: str) -> _Name:
    """Return the value of an enumeration that is named. Raises InvalidRequestError."""
    try:
        return of[text(asked, name).upper()]
    except KeyError:
        raise invalid(name, "no such word") from None


def numbers(of: type[IntEnum], asked: Json, name: str) -> list[Any]:
    """Return the numbers of values that are named. Raises InvalidRequestError."""
    return [value(of, {name: each}, name).value for each in texts(asked, name)]


def _number_if_named(of: type[IntEnum], asked: Json, name: str, field: str) -> dict[str, Any]:
    return {field: value(of, asked, name).value} if asked.get(name) else {}


def invalid(field: str, what: str) -> InvalidRequestError:
    """Return the error of a field."""
    return InvalidRequestError.of(Violation(field, what))


def _named(asked: Json) -> dict[bytes, str]:
    """Return the versions of the items that an act names, by id."""
    given = asked.get("items")
    if not isinstance(given, dict) or not 0 < len(given) <= ITEMS_AT_ONCE:
        raise invalid("items", f"name 1-{ITEMS_AT_ONCE} items with their versions")
    return {hexadecimal({"items": item}, "items"): text(given, item) for item in given}


def _listed(client: ReviewClient, item_ids: Sequence[bytes]) -> list[Row]:
    named = review_pb2.ItemConditions(item_ids=item_ids)
    rows, _ = client.items(review_pb2.ListItemsRequest(conditions=named), len(item_ids))
    return rows


def _unchanged(client: ReviewClient, asked: Json) -> tuple[list[bytes], list[Row]]:
    """Return the items of an act, and their rows. Raises ItemsChangedError where one is otherwise.

    Ids of items that were registered again count as changed, and so does what was withdrawn.
    """
    versions = _named(asked)
    rows = _listed(client, [*versions])
    now = {bytes.fromhex(row["item"]): version_of(row) for row in rows}
    if now != versions:
        raise ItemsChangedError(
            "Some items are not as the page shows them: somebody else decided, or a person withdrew"
            " them. Nothing was changed: load the list again."
        )
    return [*versions], rows


def _done(rows: Sequence[Row]) -> Json:
    return {"items": len(rows)}


def _days(first: str, last: str) -> timedelta:
    try:
        days = date.fromisoformat(last) - date.fromisoformat(first)
    except ValueError:
        raise invalid("first_day", "write days as YYYY-MM-DD") from None
    if not timedelta(0) <= days <= timedelta(days=_DAYS_MAX):
        raise invalid("last_day", f"choose at most {_DAYS_MAX} days")
    return days

"""The client of ReviewService for `disrupt review`: rows of plain values, for tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from disrupt.client.staff import StaffClient
from disrupt.core.acts import Action
from disrupt.core.cases import CaseStatus
from disrupt.core.media import Assurance, ItemState, MediaKind, StateReason
from disrupt.core.outcomes import Outcome
from disrupt.v1 import review_pb2
from disrupt.v1.review_pb2_grpc import ReviewServiceStub

Row = dict[str, Any]

ITEMS_AT_ONCE = 500
"""Most items that one call changes, and most rows of a page."""


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """Filter of a list of items, as in ``ListItemsRequest``; days are ISO dates, empty for none."""

    states: Iterable[ItemState] = ()
    banks: Iterable[str] = ()
    registered: tuple[str, str] = ("", "")
    changed: tuple[str, str] = ("", "")
    outcome: Outcome | None = None
    least_reports: int = 0
    assurances: Iterable[Assurance] = ()
    case_of: bytes = b""

    def request(self) -> review_pb2.ListItemsRequest:
        """Make the request for the first page."""
        return review_pb2.ListItemsRequest(
            states=[state.value for state in self.states],  # type: ignore[misc]  # same numbers
            banks=self.banks,
            registered=_days(self.registered),
            changed=_days(self.changed),
            outcome=self.outcome.value if self.outcome else 0,  # type: ignore[arg-type]  # same numbers
            least_reports=self.least_reports,
            assurances=[assurance.value for assurance in self.assurances],  # type: ignore[misc]  # same numbers
            case_of_item_id=self.case_of,
        )


@dataclass(slots=True)
class Rows:
    """Rows of a list, and whether more follow."""

    rows: list[Row] = field(default_factory=list)
    more: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """Result of verifying the log of acts; ``broken`` is 0, or the first act that is not right."""

    acts: int
    digest: bytes
    broken: int


class ReviewClient(StaffClient[ReviewServiceStub]):
    """Look at items, cases and acts, and decide about items. A context; arguments as MatchClient's.

    Every method raises classes of disrupt.errors only.
    """

    _stub_type = ReviewServiceStub

    def items(self, query: ItemQuery, limit: int) -> Rows:
        """Return the newest ``limit`` items that are asked for."""
        request = query.request()

        def page(token: str, size: int) -> tuple[list[Row], str]:
            request.page_token, request.page_size = token, size
            answer = self._call(self._stub.ListItems, request)
            return [item_row(item) for item in answer.items], answer.next_page_token

        return _rows(page, limit)

    def cases(self, statuses: Iterable[CaseStatus], opened: tuple[str, str], limit: int) -> Rows:
        """Return the newest ``limit`` cases that are asked for."""
        request = review_pb2.ListCasesRequest(
            statuses=[status.value for status in statuses],  # type: ignore[misc]  # same numbers
            opened=_days(opened),
        )

        def page(token: str, size: int) -> tuple[list[Row], str]:
            request.page_token, request.page_size = token, size
            answer = self._call(self._stub.ListCases, request)
            return [case_row(case) for case in answer.cases], answer.next_page_token

        return _rows(page, limit)

    def item(self, item_id: bytes) -> Row:
        """Return one item. Raises NotFoundError if there is none, or it is withdrawn."""
        return item_row(
            self._call(self._stub.GetItem, review_pb2.GetItemRequest(item_id=item_id)).item
        )

    def set_states(
        self, item_ids: Iterable[bytes], state: ItemState, reason: StateReason
    ) -> list[Row]:
        """Change the state of items; return them as they are now."""
        request = review_pb2.SetItemStatesRequest(
            item_ids=item_ids,
            state=state.value,  # type: ignore[arg-type]  # same numbers
            reason=reason.value,  # type: ignore[arg-type]  # same numbers
        )
        return [item_row(item) for item in self._call(self._stub.SetItemStates, request).items]

    def move(self, item_ids: Iterable[bytes], bank: str) -> list[Row]:
        """Move items to a bank; return them as they are now."""
        request = review_pb2.MoveItemsRequest(item_ids=item_ids, bank=bank)
        return [item_row(item) for item in self._call(self._stub.MoveItems, request).items]

    def confirm(self, item_ids: Iterable[bytes]) -> list[Row]:
        """Confirm items; return them as they are now."""
        request = review_pb2.ConfirmItemsRequest(item_ids=item_ids)
        return [item_row(item) for item in self._call(self._stub.ConfirmItems, request).items]

    def acts(self, after: int, limit: int) -> Iterator[Row]:
        """Yield up to ``limit`` acts after a number, oldest first."""
        while limit > 0:
            size = min(limit, ITEMS_AT_ONCE)
            request = review_pb2.ListActsRequest(after=after, page_size=size)
            acts = self._call(self._stub.ListActs, request).acts
            if not acts:
                return
            yield from map(act_row, acts)
            after, limit = acts[-1].number, limit - len(acts)

    def verify(self, after: int = 0, digest: bytes = b"") -> Verified:
        """Verify the log of acts, from the first to the newest.

        Or from one of which the number and the digest were kept: that one is broken if the log does
        not have it.
        """
        request = review_pb2.VerifyActsRequest(after=after, digest=digest)
        while True:
            answer = self._call(self._stub.VerifyActs, request)
            if answer.broken or answer.complete:
                return Verified(answer.verified, answer.digest, answer.broken)
            request.after, request.digest = answer.verified, answer.digest


def item_row(item: review_pb2.ReviewItem) -> Row:
    """Return what is known of an item."""
    return {
        "item_id": item.item_id.hex(),
        "bank": item.bank,
        "kind": _name(MediaKind, item.kind),
        "state": _name(ItemState, item.state),
        "reason": _name(StateReason, item.reason),
        "changed_on": item.changed_on,
        "registered_on": item.registered_on,
        "assurance": _name(Assurance, item.assurance),
        "reports": item.reports,
        "organisations": {
            _name(Outcome, count.outcome): count.organisations for count in item.outcomes
        },
        "case": item.case_handle,
    }


def case_row(case: review_pb2.ReviewCase) -> Row:
    """Return what is known of a case."""
    return {
        "case": case.case_handle,
        "status": _name(CaseStatus, case.status),
        "opened_on": case.opened_on,
        "closed_on": case.closed_on,
        "live": case.live,
        "waiting": case.waiting,
        "disabled": case.disabled,
        "rejected": case.rejected,
        "item_id": case.item_id.hex(),
    }


def act_row(act: review_pb2.ActRecord) -> Row:
    """Return what is known of an act. ``subject`` is a dictionary, digests are in hex.

    One that was changed to what nobody can read is shown as it is.
    """
    try:
        at = datetime.fromtimestamp(act.at_s, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        at = str(act.at_s)
    try:
        subject = json.loads(act.subject)
    except ValueError:
        subject = None
    return {
        "number": act.number,
        "at": at,
        "actor": act.actor,
        "action": _name(Action, act.action),
        "subject": subject if isinstance(subject, dict) else {"unreadable": act.subject},
        "digest": act.digest.hex(),
    }


def _name(of: type[IntEnum], number: int) -> str:
    """Return the name of a value in small letters; empty for none, the number if it is unknown."""
    try:
        return of(number).name.lower()
    except ValueError:
        return str(number) if number else ""


def _days(days: tuple[str, str]) -> review_pb2.DayRange:
    return review_pb2.DayRange(first=days[0], last=days[1])


def _rows(page: Callable[[str, int], tuple[list[Row], str]], limit: int) -> Rows:
    """Read pages until there are enough rows, or no more."""
    collected, token = list[Row](), ""
    while True:
        rows, token = page(token, min(limit - len(collected), ITEMS_AT_ONCE))
        collected += rows
        if not token or len(collected) >= limit:
            return Rows(collected, bool(token))

"""The client of ReviewService for `disrupt review`: rows of plain values, for tables and JSON."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, Self, TypeAlias

from disrupt.client import calls, results
from disrupt.client.retries import RetryPolicy
from disrupt.client.review_texts import text
from disrupt.core.acts import Action
from disrupt.core.media import ITEM_ID_BYTES, Assurance, MediaKind, columns
from disrupt.core.outcomes import MatchOutcome, Settlement
from disrupt.core.registrations import REQUEST_ID_BYTES
from disrupt.core.states import ItemState, WaitReason
from disrupt.core.transforms import Dihedral, Transform
from disrupt.hashing import ImageFingerprints
from disrupt.texts import Phrase
from disrupt.v1 import review_pb2
from disrupt.v1.review_pb2_grpc import ReviewServiceStub
from disrupt.wire.fields import fingerprints_message

Row: TypeAlias = dict[str, Any]
Say: TypeAlias = Callable[[Phrase], str]

ITEMS_AT_ONCE = 500
"""Most items that one call changes, and most entries of a page."""


@dataclass(frozen=True, slots=True)
class TallyRow:
    """How often something happened on a day, or in the month that it begins."""

    day: str
    tally: str
    labels: tuple[str, ...]
    count: int


class ReviewClient:
    """Look at items and acts, and decide about items. A context; arguments as MatchClient's.

    Every method raises classes of disrupt.errors only.
    """

    def __init__(
        self,
        server: str,
        *,
        key: str,
        tls_ca: bytes | str | Path | None = None,
        timeout_s: float = calls.TIMEOUT_S,
        retries: RetryPolicy | None = None,
        say: Say = operator.attrgetter("en"),
    ) -> None:
        """``say`` chooses the language of what rows have in words."""
        self._say = say
        self._settings = calls.client_settings(server, key, tls_ca, 1, timeout_s, retries)
        self._channel = self._settings.connection.open()
        self._stub = ReviewServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def items(self, request: review_pb2.ListItemsRequest, limit: int) -> tuple[list[Row], bool]:
        """Return the newest ``limit`` items that the request asks for, and whether more follow."""
        rows = list[Row]()
        while True:
            request.page_size = min(limit - len(rows), ITEMS_AT_ONCE)
            page, request.page = self.page_of_items(request)
            rows += page
            if not request.page or len(rows) >= limit:
                return rows, bool(request.page)

    def page_of_items(self, request: review_pb2.ListItemsRequest) -> tuple[list[Row], int]:
        """Return a page of items, and where the next begins; 0: nothing follows."""
        answer: review_pb2.ListItemsResponse = self._call("ListItems", request)
        return _item_rows(answer.items), answer.next_page

    def set_states(self, item_ids: Sequence[bytes], state: ItemState, reason: str) -> list[Row]:
        """Set the state of items; return them as they are now."""
        request = review_pb2.SetItemStatesRequest(
            item_ids=item_ids,
            state=state.value,  # type: ignore[arg-type]  # same numbers
            reason=reason,
        )
        return _item_rows(self._call("SetItemStates", request).items)

    def preview(self, conditions: review_pb2.ItemConditions) -> Row:
        """Count the items that conditions name."""
        request = review_pb2.PreviewItemsRequest(conditions=conditions)
        counts: review_pb2.PreviewItemsResponse = self._call("PreviewItems", request)
        return {
            "items": counts.items,
            "cases": counts.cases,
            "hashes": counts.hashes,
            "banks": {each.bank: each.items for each in counts.banks},
            "days": {each.day: each.items for each in counts.days},
            "states": {_name(ItemState, each.state): each.items for each in counts.states},
        }

    def set_all_states(
        self, conditions: review_pb2.ItemConditions, state: ItemState, reason: str, expected: int
    ) -> Row:
        """Set the state of all items that conditions name, if they are as many as expected."""
        request = review_pb2.SetAllStatesRequest(
            conditions=conditions,
            state=state.value,  # type: ignore[arg-type]  # same numbers
            reason=reason,
            expected_items=expected,
        )
        done: review_pb2.SetAllStatesResponse = self._call("SetAllStates", request)
        return {"act": done.act or None, "items": done.items}

    def undo(self, act: int, reason: str) -> Row:
        """Undo an act on many items."""
        request = review_pb2.UndoActRequest(act=act, reason=reason)
        done: review_pb2.UndoActResponse = self._call("UndoAct", request)
        return {"act": done.act or None, "items": done.items}

    def move(self, item_ids: Sequence[bytes], bank: str, reason: str) -> list[Row]:
        """Move items to a bank; return them as they are now."""
        request = review_pb2.MoveItemsRequest(item_ids=item_ids, bank=bank, reason=reason)
        return _item_rows(self._call("MoveItems", request).items)

    def confirm(self, item_ids: Sequence[bytes], reason: str) -> list[Row]:
        """Confirm items; return them as they are now."""
        request = review_pb2.ConfirmItemsRequest(item_ids=item_ids, reason=reason)
        return _item_rows(self._call("ConfirmItems", request).items)

    def settle(
        self, item_ids: Sequence[bytes], settlement: Settlement, reason: str
    ) -> tuple[list[Row], int]:
        """Settle what is disputed of items; return them, and of how many anything was settled."""
        request = review_pb2.SettleDisputesRequest(
            item_ids=item_ids,
            settlement=settlement.value,  # type: ignore[arg-type]  # same numbers
            reason=reason,
        )
        done: review_pb2.SettleDisputesResponse = self._call("SettleDisputes", request)
        return _item_rows(done.items), done.settled_items

    def show(self, name: bytes, say: Say | None = None) -> Row:
        """Return an item, named by its id or by a match id, with what was reported of it.

        ``say`` chooses the language; None: that of the client.
        """
        say = say or self._say
        is_item = len(name) == ITEM_ID_BYTES
        request = review_pb2.ShowItemRequest(**{"item_id" if is_item else "match_id": name})
        answer: review_pb2.ShowItemResponse = self._call("ShowItem", request)
        return _item_row(answer.item) | {
            "matched": [_version_row(version, say) for version in answer.matched],
            "matched_at": _time(answer.matched_at_s) if answer.matched_at_s else None,
            "reports": [
                {
                    "organisation": report.organisation,
                    "outcome": _name(MatchOutcome, report.outcome),
                    "day": report.day,
                    "versions": [_version_row(version, say) for version in report.versions],
                    "settlement": _name(Settlement, report.settlement)
                    if report.settlement
                    else None,
                }
                for report in answer.reports
            ],
        }

    def add_common(self, picture: ImageFingerprints, reason: str, *, although_matched: bool) -> Row:
        """Add a picture to those in common use; return it as it is listed."""
        request = review_pb2.AddCommonPictureRequest(
            request_id=secrets.token_bytes(REQUEST_ID_BYTES),
            fingerprints=fingerprints_message(columns(picture.fingerprints), MediaKind.IMAGE),
            reason=reason,
            although_matched=although_matched,
        )
        return _item_row(self._call("AddCommonPicture", request).item)

    def remove_common(self, item_ids: Sequence[bytes], reason: str) -> None:
        """Take pictures out of those in common use."""
        request = review_pb2.RemoveCommonPicturesRequest(item_ids=item_ids, reason=reason)
        self._call("RemoveCommonPictures", request)

    def erase_case(self, case_number: str) -> Row:
        """Ask that a case be erased; ``erased_on`` is None until a second key has asked."""
        request = review_pb2.EraseCaseRequest(case_number=case_number)
        answer: review_pb2.EraseCaseResponse = self._call("EraseCase", request)
        return _erasure_row(answer)

    def erasures(self, limit: int) -> tuple[list[Row], bool]:
        """Return the erasures of the newest ``limit`` cases, and whether more follow."""
        rows, page = list[Row](), 0
        while True:
            listed, page = self.page_of_erasures(min(limit - len(rows), ITEMS_AT_ONCE), page)
            rows += listed
            if not page or len(rows) >= limit:
                return rows, bool(page)

    def page_of_erasures(self, size: int, page: int) -> tuple[list[Row], int]:
        """Return a page of erasures, and where the next begins; 0: nothing follows."""
        request = review_pb2.ListErasuresRequest(page_size=size, page=page)
        answer: review_pb2.ListErasuresResponse = self._call("ListErasures", request)
        rows = [
            _erasure_row(erasure)
            | {"asked_by": erasure.asked_by, "asked_at": _time(erasure.asked_at_s)}
            for erasure in answer.erasures
        ]
        return rows, answer.next_page

    def mirrors(self) -> list[Row]:
        """Return who reads the feed, the latest first."""
        request = review_pb2.ListMirrorsRequest()
        answer: review_pb2.ListMirrorsResponse = self._call("ListMirrors", request)
        return [
            {
                "key": mirror.key_id,
                "name": mirror.name,
                "organisation": mirror.organisation,
                "behind_s": mirror.behind_s,
                "reported_at": _time(mirror.reported_at_s) if mirror.reported_at_s else None,
                "level_at": _time(mirror.level_at_s) if mirror.level_at_s else None,
                "version": mirror.version or None,
                "has_ended": mirror.has_ended,
            }
            for mirror in answer.mirrors
        ]

    def acts(self, request: review_pb2.ListActsRequest, limit: int) -> tuple[list[Row], bool]:
        """Return the newest ``limit`` acts that the request asks for, and whether more follow."""
        rows = list[Row]()
        while True:
            request.page_size = min(limit - len(rows), ITEMS_AT_ONCE)
            page, request.before = self.page_of_acts(request)
            rows += page
            if not request.before or len(rows) >= limit:
                return rows, bool(request.before)

    def page_of_acts(self, request: review_pb2.ListActsRequest) -> tuple[list[Row], int]:
        """Return a page of acts, and where the next begins; 0: nothing follows."""
        answer: review_pb2.ListActsResponse = self._call("ListActs", request)
        return [*map(_act_row, answer.acts)], answer.next_before

    def service(self) -> Row:
        """Return the own key; and for one that sees all banks, banks, keys, quotas and erasure."""
        request = review_pb2.ShowServiceRequest()
        answer: review_pb2.ShowServiceResponse = self._call("ShowService", request)
        return {
            "own_key": _key_row(answer.own_key),
            "banks": [
                {
                    "bank": bank.name,
                    "max_distance_bits": bank.max_distance_bits,
                    "goes_live": bank.goes_live,
                    "organisations": list(bank.organisations),
                }
                for bank in answer.banks
            ],
            "keys": [*map(_key_row, answer.keys)],
            "quotas": [
                {
                    "organisation": quota.organisation,
                    "per_minute": quota.per_minute or None,
                    "per_day": quota.per_day or None,
                    "hashes_per_minute": quota.hashes_per_minute or None,
                    "hashes_per_day": quota.hashes_per_day or None,
                }
                for quota in answer.quotas
            ],
            "oldest_withdrawn_s": answer.oldest_withdrawn_s,
            "erase_within_s": answer.erase_within_s,
        }

    def list_tallies(
        self, first_day: str, last_day: str, tallies: Sequence[str] = ()
    ) -> Iterator[TallyRow]:
        """Yield the counts of days (ISO, UTC), by day, name and labels; of no names all.

        docs/tallies.md defines them. Counts of a month are of its first day, rounded to 5.
        """
        request = review_pb2.ListTalliesRequest(
            first_day=first_day, last_day=last_day, tallies=tallies
        )
        while True:
            answer: review_pb2.ListTalliesResponse = self._call("ListTallies", request)
            for each in answer.counts:
                yield TallyRow(each.day, each.tally, tuple(each.labels), each.count)
            request.page = answer.next_page
            if not request.page:
                return

    def _call(self, method: str, request: object) -> Any:  # noqa: ANN401 of any message
        return calls.call(lambda: getattr(self._stub, method), request, self._settings)


def _item_rows(items: Iterable[review_pb2.ReviewItem]) -> list[Row]:
    return [_item_row(item) for item in items]


def _item_row(item: review_pb2.ReviewItem) -> Row:
    return {
        "item": item.item_id.hex(),
        "bank": item.bank,
        "kind": _name(MediaKind, item.kind),
        "assurance": _name(Assurance, item.assurance),
        "state": _name(ItemState, item.state),
        "state_since": _time(item.state_since_s) if item.state_since_s else None,
        "registered_on": item.registered_on,
        "outcomes": {
            _name(MatchOutcome, count.outcome): count.organisations for count in item.outcomes
        },
        "disputes": _disputes(item.disputes) if item.HasField("disputes") else None,
        "hashes": item.hashes,
        "case": item.case_tag.hex() or None,
        "origin": item.origin_tag.hex() or None,
        "key": item.key_id or None,
        "waits_for": _name(WaitReason, item.wait_reason) if item.wait_reason else None,
    }


def _key_row(key: review_pb2.ServiceKey) -> Row:
    return {
        "key": key.key_id,
        "name": key.name,
        "organisation": key.organisation,
        "rights": list(key.rights),
        "banks": list(key.banks),
        "last_used_on": key.last_used_on or None,
        "expires_on": key.expires_on or None,
        "revoked_on": key.revoked_on or None,
    }


def _erasure_row(erasure: review_pb2.EraseCaseResponse | review_pb2.CaseErasure) -> Row:
    until_s = erasure.confirm_until_s
    return {
        "case": erasure.case_tag.hex(),
        "erased_on": erasure.erased_on or None,
        "confirm_until": _time(until_s) if until_s else None,
        "items": erasure.items,
    }


def _disputes(disputes: review_pb2.Disputes) -> Row:
    return {
        "organisations": disputes.organisations,
        "narrowed": disputes.narrowed,
        "silent": disputes.silent,
        "needs_staff": list(disputes.needs_staff),
    }


def _version_row(version: review_pb2.ReportedVersion, say: Say) -> Row:
    variant = version.variant
    return {
        "distance": version.distance_bits,
        "version": f"{variant.plan}:{variant.ordinal}",
        "shows": in_words(results.transform(variant.transform), say)
        if variant.HasField("transform")
        else say(text("shows.unknown")),
    }


def in_words(version: Transform, say: Say) -> str:
    """Say what a version of a picture or frame shows."""

    def said(key: str, **fields: object) -> str:
        return say(text(f"shows.{key}").format(**fields))

    share = version.area_permille
    words = [
        said("anchored")
        if version.anchored
        else said("whole")
        if share == _WHOLE_PERMILLE
        else said("share", share=f"{share / 10:g}")
    ]
    cuts = zip(version.crop, ("left", "top", "right", "bottom"), strict=True)
    cut = [said(side, share=f"{permille / 10:g}") for permille, side in cuts if permille]
    if cut:
        words.append(said("without", cuts=", ".join(cut)))
    if version.dihedral != Dihedral.IDENTITY:
        words.append(said(version.dihedral.name))
    if version.rotation_millidegrees:
        words.append(said("tilted", degrees=f"{version.rotation_millidegrees / 1000:g}"))
    if version.scale_side_px:
        words.append(said("enlarged"))
    if version.plain_edges_cut:
        words.append(said("plain_edges"))
    return ", ".join(words)


_WHOLE_PERMILLE = 1000


def _act_row(act: review_pb2.ReviewAct) -> Row:
    return {
        "number": act.number,
        "at": _time(act.at_s),
        "actor": act.actor,
        "organisation": act.organisation,
        "action": _name(Action, act.action),
        "reason": act.reason,
        "item": act.item_id.hex() or None,
        "bank": act.bank or None,
        "key": act.key_id or None,
        "case": act.case_tag.hex() or None,
        "items": act.items or None,
        "undone": act.undone or None,
    }


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")


def _name(of: type[IntEnum], number: int) -> str:
    """Return the name of a value in small letters; its number if this version knows no name."""
    try:
        return of(number).name.lower()
    except ValueError:
        return str(number)

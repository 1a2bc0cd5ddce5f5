"""Convert the messages of FeedService, as a server makes them and as a mirror reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from disrupt.core.changes import Change, Removal
from disrupt.core.hashes import HASH_BITS, MAX_DISTANCE_BITS
from disrupt.core.lookups import MATCHED_VERSIONS_MAX
from disrupt.core.media import ITEM_ID_BYTES, NOT_NARROWED, Assurance, MediaKind
from disrupt.core.mirrors import VERSION_CHARACTERS_MAX, FeedBank, FeedItem, FeedPage
from disrupt.core.outcomes import MatchedVersion, MatchOutcome, OutcomeReport
from disrupt.core.policy import Bank
from disrupt.v1 import feed_pb2
from disrupt.wire.fields import fingerprints, fingerprints_message, invalid
from disrupt.wire.match import outcome

_DEFAULT_PAGE_SIZE = 100
_PAGE_SIZE_MAX = 1000
_MATCH_BYTES = 12
_U16_MAX = 2**16 - 1


def page_size(message: feed_pb2.ListChangesRequest) -> int:
    """Return the most changes that the page may have."""
    if message.page_size > _PAGE_SIZE_MAX:
        raise invalid("page_size", f"{message.page_size} is outside 0-{_PAGE_SIZE_MAX}")
    return message.page_size or _DEFAULT_PAGE_SIZE


def page(
    changes: Iterable[Change],
    banks: Iterable[Bank],
    next_cursor: str,
    *,
    caught_up: bool,
    answered_at_s: int,
    max_age_s: int,
) -> feed_pb2.ListChangesResponse:
    """Make a page of changes in ``banks``; ``next_cursor`` is sealed."""
    of_key = list(banks)
    bank_names = {bank.number: bank.name for bank in of_key}
    return feed_pb2.ListChangesResponse(
        changes=[change(value, bank_names) for value in changes],
        next_cursor=next_cursor,
        caught_up=caught_up,
        banks=[
            feed_pb2.FeedBank(name=bank.name, max_distance_bits=bank.max_distance_bits)
            for bank in of_key
        ],
        answered_at_s=answered_at_s,
        max_age_s=max_age_s,
    )


def read_page(message: feed_pb2.ListChangesResponse) -> FeedPage:
    """Return what a page says. Raises InvalidRequestError where it is none, or is not whole."""
    banks = [FeedBank(bank.name, bank.max_distance_bits) for bank in message.banks]
    names = {bank.name for bank in banks}
    if len(names) < len(banks) or any(
        not bank.name or bank.max_distance_bits > MAX_DISTANCE_BITS for bank in banks
    ):
        raise invalid("banks", "each has a name of its own, and a distance that matches may have")
    if not message.next_cursor:
        raise invalid("next_cursor", "there is none")
    items = dict[bytes, FeedItem | None]()
    for at, each in enumerate(message.changes):
        path = f"changes[{at}]"
        if each.WhichOneof("change") == "removed":
            items[_item_id(each.removed.item_id, path)] = None
        elif each.WhichOneof("change") == "added":
            item = _item(each.added, path)
            if item.bank not in names:
                raise invalid(f"{path}.bank", "no bank of the page")
            items[item.item_id] = item
        else:
            raise invalid(path, "a change of another version of this program")
    return FeedPage(
        items,
        message.next_cursor,
        message.caught_up,
        banks,
        message.answered_at_s,
        message.max_age_s,
    )


def _item_id(value: bytes, path: str) -> bytes:
    if len(value) != ITEM_ID_BYTES:
        raise invalid(f"{path}.item_id", f"{len(value)} bytes; an item id has {ITEM_ID_BYTES}")
    return value


def _item(message: feed_pb2.ItemAdded, path: str) -> FeedItem:
    try:
        kind, assurance = MediaKind(message.kind), Assurance(message.assurance)
    except ValueError:
        raise invalid(path, "an item of another version of this program") from None
    columns = fingerprints(message.fingerprints, kind, path=f"{path}.fingerprints")
    below_bits = np.full(len(columns), NOT_NARROWED, np.uint8)
    if narrowed := message.fingerprints.below_bits:
        if len(narrowed) != len(columns) or max(narrowed) > NOT_NARROWED:
            raise invalid(f"{path}.below_bits", "one for each hash, 0-255")
        below_bits[:] = narrowed
    item_id = _item_id(message.item_id, path)
    return FeedItem(item_id, message.bank, kind, assurance, columns, below_bits)


def page_request(cursor: str) -> feed_pb2.ListChangesRequest:
    """Make the request for the page after a cursor, as large as it may be."""
    return feed_pb2.ListChangesRequest(cursor=cursor, page_size=_PAGE_SIZE_MAX)


def mirror_request(applied: str, erased: str, version: str) -> feed_pb2.ReportMirrorRequest:
    """Make the report of a mirror, of two cursors."""
    return feed_pb2.ReportMirrorRequest(
        applied_cursor=applied, erased_cursor=erased, version=version
    )


def mirror_answer() -> feed_pb2.ReportMirrorResponse:
    """Make the answer to a report that is kept."""
    return feed_pb2.ReportMirrorResponse()


def item_outcome_answer() -> feed_pb2.ReportItemOutcomeResponse:
    """Make the answer to an outcome that is noted."""
    return feed_pb2.ReportItemOutcomeResponse()


def queued_outcome(entry: bytes) -> tuple[feed_pb2.ReportItemOutcomeRequest, bool]:
    """Return a request of ``item_outcome_request`` from its bytes, and whether it disputes."""
    request = feed_pb2.ReportItemOutcomeRequest.FromString(entry)
    return request, request.outcome == MatchOutcome.FALSE_POSITIVE.value


def mirror_version(message: feed_pb2.ReportMirrorRequest) -> str:
    """Return the version that a mirror names, which may be empty."""
    version = message.version
    if len(version) > VERSION_CHARACTERS_MAX or not (version.isascii() and version.isprintable()):
        raise invalid("version", f"at most {VERSION_CHARACTERS_MAX} printable characters of ASCII")
    return version


def item_outcome(message: feed_pb2.ReportItemOutcomeRequest, organisation: str) -> OutcomeReport:
    """Return what a mirror passes on for its organisation."""
    if len(message.match) != _MATCH_BYTES:
        raise invalid("match", f"{len(message.match)} bytes; draw {_MATCH_BYTES} random ones")
    versions = tuple(
        MatchedVersion(each.plan, each.ordinal, each.distance_bits) for each in message.versions
    )
    places = {version[:2] for version in versions}
    if not 0 < len(places) == len(versions) <= MATCHED_VERSIONS_MAX:
        raise invalid("versions", f"1 to {MATCHED_VERSIONS_MAX}, each once")
    if any(max(place) > _U16_MAX for place in places) or any(
        version.distance_bits > HASH_BITS for version in versions
    ):
        raise invalid("versions", "a plan, place or distance that there is not")
    item_id = _item_id(message.item_id, "request")
    return OutcomeReport(item_id, organisation, outcome(message.outcome), message.match, versions)


def item_outcome_request(report: OutcomeReport) -> feed_pb2.ReportItemOutcomeRequest:
    """Make the request by which a mirror passes an outcome on."""
    return feed_pb2.ReportItemOutcomeRequest(
        item_id=report.item_id,
        outcome=report.outcome.value,  # type: ignore[arg-type]  # same numbers
        match=report.match,
        versions=[feed_pb2.NamedVersion(**each._asdict()) for each in report.versions],
    )


def change(value: Change, bank_names: Mapping[int, str]) -> feed_pb2.Change:
    """Convert a change to a message."""
    if isinstance(value, Removal) or value.item is None:
        return feed_pb2.Change(removed=feed_pb2.ItemRemoved(item_id=value.item_id))
    item = value.item
    fingerprints = fingerprints_message(item.fingerprints, item.kind)
    if (item.below_bits != NOT_NARROWED).any():
        fingerprints.below_bits.extend(item.below_bits.tolist())
    return feed_pb2.Change(
        added=feed_pb2.ItemAdded(
            item_id=item.item_id,
            bank=bank_names[item.bank],
            assurance=item.assurance.value,  # type: ignore[arg-type]  # same numbers
            kind=item.kind.value,  # type: ignore[arg-type]  # same numbers
            fingerprints=fingerprints,
        )
    )

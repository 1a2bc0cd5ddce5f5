"""Convert the messages of FeedService: pages of changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from disrupt.core.changes import Change, Removal
from disrupt.core.media import NOT_NARROWED
from disrupt.v1 import feed_pb2
from disrupt.wire.fields import fingerprints_message, invalid

_DEFAULT_PAGE_SIZE = 100
_PAGE_SIZE_MAX = 1000


def page_size(message: feed_pb2.ListChangesRequest) -> int:
    """Return the most changes that the page may have."""
    if message.page_size > _PAGE_SIZE_MAX:
        raise invalid("page_size", f"{message.page_size} is outside 0-{_PAGE_SIZE_MAX}")
    return message.page_size or _DEFAULT_PAGE_SIZE


def page(
    changes: Iterable[Change], bank_names: Mapping[int, str], next_cursor: str, *, caught_up: bool
) -> feed_pb2.ListChangesResponse:
    """Make a page of changes; ``next_cursor`` is sealed."""
    return feed_pb2.ListChangesResponse(
        changes=[change(value, bank_names) for value in changes],
        next_cursor=next_cursor,
        caught_up=caught_up,
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

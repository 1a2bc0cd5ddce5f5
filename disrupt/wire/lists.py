"""Convert the messages about partners' lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from disrupt.admin.v1 import admin_pb2
from disrupt.core import media
from disrupt.core.lists import ListEntry, ListFeedback, PartnerList
from disrupt.core.media import MediaKind
from disrupt.core.outcomes import MatchOutcome
from disrupt.wire.fields import invalid


def partner_list(kept: PartnerList) -> admin_pb2.List:
    """Return the message of a list."""
    return admin_pb2.List(
        name=kept.name,
        source=kept.source,
        checkpoint=kept.checkpoint,
        entries=kept.entries,
        added_s=kept.added_s,
        read_s=kept.read_s,
        tried_s=kept.tried_s,
        failure=kept.failure,
        failures=kept.failures,
        skipped=skipped_messages(kept.skipped),
        is_removed=kept.is_removed,
    )


def skipped_messages(skipped: Mapping[str, int]) -> list[admin_pb2.SkippedEntries]:
    """Return the messages of how many entries were skipped, by reason."""
    return [
        admin_pb2.SkippedEntries(reason=reason, entries=count) for reason, count in skipped.items()
    ]


def skipped(messages: Iterable[admin_pb2.SkippedEntries]) -> dict[str, int]:
    """Return how many entries were skipped, by reason."""
    return {message.reason: message.entries for message in messages}


def apply_request(
    name: str,
    entries: Iterable[ListEntry],
    checkpoint: str | None = None,
    withdrawn_before_s: int = 0,
) -> admin_pb2.ApplyListRequest:
    """Make the request to apply a part of a list."""
    return admin_pb2.ApplyListRequest(
        name=name,
        entries=[
            admin_pb2.ListEntry(source_id=entry.source_id, changed_s=entry.changed_s)
            if entry.fingerprints is None
            else admin_pb2.ListEntry(
                source_id=entry.source_id,
                changed_s=entry.changed_s,
                kind=entry.kind,
                fingerprints=media.pack(entry.fingerprints),
            )
            for entry in entries
        ],
        checkpoint=checkpoint,
        withdrawn_before_s=withdrawn_before_s,
    )


def entries(message: admin_pb2.ApplyListRequest) -> list[ListEntry]:
    """Return the entries of a part. Raises InvalidRequestError."""
    return [_entry(entry) for entry in message.entries]


def _entry(message: admin_pb2.ListEntry) -> ListEntry:
    if not message.kind:
        return ListEntry(message.source_id, message.changed_s, MediaKind.IMAGE)
    try:
        kind, fingerprints = MediaKind(message.kind), media.unpack(message.fingerprints)
    except ValueError:
        raise invalid("entries", "a kind or fingerprints of another version") from None
    return ListEntry(message.source_id, message.changed_s, kind, fingerprints)


def feedback(message: admin_pb2.ListFeedback) -> ListFeedback:
    """Return what platforms did with matches of an entry. Raises InvalidRequestError."""
    try:
        return ListFeedback(message.source_id, message.hash, MatchOutcome(message.outcome))
    except ValueError:
        raise invalid("outcome", "an outcome of another version") from None


def feedback_message(feedback: ListFeedback) -> admin_pb2.ListFeedback:
    """Return the message of what platforms did with matches of an entry."""
    return admin_pb2.ListFeedback(
        source_id=feedback.source_id, hash=feedback.hash, outcome=feedback.outcome
    )

"""Table of the calls: who may make each, who answers it, and what it may send and hold.

A call that is missing is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from google.protobuf.descriptor import ServiceDescriptor

from disrupt.admin.v1 import admin_pb2
from disrupt.core.policy import Right
from disrupt.server.config import Config
from disrupt.server.edge.limits import (
    CHUNK_BYTES_MAX,
    FINGERPRINT_BYTES,
    FRAMES_MAX,
    registration_bytes,
)
from disrupt.server.edge.receiving import Decode, MessageLimit
from disrupt.server.edge.shares import Resource
from disrupt.v1 import feed_pb2, match_pb2, registration_pb2, review_pb2
from disrupt.wire import payloads

MATCH = match_pb2.DESCRIPTOR.services_by_name["MatchService"]
REGISTRATION = registration_pb2.DESCRIPTOR.services_by_name["RegistrationService"]
FEED = feed_pb2.DESCRIPTOR.services_by_name["FeedService"]
REVIEW = review_pb2.DESCRIPTOR.services_by_name["ReviewService"]
ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]

SERVICES: tuple[ServiceDescriptor, ...] = (MATCH, REGISTRATION, FEED, REVIEW)
"""The public services."""

_HASH_BYTES = 32 + 1
"""A hash to look up, and its quality."""
_ITEM_ID_BYTES = 16 + 2


@dataclass(frozen=True, slots=True)
class Method:
    """Rights, relay and limits of one method."""

    right: Right | None = None
    """Right that its caller's key needs; None where no caller may make it."""
    relayed_for: tuple[Right, ...] = ()
    """Rights, any of which suffices, of keys for which another machine may ask the writer for it.
    Empty where the writer answers no other machine."""
    holds: Resource | None = None
    """What it takes once its message is there. It is refused before, where it may not."""
    payload_bytes: Callable[[Config], int] | None = None
    """Most bytes of a message beside its envelope; None where there are none."""
    hashes: Callable[[Config], int] | None = None
    """Most hashes of a message, by which its limit is named; None where it has none."""
    decode: Decode | None = None
    """Decoder of a worker that is not protobuf's own."""

    @property
    def is_relayed(self) -> bool:
        """Tell whether the writer answers it, for workers of other machines, too."""
        return bool(self.relayed_for)


def _relayed(right: Right, payload_bytes: Callable[[Config], int] | None = None) -> Method:
    return Method(right, relayed_for=(right,), payload_bytes=payload_bytes)


def _message(config: Config) -> int:
    return config.max_message_bytes


_OF_MATCH = {
    "MatchHashes": Method(
        Right.MATCH,
        payload_bytes=lambda config: config.max_hashes_per_lookup * _HASH_BYTES,
        hashes=lambda config: config.max_hashes_per_lookup,
    ),
    "MatchImage": Method(
        Right.MATCH,
        holds=Resource.PICTURES,
        payload_bytes=_message,
        decode=payloads.match_image,
    ),
    # holds no decoder: it may send frames, which need none
    "MatchVideo": Method(
        Right.MATCH,
        payload_bytes=lambda _: FRAMES_MAX * FINGERPRINT_BYTES,
        hashes=lambda _: FRAMES_MAX,
        decode=partial(payloads.match_video, hashes_max=FRAMES_MAX),
    ),
    "GetIndexStatus": Method(Right.MATCH),
    "ReportOutcome": Method(Right.MATCH),  # reaches the writer as RecordOutcome
}
_OF_REGISTRATION = {
    # pictures and videos of staff reach the writer as their hashes, in these two calls
    "RegisterHashes": Method(
        Right.REGISTER,
        relayed_for=(Right.REGISTER, Right.STAFF),
        payload_bytes=registration_bytes,
        hashes=lambda config: config.max_hashes_per_registration,
    ),
    "GetCase": Method(Right.REGISTER, relayed_for=(Right.REGISTER, Right.STAFF)),
    "RegisterImage": Method(
        Right.STAFF,
        holds=Resource.PICTURES,
        payload_bytes=_message,
        decode=payloads.register_image,
    ),
    "RegisterVideo": Method(
        Right.STAFF, holds=Resource.VIDEOS, payload_bytes=lambda _: CHUNK_BYTES_MAX
    ),
    "WithdrawItems": _relayed(
        Right.REGISTER, lambda config: config.max_items_per_case * _ITEM_ID_BYTES
    ),
    "WithdrawCase": _relayed(Right.REGISTER),
    "KeepCase": _relayed(Right.REGISTER),
    "GetReceipt": _relayed(Right.REGISTER),
    "GetChallenge": _relayed(Right.REGISTER),
    "ListPartners": Method(Right.REGISTER),  # a worker knows the keys, and so the partners
}
_OF_REVIEW = {
    "ListItems": _relayed(Right.REVIEW),
    "SetItemStates": _relayed(Right.REVIEW),
    "PreviewItems": _relayed(Right.REVIEW),
    "SetAllStates": _relayed(Right.REVIEW),
    "UndoAct": _relayed(Right.REVIEW),
    "MoveItems": _relayed(Right.REVIEW),
    "ConfirmItems": _relayed(Right.REVIEW),
    "SettleDisputes": _relayed(Right.REVIEW),
    "ShowItem": _relayed(Right.REVIEW),
    "AddCommonPicture": _relayed(Right.REVIEW),
    "RemoveCommonPictures": _relayed(Right.REVIEW),
    "EraseCase": _relayed(Right.REVIEW),
    "ListErasures": _relayed(Right.REVIEW),
    "ListMirrors": _relayed(Right.REVIEW),
    "ListActs": _relayed(Right.REVIEW),
    "ListTallies": _relayed(Right.REVIEW),
    "ShowService": _relayed(Right.REVIEW),
}


_OF_FEED = {
    "ListChanges": Method(Right.FEED),
    "ReportMirror": Method(Right.FEED),  # reaches the writer as NoteMirror
    "ReportItemOutcome": Method(Right.FEED),  # reaches the writer as RecordOutcome
}
_OF_ADMIN = {
    "RecordOutcome": Method(relayed_for=(Right.MATCH, Right.FEED)),
    "NoteMirror": Method(relayed_for=(Right.FEED,)),
}


def _named(service: ServiceDescriptor, methods: Mapping[str, Method]) -> dict[str, Method]:
    return {f"/{service.full_name}/{name}": method for name, method in methods.items()}


METHODS: Mapping[str, Method] = {
    **_named(MATCH, _OF_MATCH),
    **_named(REGISTRATION, _OF_REGISTRATION),
    **_named(FEED, _OF_FEED),
    **_named(REVIEW, _OF_REVIEW),
    **_named(ADMIN, _OF_ADMIN),
}
"""The public calls, and those of AdminService that other machines make for a key, by path."""

PUBLIC: Mapping[str, Right] = {
    path: method.right for path, method in METHODS.items() if method.right is not None
}
"""The calls that a caller may make, and the right that each needs."""

FOR_MACHINES = (
    "/disrupt.admin.v1.AdminService/NoteKeyUses",
    "/disrupt.admin.v1.AdminService/CountUploads",
    "/grpc.health.v1.Health/",
)
"""Begins of the calls that other machines make of the writer for no key."""

WITHOUT_KEY = "/grpc.health.v1.Health/"
"""Prefix of the calls that anybody may make."""

WITH_ANY_KEY = "/grpc.reflection."
"""Prefix of the calls that need a key, whatever its rights."""

_NONE = Method()


def method(path: str) -> Method:
    """Return what holds for a call; nothing, where the table has none."""
    return METHODS.get(path, _NONE)


def message_limit(path: str, config: Config) -> MessageLimit:
    """Return the most of one message of a call, which is refused before it is decoded."""
    row = method(path)
    payload_bytes = row.payload_bytes(config) if row.payload_bytes else 0
    size_bytes = min(payloads.ENVELOPE_BYTES_MAX + payload_bytes, config.max_message_bytes)
    hashes = f"{row.hashes(config)} hashes and " if row.hashes else ""
    return MessageLimit(size_bytes, f"{hashes}{size_bytes} bytes")

"""Convert the messages of AdminService about lookups that are counted and harmless pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from disrupt.admin.v1 import admin_pb2
from disrupt.core.hashes import HASH_BYTES, unpack
from disrupt.core.media import ITEM_ID_BYTES
from disrupt.core.sketches import Sighting
from disrupt.wire.fields import invalid

_LOOKUPS_AT_ONCE = 1000
_HASHES_AT_ONCE = 10_000
_CHARACTERS_MAX = 100


def far_lookups_request(day: str, sightings: Iterable[Sighting]) -> admin_pb2.NoteFarLookupsRequest:
    """Make the request to count lookups of a day."""
    return admin_pb2.NoteFarLookupsRequest(
        day=day,
        lookups=[
            admin_pb2.FarLookup(
                item_id=sighting.item_id,
                organisation=sighting.organisation,
                disguised=sighting.disguised,
                limit=sighting.limit,
            )
            for sighting in sightings
        ],
    )


def sightings(message: admin_pb2.NoteFarLookupsRequest) -> list[Sighting]:
    """Return the lookups that a worker saw."""
    if len(message.lookups) > _LOOKUPS_AT_ONCE:
        raise invalid("lookups", f"{len(message.lookups)}; at most {_LOOKUPS_AT_ONCE}")
    for lookup in message.lookups:
        if (len(lookup.item_id), len(lookup.disguised)) != (ITEM_ID_BYTES, HASH_BYTES):
            raise invalid("lookups", f"an id has {ITEM_ID_BYTES} bytes, and a hash {HASH_BYTES}")
        if not (lookup.limit and 0 < len(lookup.organisation) <= _CHARACTERS_MAX):
            raise invalid("lookups", "a limit and an organisation are needed")
    return [
        Sighting(lookup.item_id, lookup.organisation, lookup.disguised, lookup.limit)
        for lookup in message.lookups
    ]


def far_lookups_answer() -> admin_pb2.NoteFarLookupsResponse:
    """Make the answer that lookups are counted."""
    return admin_pb2.NoteFarLookupsResponse()


def add_negatives_request(label: str, hashes: bytes) -> admin_pb2.AddNegativesRequest:
    """Make the request to add packed hashes of harmless pictures."""
    try:
        return admin_pb2.AddNegativesRequest(label=label, hashes=hashes)
    except UnicodeEncodeError:
        raise invalid("label", "not UTF-8") from None


def added_negatives(message: admin_pb2.AddNegativesRequest) -> tuple[str, NDArray[np.uint8]]:
    """Return label and hashes, uint8 (n, 32), of harmless pictures."""
    hashes = unpack(message.hashes)
    if not 1 <= len(hashes) <= _HASHES_AT_ONCE:
        raise invalid("hashes", f"{len(hashes)} is outside 1-{_HASHES_AT_ONCE}")
    return _label(message.label), hashes


def add_negatives_answer(added: int) -> admin_pb2.AddNegativesResponse:
    """Make the answer that says how many hashes are new."""
    return admin_pb2.AddNegativesResponse(added=added)


def list_negatives_request() -> admin_pb2.ListNegativesRequest:
    """Make the request for the labels of harmless pictures."""
    return admin_pb2.ListNegativesRequest()


def list_negatives_answer(labels: Sequence[str]) -> admin_pb2.ListNegativesResponse:
    """Make the answer that counts the hashes of each label."""
    return admin_pb2.ListNegativesResponse(
        labels=[
            admin_pb2.NegativesLabel(label=label, hashes=hashes)
            for label, hashes in sorted(Counter(labels).items())
        ]
    )


def remove_negatives_request(label: str) -> admin_pb2.RemoveNegativesRequest:
    """Make the request to remove the harmless pictures of a label."""
    try:
        return admin_pb2.RemoveNegativesRequest(label=label)
    except UnicodeEncodeError:
        raise invalid("label", "not UTF-8") from None


def removed_label(message: admin_pb2.RemoveNegativesRequest) -> str:
    """Return the label whose harmless pictures are to be removed."""
    return _label(message.label)


def remove_negatives_answer(removed: int) -> admin_pb2.RemoveNegativesResponse:
    """Make the answer that says how many hashes are removed."""
    return admin_pb2.RemoveNegativesResponse(removed=removed)


def _label(text: str) -> str:
    label = text.strip()
    if not (0 < len(label) <= _CHARACTERS_MAX and label.isprintable()):
        raise invalid("label", f"give 1-{_CHARACTERS_MAX} printable characters")
    return label

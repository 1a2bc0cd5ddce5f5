"""Registrations to test with, and changes as plain values."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from disrupt.core import media
from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.cases import CASE_NUMBERS, case_number
from disrupt.core.changes import Addition, Change, Cursor, shown_item
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, StoredItems
from disrupt.core.policy import ADULTS, ApiKey, Right
from disrupt.core.tallies import Statement
from disrupt.registry.records import NewCase, NewItem, Registration
from disrupt.registry.registry import RegistryReader, RegistryWriter

DAY = "2026-11-24"
NEXT_DAY = "2026-11-25"


def new_case(chance: random.Random) -> NewCase:
    """Return a new case with a random number and PIN."""
    number = case_number(chance.randrange(CASE_NUMBERS))
    return NewCase(number, f"$argon2id${chance.getrandbits(64):x}")


def new_item(chance: random.Random, hashes: int = 2, kind: MediaKind = MediaKind.IMAGE) -> NewItem:
    """Return an item with random fingerprints."""
    raw = chance.randbytes(hashes * FINGERPRINT.itemsize)
    return NewItem(chance.randbytes(16), kind, np.frombuffer(raw, FINGERPRINT))


Row = tuple[int, int, int]
"""Plan, ordinal and what decides the hash of a fingerprint."""

OWN: Row = (0, 0, 0)


def item_of(
    chance: random.Random, picture: int, *rows: Row, kind: MediaKind = MediaKind.IMAGE
) -> NewItem:
    """Return an item of a picture: fingerprints of these rows, or of plan 0 alone; any quality."""
    fingerprints = np.zeros(len(rows or [OWN]), FINGERPRINT)
    for at, (plan, ordinal, version) in enumerate(rows or [OWN]):
        said = hashlib.sha256(repr((picture, plan, ordinal, version)).encode()).digest()
        fingerprints[at] = (np.frombuffer(said, np.uint8), 50, 1, plan, ordinal, 0, 0)
    fingerprints["quality"] = chance.randint(50, 100)
    return NewItem(chance.randbytes(16), kind, fingerprints)


def registration(
    chance: random.Random,
    case: NewCase | str | None = None,
    *items: NewItem,
    bank: int = ADULTS.number,
    statement: Statement | None = None,
) -> Registration:
    """Return a registration: into a new case, of one random item, unless given."""
    return Registration(
        chance.randbytes(16),
        chance.randbytes(32),
        new_case(chance) if case is None else case,
        bank,
        Assurance.SELF_REPORTED,
        items or (new_item(chance),),
        statement=statement,
    )


ACT = Act(OPERATOR, "", Action.KEY_ADDED, 1_764_000_000)
"""An act, of whatever kind, that keys are changed by."""


def api_key(key_id: str) -> ApiKey:
    """Return a valid key of this id, of 8 characters."""
    secret = key_id.encode() * 4
    return ApiKey(
        key_id,
        "somebody",
        "some organisation",
        secret,
        frozenset({Right.MATCH}),
        frozenset({1}),
        DAY,
    )


def keys_of(reader: RegistryReader, organisation: str) -> list[ApiKey]:
    """Return the keys of an organisation, oldest first."""
    stored = reader.keys()
    return [key for key in stored if key.organisation == organisation]


def ensure_key(writer: RegistryWriter, organisation: str) -> str:
    """Return the id of an organisation's key, made where it has none: so its reports count."""
    key = next(iter(keys_of(writer, organisation)), None)
    if key is None:
        key = replace(api_key(f"{organisation:8.8}"), organisation=organisation)
        writer.add_key(key, act=ACT)
    return key.key_id


def plain(change: Change) -> tuple[object, ...]:
    """Return a change without its sequence: (number, item id, bank), then what it shows."""
    item = shown_item(change)
    if item is not None:
        what = (item.kind, item.assurance, media.pack(item.fingerprints))
        return (item.number, item.item_id, item.bank, *what)
    assert not isinstance(change, Addition)
    return (change.number, change.item_id, change.bank)


def plain_items(items: StoredItems) -> list[tuple[object, ...]]:
    """Return what ``plain`` gives for the addition of each item."""
    blobs = np.split(items.fingerprints, np.cumsum(items.lengths)[:-1]) if len(items) else []
    plain_columns = (items.number, items.bank, items.kind, items.assurance)
    return [
        (number, item_id.tobytes(), bank, kind, assurance, media.pack(blob))
        for number, bank, kind, assurance, item_id, blob in zip(
            *(column.tolist() for column in plain_columns), items.item_id, blobs, strict=True
        )
    ]


def pages(
    reader: RegistryReader, after: Cursor | None = None, limit: int = 100
) -> Iterator[tuple[Sequence[Change], Cursor]]:
    """Yield pages of changes until one is empty."""
    cursor = after or Cursor(reader.head().epoch, 0)
    while True:
        page, cursor = reader.changes(cursor, limit)
        if not page:
            return
        yield page, cursor


def all_changes(reader: RegistryReader, limit: int = 100) -> list[Change]:
    """Return all changes of a registry."""
    return [change for page, _ in pages(reader, limit=limit) for change in page]

"""A picture registered again in its case leaves nothing of the item that it replaces."""

from __future__ import annotations

import secrets as random

import numpy as np
from numpy.typing import NDArray

from disrupt.core.cases import AgeBand
from disrupt.core.media import FINGERPRINT, MediaKind, Profile
from disrupt.core.registrations import MediaItem, Outcome
from disrupt.data_directory import JOURNAL
from disrupt.registry import journal
from disrupt.submission import requests
from disrupt.v1 import registration_pb2
from rig.callers.caller import PIN, Caller, items, lookup
from rig.servers.deployment import Deployment, run
from rig.waiting import eventually


def fingerprints(own: bytes, ordinal: int) -> NDArray[np.void]:
    """Return the hash of a picture itself, and before it a random one of a part."""
    rows = np.zeros(2, FINGERPRINT)
    rows["plan"], rows["quality"], rows["profile"] = (1, 0), 90, Profile.PDQ_512
    rows["ordinal"] = ordinal, 0
    rows["hash"] = np.frombuffer(random.token_bytes(32) + own, np.uint8).reshape(2, 32)
    return rows


def submit(
    helpline: Caller, fingerprints: NDArray[np.void], case: str = ""
) -> registration_pb2.Receipt:
    """Register what a client has hashed."""
    request = requests.register(
        [MediaItem(MediaKind.IMAGE, fingerprints)],
        request_id=random.token_bytes(16),
        opens=requests.access(case, PIN),
        age=AgeBand.ADULT,
    )
    receipt: registration_pb2.Receipt = helpline("RegisterHashes", request).receipt
    return receipt


def named(receipt: registration_pb2.Receipt) -> tuple[bytes, Outcome]:
    (item,) = receipt.items
    return item.item_id, Outcome(item.outcome)


def matched(platforms: list[Caller], value: bytes) -> set[tuple[bytes, ...]]:
    """Return what the workers answer to an exact lookup."""
    exact = lookup(value, max_distance_bits=0)
    return {tuple(items(call("MatchHashes", exact))) for call in platforms}


def test_nothing_of_the_item_that_was_replaced_is_left(
    server: Deployment, helpline: Caller, platforms: list[Caller]
) -> None:
    own = random.token_bytes(32)
    before = fingerprints(own, ordinal=0)
    gone = before[0]["hash"].tobytes()
    receipt = submit(helpline, before)
    old, _ = named(receipt)

    def holding() -> set[str]:
        return {
            path.name
            for path in server.data_dir.rglob("*")
            if path.is_file() and any(half in path.read_bytes() for half in (gone[:16], gone[16:]))
        }

    run("disrupt-index", "rebuild", "--data-dir", server.data_dir)
    assert holding() >= {"codes.faiss"}
    eventually(lambda: matched(platforms, gone) == {(old,)})

    new, outcome = named(submit(helpline, fingerprints(own, ordinal=1), receipt.case_number))
    assert outcome == Outcome.RENEWED
    journaled = journal.read(server.data_dir / JOURNAL)
    assert journaled is not None
    assert old in {removal.item_id for removal in journaled.removed}
    eventually(lambda: matched(platforms, gone) == {()})
    eventually(lambda: matched(platforms, own) == {(new,)})
    assert not holding() & {"registry.db", "registry.db-wal"}
    run("disrupt", "erase", "--data-dir", server.data_dir)
    assert holding() == set()
    assert matched(platforms, own) == {(new,)}

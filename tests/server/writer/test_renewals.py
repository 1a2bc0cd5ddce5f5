"""A picture registered again in its case leaves nothing of the item that it replaces."""

from __future__ import annotations

import secrets as random

from disrupt.data_directory import JOURNAL
from disrupt.registry import journal
from disrupt.v1 import registration_pb2
from rig.callers.acts import found
from rig.callers.caller import Caller, distinctive, register
from rig.servers.deployment import Deployment, run
from rig.waiting import eventually


def with_a_part(own: bytes, part: bytes, case: str = "", *, ordinal: int) -> object:
    """Return a registration of a picture, and of a hash of a part of it."""
    request = register(own, case=case)
    fingerprints = request.items[0].fingerprints
    fingerprints.hashes = own + part
    fingerprints.qualities *= 2
    fingerprints.plans[:], fingerprints.ordinals[:] = [0, 1], [0, ordinal]
    return request


def test_nothing_of_the_item_that_was_replaced_is_left(
    server: Deployment, helpline: Caller, platforms: list[Caller]
) -> None:
    own, gone = distinctive(), distinctive()

    def matched(value: bytes) -> set[tuple[bytes, ...]]:
        return {tuple(found(each, value, max_distance_bits=0)) for each in platforms}

    def holding() -> set[str]:
        return {
            path.name
            for path in server.data_dir.rglob("*")
            if path.is_file() and any(half in path.read_bytes() for half in (gone[:16], gone[16:]))
        }

    receipt = helpline("RegisterHashes", with_a_part(own, gone, ordinal=0)).receipt
    old = receipt.items[0].item_id
    run("disrupt-index", "rebuild", "--data-dir", server.data_dir)
    assert holding() >= {"codes.faiss"}
    eventually(lambda: matched(gone) == {(old,)})

    again = with_a_part(own, random.token_bytes(32), receipt.case_number, ordinal=1)
    (renewed,) = helpline("RegisterHashes", again).receipt.items
    assert renewed.outcome == registration_pb2.REGISTRATION_OUTCOME_RENEWED
    journaled = journal.read(server.data_dir / JOURNAL)
    assert journaled is not None
    assert old in {removal.item_id for removal in journaled.removed}
    eventually(lambda: matched(gone) == {()})
    eventually(lambda: matched(own) == {(renewed.item_id,)})
    assert not holding() & {"registry.db", "registry.db-wal"}
    run("disrupt", "erase", "--data-dir", server.data_dir)
    assert holding() == set()
    assert matched(own) == {(renewed.item_id,)}

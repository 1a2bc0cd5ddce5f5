"""A picture registered again in its case is there once, and matches by all that it now has."""

from __future__ import annotations

import secrets as random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.harness.deployment import Deployment, run
from disrupt.core.cases import AgeBand
from disrupt.core.media import MediaKind, columns
from disrupt.core.registrations import MediaItem, Outcome
from disrupt.data_directory import JOURNAL
from disrupt.hashing import ImageFingerprints, fingerprint_image
from disrupt.registry import journal
from disrupt.submission import requests
from disrupt.v1 import registration_pb2
from tests.server.caller import PIN, Caller, access, calling, eventually, items, lookup
from tests.submission.examples import picture


@pytest.fixture
def platforms(server: Deployment, secrets: dict[str, str]) -> Iterator[list[Caller]]:
    with ExitStack() as stack:
        yield [stack.enter_context(calling(server.address, secrets["match"])) for _ in range(8)]


@pytest.fixture
def fingerprints(tmp_path: Path) -> NDArray[np.void]:
    """Hash a picture of its own, by plans 0, 1 and 2."""
    file = picture(tmp_path / "a.png", int.from_bytes(random.token_bytes(4)), side_px=600)
    hashed = fingerprint_image(file.read_bytes())
    assert isinstance(hashed, ImageFingerprints)
    assert {fingerprint.plan for fingerprint in hashed.fingerprints} == {0, 1, 2}
    return columns(hashed.fingerprints)


def later(fingerprints: NDArray[np.void], plan: int) -> NDArray[np.void]:
    """Return the fingerprints of plan 0, and a random one of another plan before them."""
    own = fingerprints[fingerprints["plan"] == 0]
    more = own[:1].copy()
    more["plan"], more["hash"] = plan, np.frombuffer(random.token_bytes(32), np.uint8)
    return np.concatenate([more, own])


def submit(
    helpline: Caller, fingerprints: NDArray[np.void], case: str = "", age: AgeBand = AgeBand.ADULT
) -> registration_pb2.Receipt:
    """Register what a client has hashed."""
    request = requests.register(
        [MediaItem(MediaKind.IMAGE, fingerprints)],
        request_id=random.token_bytes(16),
        opens=requests.access(case, PIN),
        age=age,
    )
    receipt: registration_pb2.Receipt = helpline("RegisterHashes", request).receipt
    return receipt


def named(receipt: registration_pb2.Receipt) -> tuple[bytes, int, Outcome]:
    (item,) = receipt.items
    return item.item_id, item.hashes, Outcome(item.outcome)


def shown(helpline: Caller, case: str) -> list[tuple[bytes, int]]:
    answer = helpline("GetCase", registration_pb2.GetCaseRequest(access=access(case))).case
    assert answer.status == registration_pb2.CASE_STATUS_ACTIVE
    return [(item.item_id, item.hashes) for item in answer.items]


def matched(platforms: list[Caller], value: bytes) -> set[tuple[bytes, ...]]:
    """Return what the workers answer to an exact lookup."""
    exact = lookup(value, max_distance_bits=0)
    return {tuple(items(call("MatchHashes", exact))) for call in platforms}


def test_a_newer_client_renews_a_picture_and_an_older_one_takes_nothing_away(
    helpline: Caller, platforms: list[Caller], fingerprints: NDArray[np.void]
) -> None:
    own = fingerprints[fingerprints["plan"] == 0]
    crop = fingerprints[-1]["hash"].tobytes()
    first = submit(helpline, own)
    case = first.case_number
    old, _, outcome = named(first)
    assert outcome == Outcome.ADDED
    eventually(lambda: matched(platforms, own[0]["hash"].tobytes()) == {(old,)})
    assert matched(platforms, crop) == {()}

    second = submit(helpline, fingerprints, case)
    new, hashes, outcome = named(second)
    assert (hashes, outcome) == (len(fingerprints), Outcome.RENEWED)
    for value in (crop, own[0]["hash"].tobytes()):
        eventually(lambda value=value: matched(platforms, value) == {(new,)})  # type: ignore[misc]
    assert shown(helpline, case) == [(new, hashes)]

    for stripped in (own, fingerprints[fingerprints["plan"] <= 1]):
        again = submit(helpline, stripped, case)
        assert named(again) == (new, hashes, Outcome.KEPT)
    assert shown(helpline, case) == [(new, hashes)]
    assert matched(platforms, crop) == {(new,)}

    assert named(submit(helpline, own, case, AgeBand.UNSURE)) == (new, hashes, Outcome.KEPT)
    minor = submit(helpline, own, case, AgeBand.MINOR)
    moved, *rest = named(minor)
    assert rest == [hashes, Outcome.RENEWED]
    eventually(lambda: matched(platforms, crop) == {(moved,)})
    answer = platforms[0]("MatchHashes", lookup(crop, max_distance_bits=0))
    assert list(answer.matches.bank_names) == ["minors"]


def test_nothing_of_the_item_that_was_replaced_is_left(
    server: Deployment, helpline: Caller, platforms: list[Caller], fingerprints: NDArray[np.void]
) -> None:
    before = later(fingerprints, plan=1)
    gone = before[0]["hash"].tobytes()
    receipt = submit(helpline, before)
    old, _, _ = named(receipt)

    def holding() -> set[str]:
        return {
            path.name
            for path in server.data_dir.rglob("*")
            if path.is_file() and any(half in path.read_bytes() for half in (gone[:16], gone[16:]))
        }

    run("disrupt-index", "rebuild", "--data-dir", server.data_dir)
    assert holding() >= {"codes.faiss"}
    eventually(lambda: matched(platforms, gone) == {(old,)})

    new, _, outcome = named(submit(helpline, later(fingerprints, plan=2), receipt.case_number))
    assert outcome == Outcome.RENEWED
    journaled = journal.read(server.data_dir / JOURNAL)
    assert journaled is not None
    assert old in {removal.item_id for removal in journaled.removed}
    eventually(lambda: matched(platforms, gone) == {()})
    own = fingerprints[0]["hash"].tobytes()
    eventually(lambda: matched(platforms, own) == {(new,)})
    assert not holding() & {"registry.db", "registry.db-wal"}
    run("disrupt", "erase", "--data-dir", server.data_dir)
    assert holding() == set()
    assert matched(platforms, own) == {(new,)}

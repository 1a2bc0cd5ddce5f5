"""What is changed of a bank takes effect in every worker; the test bank is apart."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import repeat
from typing import Any

import grpc
import pytest

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from disrupt import test_bank
from disrupt.v1 import feed_pb2, match_pb2, registration_pb2, types_pb2
from tests.server.caller import (
    Caller,
    access,
    calling,
    distinctive,
    eventually,
    items,
    lookup,
    near,
    refusal,
    register,
)
from tests.server.running import typed

pytestmark = pytest.mark.slow

SEVERAL = 8
"""Connections of a look, so that it sees both workers."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Start a server of two workers whose banks this module may change."""
    deployment = Deployment.start(
        tmp_path_factory.mktemp("banks") / "data", workers=2, settings=FEW_DECODERS
    )
    yield deployment
    deployment.stop()


@pytest.fixture(autouse=True)
def first_policies(server: Deployment) -> Iterator[None]:
    """Give the banks their first policies again after a test."""
    yield
    for bank in ("adults", "minors"):
        words = ("--distance", "31", "--live", "--visible-to-all", "--share", "100")
        banks(server, "set", bank, *words)


def banks(server: Deployment, *words: str) -> Any:
    """Run a command of `disrupt banks`; return what it prints."""
    return json.loads(typed("disrupt", "banks", *words, "--json", "--data-dir", server.data_dir))


def key(server: Deployment, name: str, *rights: str) -> str:
    """Make a key of the organisation that it is named after."""
    return server.make_key(name, *rights)


def seen(server: Deployment, secret: str, *values: bytes, **options: Any) -> set[tuple[bytes, ...]]:
    """Return the items that each of several connections is answered, in order."""
    answers = set()
    for _ in range(SEVERAL):
        with calling(server.address, secret) as caller:
            answers.add(tuple(items(caller("MatchHashes", lookup(*values, **options)))))
    return answers


def registered(server: Deployment, *values: bytes) -> registration_pb2.Receipt:
    """Register hashes as pictures of an adult."""
    with calling(server.address, key(server, "helpline", "register")) as caller:
        receipt: registration_pb2.Receipt = caller("RegisterHashes", register(*values)).receipt
    return receipt


def mirrored(server: Deployment) -> set[bytes]:
    """Return the items that a mirror is sent."""
    with calling(server.address, key(server, "mirror", "feed")) as caller:
        page = caller("ListChanges", feed_pb2.ListChangesRequest(page_size=1000))
    assert page.caught_up
    return {change.added.item_id for change in page.changes if change.HasField("added")}


def ids(receipt: registration_pb2.Receipt) -> list[bytes]:
    return [item.item_id for item in receipt.items]


def test_every_worker_follows_the_distance_of_a_bank(server: Deployment) -> None:
    value, secret = distinctive(), key(server, "chat", "match")
    (item,) = ids(registered(server, value))
    asked = near(value, 20)
    eventually(lambda: seen(server, secret, asked) == {(item,)})
    banks(server, "set", "adults", "--distance", "19")
    eventually(lambda: seen(server, secret, asked) == {()})
    banks(server, "set", "adults", "--distance", "20")
    eventually(lambda: seen(server, secret, asked) == {(item,)})


def test_every_worker_follows_which_organisations_see_a_bank(server: Deployment) -> None:
    value, chat, forum = distinctive(), key(server, "chat", "match"), key(server, "forum", "match")
    (item,) = ids(registered(server, value))
    eventually(lambda: seen(server, chat, value) == seen(server, forum, value) == {(item,)})
    changed = banks(server, "set", "adults", "--visible-to", "chat", "--visible-to", "nobody")
    assert changed["visible_to"] == ["chat", "nobody"]
    assert changed["unknown_organisations"] == ["nobody"]
    eventually(lambda: seen(server, forum, value) == {()})
    assert seen(server, chat, value) == {(item,)}
    with calling(server.address, forum) as caller:
        refused = refusal(partial(caller, "MatchHashes", lookup(value, banks=["adults"])))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "RIGHT_MISSING",
        )
        assert caller("GetIndexStatus", match_pb2.GetIndexStatusRequest()).items == 0
    assert item not in mirrored(server)
    banks(server, "set", "adults", "--visible-to-all")
    eventually(lambda: seen(server, forum, value) == {(item,)})


def test_a_share_answers_the_same_items_in_every_worker_and_a_larger_one_more(
    server: Deployment,
) -> None:
    values = [distinctive() for _ in range(60)]
    secret = key(server, "chat", "match")
    every = ids(registered(server, *values))
    eventually(lambda: seen(server, secret, *values) == {tuple(every)})
    before: set[bytes] = set()
    for share in ("20", "60"):
        banks(server, "set", "adults", "--share", share)
        eventually(lambda: len(seen(server, secret, *values)) == 1)
        eventually(lambda: max(map(len, seen(server, secret, *values))) < len(every))
        eventually(lambda: len(seen(server, secret, *values)) == 1)
        (answered,) = seen(server, secret, *values)
        assert before < set(answered) < set(every)
        before = set(answered)
        assert seen(server, secret, *values) == {answered}
    assert set(every) <= mirrored(server)
    banks(server, "set", "adults", "--share", "100")
    eventually(lambda: seen(server, secret, *values) == {tuple(every)})


def test_held_items_take_no_place_of_others_and_videos_do_not_show_them(
    server: Deployment,
) -> None:
    value, secret = distinctive(), key(server, "chat", "match")
    every = ids(registered(server, *(near(value, bits) for bits in range(20))))
    eventually(lambda: seen(server, secret, value, max_matches=100) == {tuple(every)})
    banks(server, "set", "adults", "--share", "30")
    eventually(lambda: max(map(len, seen(server, secret, value, max_matches=100))) < len(every))
    (shown,) = seen(server, secret, value, max_matches=100)
    assert 0 < len(shown) < len(every)
    for most in range(1, len(shown) + 1):
        assert seen(server, secret, value, max_matches=most) == {shown[:most]}
    frames = types_pb2.Fingerprints(
        hashes=value * 3, qualities=bytes([90] * 3), start_ms=[0, 1000, 2000],
        end_ms=[1000, 2000, 3000],
    )  # fmt: skip
    options = match_pb2.MatchVideoOptions(options=match_pb2.MatchOptions(max_matches=100))
    parts = [
        match_pb2.MatchVideoRequest(options=options),
        match_pb2.MatchVideoRequest(frames=frames),
    ]
    with calling(server.address, secret) as caller:
        answer = caller("MatchVideo", iter(parts))
    assert {match.item_id for match in answer.matches} == set(shown)


def test_what_is_registered_into_a_waiting_bank_waits_and_the_person_is_told(
    server: Deployment,
) -> None:
    banks(server, "set", "adults", "--waiting")
    value, secret = distinctive(), key(server, "chat", "match")
    receipt = registered(server, value)
    assert [item.state for item in receipt.items] == [types_pb2.ITEM_STATE_WAITING]
    with calling(server.address, key(server, "helpline", "register")) as caller:
        request = registration_pb2.GetCaseRequest(access=access(receipt.case_number))
        (item,) = caller("GetCase", request).case.items
        assert item.state == types_pb2.ITEM_STATE_WAITING
    assert seen(server, secret, value) == {()}
    item_id = item.item_id.hex()
    typed("disrupt", "items", "enable", item_id, "--data-dir", server.data_dir)
    eventually(lambda: seen(server, secret, value) == {(item.item_id,)})


def test_a_new_bank_is_for_keys_that_are_given_it(server: Deployment) -> None:
    made = banks(server, "create", "partners", "--distance", "7", "--share", "3")
    assert made == {
        "name": "partners",
        "max_distance_bits": 7,
        "waiting": False,
        "visible_to": [],
        "share_percent": 3,
        "unknown_organisations": [],
    }
    later, value = key(server, "later", "match"), distinctive()
    eventually(lambda: seen(server, later, value, banks=["partners"]) == {()})
    with calling(server.address, later) as caller:
        asked = lookup(value, banks=["partners"], max_distance_bits=8)
        refused = refusal(partial(caller, "MatchHashes", asked))
        assert refused.fields == ("options.max_distance_bits",)


@pytest.fixture
def published(server: Deployment) -> Iterator[Caller]:
    """Connect as a platform whose key has one bank."""
    secret = server.make_key("platform", "match", banks=("minors",))
    with calling(server.address, secret) as caller:
        yield caller


def test_the_test_bank_is_searched_only_when_it_is_named_and_by_itself(published: Caller) -> None:
    stored = [item.fingerprints["hash"][0].tobytes() for item in test_bank.items()]
    named = published("MatchHashes", lookup(*stored, banks=["test"]))
    assert items(named) == [item.item_id for item in test_bank.items()]
    assert list(named.matches.bank_names) == ["test"]
    assert items(published("MatchHashes", lookup(*stored))) == []
    for others in (["test", "minors"], ["minors", "test"], ["test", "adults"]):
        refused = refusal(partial(published, "MatchHashes", lookup(*stored, banks=others)))
        assert (refused.reason, refused.fields) == ("INVALID_REQUEST", ("options.banks",))
    far = refusal(
        partial(published, "MatchHashes", lookup(*stored, banks=["test"], max_distance_bits=32))
    )
    assert far.fields == ("options.max_distance_bits",)


def test_a_picture_of_the_test_bank_is_found_as_picture_and_as_video(published: Caller) -> None:
    image = test_bank.picture(test_bank.PICTURES[2])
    options = match_pb2.MatchOptions(banks=["test"])
    answer = published("MatchImage", match_pb2.MatchImageRequest(image=image, options=options))
    assert [match.item_id for match in answer.matches] == [test_bank.item_id(3)]
    value = test_bank.items()[2].fingerprints["hash"][0].tobytes()
    frames = types_pb2.Fingerprints(
        hashes=value * 2, qualities=bytes([90] * 2), start_ms=[0, 1000], end_ms=[1000, 2000]
    )
    parts = [
        match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions(options=options)),
        match_pb2.MatchVideoRequest(frames=frames),
    ]
    shown = published("MatchVideo", iter(parts)).matches
    assert [(match.item_id, match.bank) for match in shown] == [(test_bank.item_id(3), "test")]


def test_the_test_bank_is_in_no_count_and_reports_of_its_matches_are_recorded_nowhere(
    server: Deployment, published: Caller
) -> None:
    stored = test_bank.items()[0].fingerprints["hash"][0].tobytes()
    status = published("GetIndexStatus", match_pb2.GetIndexStatusRequest())
    match_id = published("MatchHashes", lookup(stored, banks=["test"])).matches.match_ids[0]
    report = match_pb2.ReportOutcomeRequest(match_id=match_id, outcome=match_pb2.OUTCOME_BLOCKED)
    published("ReportOutcome", report)
    assert published("GetIndexStatus", match_pb2.GetIndexStatusRequest()).hashes == status.hashes
    with calling(server.address, key(server, "strangers", "match")) as caller:
        refused = refusal(partial(caller, "ReportOutcome", report))
        assert (refused.reason, refused.fields) == ("INVALID_REQUEST", ("match_id",))
    assert not any(map(test_bank.has, mirrored(server)))


def test_an_open_flow_ends_when_its_organisation_may_not_see_a_bank_any_more(
    server: Deployment,
) -> None:
    batch = match_pb2.StreamMatchHashesRequest(batch=lookup(bytes(32)))
    with calling(server.address, key(server, "forum", "match")) as caller:
        answered = caller("StreamMatchHashes", repeat(batch))
        for _ in range(200):  # for longer than workers take to look at the banks
            next(answered)
            time.sleep(0.005)
        banks(server, "set", "adults", "--visible-to", "chat")
        refused = refusal(partial(deque, answered, maxlen=0))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")

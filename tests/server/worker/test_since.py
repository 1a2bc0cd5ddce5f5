"""Lookups of what is new, by callers of a real server whose other items are of years ago."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest

from disrupt.client import Match, MatchClient, MatchOutcome
from disrupt.core.hashes import unpack
from disrupt.errors import CursorExpiredError
from disrupt.v1 import review_pb2
from rig.callers.acts import move, registered, set_states, withdraw
from rig.callers.caller import Caller, calling, distinctive, items, lookup, refusal
from rig.callers.shell import typed
from rig.servers.deployment import FEW_DECODERS, Deployment, run
from rig.servers.registries import fill, item_id
from rig.waiting import eventually

OLD = [distinctive() for _ in range(6)]
ADULTS, MINORS = (
    [item_id(number) for number in (2, 4, 6)],
    [item_id(number) for number in (1, 3, 5)],
)
REFUSED, EXPIRED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION


@dataclass(frozen=True)
class Service:
    """A server with old items, each of one hash, and its callers."""

    server: Deployment
    platform: Caller
    helpline: Caller
    reviewer: Caller


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data_dir = tmp_path_factory.mktemp("since") / "data"
    fill(data_dir, unpack(b"".join(OLD)))
    run("disrupt-index", "rebuild", "--data-dir", data_dir)
    with Deployment.start(data_dir, settings=FEW_DECODERS) as server:
        keys = {right: server.make_key(right, right) for right in ("match", "register", "review")}
        with (
            calling(server.address, keys["match"]) as platform,
            calling(server.address, keys["register"]) as helpline,
            calling(server.address, keys["review"]) as reviewer,
        ):
            yield Service(server, platform, helpline, reviewer)


def asked(platform: Caller, *values: bytes, since: str, **options: Any) -> Any:
    request = lookup(*values, **options)
    request.since = since
    return platform("MatchHashes", request)


def new(service: Service, cursor: str, *values: bytes) -> set[bytes]:
    return {*items(asked(service.platform, *(values or OLD), since=cursor))}


@pytest.fixture
def cursor(service: Service) -> str:
    answer = asked(service.platform, *OLD, since="")
    assert len(items(answer)) == len(OLD)
    return str(answer.next_since)


def test_an_answer_has_a_cursor_only_where_it_is_asked_for(service: Service, cursor: str) -> None:
    assert cursor
    assert asked(service.platform, *OLD, since=cursor).next_since == cursor
    answer = service.platform("MatchHashes", lookup(*OLD))
    assert (len(items(answer)), answer.next_since) == (len(OLD), "")


def test_what_is_registered_shown_again_or_moved_is_new_and_nothing_else(
    service: Service, cursor: str
) -> None:
    assert new(service, cursor) == set()
    value = distinctive()
    case, (fresh,) = registered(service.helpline, value)
    eventually(lambda: new(service, cursor, *OLD, value) == {fresh})
    set_states(service.reviewer, ADULTS[:1], review_pb2.ITEM_STATE_DISABLED)
    set_states(service.reviewer, ADULTS[:1], review_pb2.ITEM_STATE_ENABLED)
    move(service.reviewer, ADULTS[1:2], "minors")
    expected = {fresh, *ADULTS[:2]}
    eventually(lambda: new(service, cursor, *OLD, value) == expected)
    withdraw(service.helpline, case)
    eventually(lambda: new(service, cursor, *OLD, value) == {*ADULTS[:2]})


def test_a_match_of_what_is_new_is_reported_as_any(service: Service, cursor: str) -> None:
    value = distinctive()
    registered(service.helpline, value)
    with MatchClient(service.server.address, key=service.platform.key or "") as client:
        matches = list[Match]()

        def is_matched() -> bool:
            (answer,) = client.match_hashes(value, since=cursor)
            matches.extend(answer.matches)
            return bool(matches)

        eventually(is_matched)
        client.report_outcome(matches[0].match_id, MatchOutcome.BLOCKED)


def test_a_key_that_sees_more_has_to_look_up_all(service: Service, cursor: str) -> None:
    made = typed(
        *("keys", "create", "some", "--right", "match", "--bank", "adults", "--json"),
        *("--data-dir", service.server.data_dir),
    ).json
    with calling(service.server.address, made["secret"]) as platform:
        own = asked(platform, *OLD, since="").next_since
        assert asked(platform, *OLD, since=own).next_since == own
        error = refusal(lambda: asked(platform, *OLD, since=cursor))
        assert (error.code, error.fields) == (REFUSED, ("since",))
        assert "another key" in error.message
        error = refusal(lambda: asked(platform, *OLD, since=own, max_distance_bits=3))
        assert (error.code, error.reason) == (EXPIRED, "CURSOR_EXPIRED")
        changed = typed(
            *("keys", "set", made["key_id"], "--bank", "adults", "--bank", "minors"),
            *("--data-dir", service.server.data_dir),
        )
        assert changed.code == 0
        eventually(lambda: {*MINORS} <= {*items(asked(platform, *OLD, since=""))})
    # Each worker reads keys for itself.
    with MatchClient(service.server.address, key=made["secret"]) as client:
        eventually(lambda: is_expired(client, own))


def is_expired(client: MatchClient, cursor: str) -> bool:
    try:
        client.match_hashes(b"".join(OLD), since=cursor)
    except CursorExpiredError as error:
        return "Look everything up again" in str(error)
    return False


@pytest.mark.parametrize("since", ["x", "A" * 68, "é"])
def test_what_is_no_cursor_is_refused(service: Service, since: str) -> None:
    error = refusal(lambda: asked(service.platform, *OLD, since=since))
    assert (error.code, error.fields) == (REFUSED, ("since",))


def test_a_cursor_of_the_index_and_leaving_common_ones_out_are_refused(
    service: Service, cursor: str
) -> None:
    of_index = service.platform("MatchHashes", lookup(*OLD)).index_cursor
    for ask in (
        lambda: asked(service.platform, *OLD, since=of_index),
        lambda: asked(service.platform, *OLD, since=cursor, leave_out_common=True),
    ):
        error = refusal(ask)
        assert (error.code, error.fields) == (REFUSED, ("since",))


def test_a_batch_in_several_calls_has_one_cursor_and_all_that_is_new(
    service: Service, cursor: str
) -> None:
    value = distinctive()
    registered(service.helpline, value)
    batch = np.random.default_rng(7).integers(0, 256, (2500, 32), np.uint8)
    batch[[0, 2400]] = np.frombuffer(value, np.uint8)
    with MatchClient(service.server.address, key=service.platform.key or "") as client:

        def matched() -> list[int]:
            answers = client.match_hashes(batch, since=cursor)
            assert {answer.next_since for answer in answers} == {cursor}
            return [at for at, answer in enumerate(answers) if answer.matches]

        eventually(lambda: matched() == [0, 2400])  # its calls reach workers that reload alone

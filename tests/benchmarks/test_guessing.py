"""Guess PINs on a real server, at tiny size: owners get in, and guesses are bounded."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.abuse.guessing import play
from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from disrupt.core.cases import case_number
from disrupt.services.throttle import CHECKS_PER_S, REFUSED_AFTER_S
from disrupt.v1 import registration_pb2
from tests.server.caller import PIN, access, calling, refusal, register


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployment = Deployment.start(
        tmp_path_factory.mktemp("server") / "data", workers=1, settings=FEW_DECODERS
    )
    yield deployment
    deployment.stop()


@pytest.mark.parametrize("number_known", [False, True])
def test_an_owner_gets_in_while_others_guess(server: Deployment, *, number_known: bool) -> None:
    report = asyncio.run(play(server, tokens=20, number_known=number_known, visits=2))
    assert len(report.owner_waited_s) == 2
    assert report.refused
    assert not report.violations()


def test_guesses_that_come_as_replays_are_as_slow_as_others(server: Deployment) -> None:
    key = server.make_key("replays", "register")
    value, request_id = secrets.token_bytes(32), secrets.token_bytes(16)
    guesses = 4 * CHECKS_PER_S
    with calling(server.address, key) as caller, ThreadPoolExecutor(guesses) as threads:
        first = caller("RegisterHashes", register(value, request_id=request_id))

        def guess(at: int) -> str:
            request = register(value, request_id=request_id, pin=f"{at:012}")
            while True:
                refused = refusal(lambda: caller("RegisterHashes", request))
                if refused.reason != "TOO_MANY_ATTEMPTS":
                    return refused.reason
                time.sleep(refused.retry_after_s or 1)

        began_s = time.monotonic()
        reasons = set(threads.map(guess, range(guesses)))
        assert reasons == {"REQUEST_ID_REUSED"}
        assert time.monotonic() - began_s >= guesses / CHECKS_PER_S - 1
        # At most the turn of the last guess comes before this one.
        again = register(value, request_id=request_id)
        assert caller("RegisterHashes", again).receipt == first.receipt


def test_a_refusal_takes_as_long_where_there_is_no_case(server: Deployment) -> None:
    key = server.make_key("timing", "register")
    with calling(server.address, key) as caller:
        case = caller("RegisterHashes", register(secrets.token_bytes(32))).receipt.case_number
        for number, pin in ((case, "000000000000"), (case_number(7), PIN)):
            request = registration_pb2.GetCaseRequest(access=access(number, pin))
            began_s = time.monotonic()
            assert refusal(lambda: caller("GetCase", request)).reason == "CASE_REFUSED"
            assert time.monotonic() - began_s >= REFUSED_AFTER_S

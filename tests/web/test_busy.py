"""When many call at once, registrations wait with a ticket, and cases stay within reach."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from benchmarks.harness.deployment import Deployment
from disrupt.v1 import registration_pb2
from tests.server.caller import TIMEOUT_S, access, distinctive, eventually, register
from tests.web.running import HOST, Answer, Web, answer_of, headers_for

ONE_PLACE = {
    "gateway.REGISTRATION_PLACES": 1,
    "gateway.OTHER_PLACES": 1,
    "turns.WAIT_S": 0.2,
    "upstream.CALL_S": 600.0,
    "connections.REQUEST_S": 600.0,
}


@contextmanager
def frozen(server: Deployment) -> Iterator[None]:
    """Stop all processes of a server for a while, so that calls to it last."""
    os.killpg(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(server.process.pid, signal.SIGCONT)


@contextmanager
def calling(web: Web, call: str, body: bytes) -> Iterator[Future[Answer]]:
    """Send a call, and wait for its answer in a thread.

    It is sent before the next one, which would else take the only place and wait for ever.
    """
    connection = http.client.HTTPConnection(HOST, web.port, timeout=TIMEOUT_S)
    connection.request("POST", f"/v1/{call}", body, headers_for(body))
    with closing(connection), ThreadPoolExecutor(1) as pool:
        yield pool.submit(answer_of, connection)


@pytest.fixture
def own(start: Callable[..., Web], server: Deployment, key: str) -> Web:
    return start(server.address, key=key, bounds=ONE_PLACE)


def busy(web: Web, call: str, body: bytes) -> Answer:
    """Repeat a call until another one holds the place."""
    refused: list[Answer] = []

    def is_refused() -> bool:
        refused.append(web.post(call, body))
        return refused[-1].reason == "OVERLOADED"

    eventually(is_refused)
    return refused[-1]


def test_a_registration_that_finds_no_place_gets_a_ticket_and_is_done_with_it(
    own: Web, server: Deployment
) -> None:
    first, second = (
        register(distinctive(), request_id=secrets.token_bytes(16)).SerializeToString()
        for _ in range(2)
    )
    with frozen(server), calling(own, "RegisterHashes", first) as called:
        answer = busy(own, "RegisterHashes", second)
        assert answer.status == 429
        assert answer.retry_after_s > 0
        ticket = answer.header("waiting-ticket")
        assert ticket
        again = own.post("RegisterHashes", second, waiting_ticket=ticket)
        assert again.reason == "OVERLOADED"
        assert again.header("waiting-ticket")
        os.killpg(server.process.pid, signal.SIGCONT)
        assert called.result().status == 200
    eventually(lambda: own.post("RegisterHashes", second, waiting_ticket=ticket).status == 200)


def test_calls_for_a_case_get_no_ticket_and_do_not_wait_for_registrations(
    own: Web, server: Deployment
) -> None:
    request = register(distinctive(), request_id=secrets.token_bytes(16))
    number = own.call("RegisterHashes", request).receipt.case_number
    body = registration_pb2.GetCaseRequest(access=access(number)).SerializeToString()
    with frozen(server), calling(own, "GetCase", body) as called:
        answer = busy(own, "GetCase", body)
        assert answer.header("waiting-ticket") is None
        assert answer.retry_after_s > 0
        os.killpg(server.process.pid, signal.SIGCONT)
        assert called.result().status == 200
    registration = register(distinctive()).SerializeToString()
    with frozen(server), calling(own, "RegisterHashes", registration) as called:
        busy(own, "RegisterHashes", request.SerializeToString())
        with calling(own, "GetCase", body) as seen:
            os.killpg(server.process.pid, signal.SIGCONT)
            assert seen.result().status == 200
        assert called.result().status == 200


def test_a_void_ticket_is_no_error(own: Web) -> None:
    request = register(distinctive(), request_id=secrets.token_bytes(16))
    own.call("RegisterHashes", request, waiting_ticket="void")


def test_requests_under_way_are_answered_when_the_gateway_stops(
    own: Web, server: Deployment
) -> None:
    body = register(distinctive(), request_id=secrets.token_bytes(16)).SerializeToString()
    with frozen(server), calling(own, "RegisterHashes", body) as called:
        busy(own, "RegisterHashes", register(distinctive()).SerializeToString())
        own.process.send_signal(signal.SIGTERM)
        eventually(lambda: not accepts(own))
        os.killpg(server.process.pid, signal.SIGCONT)
        assert called.result().status == 200
    assert own.process.wait(TIMEOUT_S) == 0


def accepts(web: Web) -> bool:
    try:
        web.connect().close()
    except OSError:
        return False
    return True

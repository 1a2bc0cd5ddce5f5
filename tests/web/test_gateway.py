"""The gateway passes on what the page sends, with the token of its origin and with its key."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from disrupt.core.cases import case_number
from disrupt.core.hashes import HASH_BYTES
from disrupt.errors import (
    CaseRefusedError,
    DisruptError,
    InvalidRequestError,
    LimitExceededError,
    NotSignedYetError,
    OverloadedError,
    PermissionDeniedError,
    TooManyAttemptsError,
    UnavailableError,
    Violation,
)
from disrupt.v1 import registration_pb2
from disrupt.web import origins
from disrupt.web.gateway import CONTENT_TYPE, SERVICE, Bounds
from disrupt.web.origins import Origins
from disrupt.wire.payloads import ENVELOPE_BYTES_MAX
from rig.servers.gateway import Answer, Running, running
from rig.servers.scripted import ScriptedServer, scripted, status_of
from rig.waiting import eventually
from tests.needs import needs

ACCESS = registration_pb2.CaseAccess(case_number=case_number(7), pin="123456789012")
GET = registration_pb2.GetCaseRequest(access=ACCESS)
SHOWN = registration_pb2.GetCaseResponse(
    case=registration_pb2.Case(case_number=case_number(7), status=2, withdrawn_numbers=[1, 300])  # type: ignore[arg-type]
)
BEHIND_PROXY = {"proxy_headers": True, "forwarded_allow_ips": ["127.0.0.1"]}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted(SHOWN) as script:
        yield script


@pytest.fixture
def page(server: ScriptedServer) -> Iterator[Running]:
    with running(server.address) as started:
        yield started


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    with structlog.testing.capture_logs() as captured:
        yield captured  # type: ignore[misc]


def token(request: bytes) -> bytes:
    origin_token: bytes = registration_pb2.GetCaseRequest.FromString(request).access.origin_token
    return origin_token


def reason_of(answer: Answer) -> str:
    details = json.loads(answer.body)["details"]
    value = details[0]["value"]
    assert details[0]["type"] == "google.rpc.ErrorInfo"
    padded = value + "=" * (-len(value) % 4)
    return error_details_pb2.ErrorInfo.FromString(base64.b64decode(padded)).reason


def test_a_call_is_passed_on_with_origin_and_key_and_its_answer_comes_back(
    server: ScriptedServer, page: Running
) -> None:
    answer = page.call("GetCase", GET.SerializeToString())
    assert (answer.status, answer.body) == (200, SHOWN.SerializeToString())
    assert answer.headers["content-type"] == "application/proto"
    (seen,) = server.seen
    assert seen.method == "GetCase"
    assert seen.metadata["authorization"] == "Bearer key-of-the-gateway"
    passed = registration_pb2.GetCaseRequest.FromString(seen.request)
    assert len(passed.access.origin_token) == 32
    passed.access.origin_token = b""
    assert passed == GET


def test_whoever_writes_an_origin_token_gets_that_of_their_network(
    server: ScriptedServer, page: Running
) -> None:
    forged = registration_pb2.GetCaseRequest(access=ACCESS)
    forged.access.origin_token = b"somebody else's"
    context = registration_pb2.RegistrationContext(access=forged.access)
    registration = registration_pb2.RegisterHashesRequest(context=context)
    for _ in range(60):
        registration.items.add().fingerprints.hashes = bytes(2000)  # decoded in a thread
    page.call("GetCase", forged.SerializeToString())
    page.call("RegisterHashes", registration.SerializeToString())
    first, second = (seen.request for seen in server.seen)
    whole = registration_pb2.RegisterHashesRequest.FromString(second)
    assert token(first) == whole.context.access.origin_token
    assert len(token(first)) == 32
    assert whole.items == registration.items


def test_partners_are_asked_for_once_for_many_and_again_after_a_failure() -> None:
    named = registration_pb2.ListPartnersResponse(
        partners=[registration_pb2.Partner(name="Exemple", report_url="https://example.org/")],
        day="2026-12-02",
    )
    busy = status_of(UnavailableError("Later.", retry_after_s=1.0))
    with scripted(busy, named) as server, running(server.address) as page:
        assert page.ask("GET", "/partners.json").status == 503
        answers = [page.ask("GET", "/partners.json") for _ in range(3)]
        assert [seen.method for seen in server.seen] == ["ListPartners"] * 2
    for answer in answers:
        assert json.loads(answer.body) == {
            "day": "2026-12-02",
            "partners": [{"name": "Exemple", "reportUrl": "https://example.org/"}],
        }


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (CaseRefusedError(), 404, None),
        (OverloadedError("Busy.", retry_after_s=1.5), 429, "2"),
        (TooManyAttemptsError("Wait.", retry_after_s=30.0), 429, "30"),
        (LimitExceededError("Too much."), 429, None),
        (InvalidRequestError.of(Violation("items", "none")), 400, None),
        (DisruptError("Why?"), 500, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_are_connects(error: DisruptError, status: int, retry_after: str | None) -> None:
    with scripted(status_of(error)) as server, running(server.address) as page:
        answer = page.call("WithdrawCase", GET.SerializeToString())
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["retry-after"] == retry_after
    assert json.loads(answer.body)["code"] == error.status.lower()
    assert json.loads(answer.body)["message"] == error.message
    assert reason_of(answer) == error.reason


def test_trouble_with_key_or_server_is_unavailable_to_people_and_in_the_log(
    lines: list[dict[str, Any]], free_port: int
) -> None:
    lacking = status_of(PermissionDeniedError("This key has no right register."))
    with scripted(lacking) as server, running(server.address) as page:
        answers = [page.call("GetCase", GET.SerializeToString())]
    with running(f"127.0.0.1:{free_port}") as page:
        answers.append(page.call("GetCase", GET.SerializeToString()))
        assert page.ask("GET", "/health").status == 503
    for answer in answers:
        assert (answer.status, reason_of(answer)) == (503, UnavailableError.reason)
        assert answer.headers["retry-after"]
        assert b"key" not in answer.body
    events = [(line["event"], line["reason"]) for line in lines]
    assert ("gateway_key_refused", "RIGHT_MISSING") in events
    assert ("server_unavailable", "UNAVAILABLE") in events


def test_a_receipt_is_asked_for_without_an_origin_and_one_that_is_not_signed_is_no_trouble(
    lines: list[dict[str, Any]],
) -> None:
    request = registration_pb2.GetReceiptRequest(code=f"7-{bytes(32).hex()}").SerializeToString()
    shown = registration_pb2.GetReceiptResponse(document="{}", erased_on="2026-12-03", mirrors=2)
    later = NotSignedYetError("Ask in an hour.")
    with scripted(status_of(later), shown) as server, running(server.address) as page:
        refusal, answer = (page.call("GetReceipt", request) for _ in range(2))
        assert [seen.request for seen in server.seen] == [request] * 2
    assert (refusal.status, reason_of(refusal)) == (503, NotSignedYetError.reason)
    assert answer.body == shown.SerializeToString()
    assert "server_unavailable" not in [line["event"] for line in lines]


def test_nothing_else_is_answered(server: ScriptedServer, page: Running) -> None:
    body = GET.SerializeToString()
    for answer in (
        page.call("RegisterImage", body),
        page.call("GetCase", body, content_type="application/json"),
        page.ask("POST", "/disrupt.v1.MatchService/MatchHashes", body),
        page.ask("GET", "/../gateway.py"),
        page.ask("GET", "/%2e%2e/gateway.py"),
        page.ask("GET", "/nothing"),
    ):
        assert answer.status in {404, 405}
        assert answer.body == b"There is nothing here.\n"
    for damaged in (b"\x0a\xff\x01", b"\xff"):
        answer = page.call("GetCase", damaged)
        assert (answer.status, reason_of(answer)) == (400, "INVALID_REQUEST")
    too_large = page.call("GetCase", bytes(70_000))
    assert (too_large.status, reason_of(too_large)) == (429, "LIMIT_EXCEEDED")
    assert not server.seen


def test_every_answer_forbids_what_the_page_does_not_need(page: Running) -> None:
    answers = [
        page.ask("GET", "/"),
        page.ask("GET", "/nothing"),
        page.call("GetCase", GET.SerializeToString()),
        page.call("GetCase", b"\xff"),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert not {"set-cookie", "etag", "last-modified", "server"} & {*answer.headers}
    assert page.ask("GET", "/health").body == b"serving\n"


def test_forwarded_addresses_count_only_from_a_proxy_that_is_named(server: ScriptedServer) -> None:
    body = GET.SerializeToString()
    fixed = Origins(lambda: "2026-01-01")
    with running(server.address, origins=fixed) as page:
        page.call("GetCase", body, x_forwarded_for="192.0.2.1")
    options = {"proxy_headers": True, "forwarded_allow_ips": ["127.0.0.0/8"]}
    with running(server.address, origins=fixed, options=options) as page:
        for forwarded in ("192.0.2.1", "192.0.2.9, 192.0.2.1", "2001:db8::1", "no address"):
            page.call("GetCase", body, x_forwarded_for=forwarded)
    tokens = [token(seen.request) for seen in server.seen]
    named = ["127.0.0.1", "192.0.2.1", "192.0.2.1", "2001:db8::ffff", ""]
    assert tokens == [fixed.tokens(host)[0] for host in named]
    wider = [GET.FromString(seen.request).access.wider_origin_tokens for seen in server.seen]
    assert [*map(tuple, wider)] == [fixed.tokens(host)[1:] for host in named]


def test_an_origin_that_asks_too_often_is_told_when_to_come_back(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origins, "BURST_CALLS", 3)
    with running(server.address, origins=Origins(clock=lambda: 0.0), options=BEHIND_PROXY) as page:
        body = GET.SerializeToString()
        answers = [page.call("GetCase", body, x_forwarded_for="192.0.2.1") for _ in range(5)]
        other = page.call("GetCase", body, x_forwarded_for="192.0.2.2")
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert reason_of(answers[-1]) == "OVERLOADED"
    assert answers[-1].headers["retry-after"] == "1"
    assert other.status == 200
    assert len(server.seen) == 4


def test_an_origin_that_registers_too_much_is_stopped_before_the_server_and_may_withdraw(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origins, "BURST_HASHES", 5)
    message = registration_pb2.RegisterHashesRequest()
    for _ in range(2):
        message.items.add().fingerprints.hashes = bytes(3 * HASH_BYTES)
    many = message.SerializeToString()
    del message.items[1]
    with running(server.address, origins=Origins(clock=lambda: 0.0)) as page:
        refused = page.call("RegisterHashes", many)
        answers = [page.call("RegisterHashes", message.SerializeToString()) for _ in range(2)]
        withdrawn = page.call("WithdrawCase", GET.SerializeToString())
    assert (refused.status, reason_of(refused)) == (429, "OVERLOADED")
    assert refused.headers["retry-after"]
    assert [answer.status for answer in answers] == [200, 429]
    assert withdrawn.status == 200
    assert [seen.method for seen in server.seen] == ["RegisterHashes", "WithdrawCase"]


def test_registrations_that_take_all_places_leave_withdrawals_theirs() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(_request: bytes) -> Message:
        entered.set()
        leave.wait()
        return registration_pb2.RegisterHashesResponse()

    bounds = Bounds(registrations=1, wait_s=0.01)
    with scripted(slow, SHOWN) as server, running(server.address, bounds=bounds) as page:
        held = threading.Thread(target=page.call, args=["RegisterHashes", b""])
        held.start()
        entered.wait()
        refused = page.call("RegisterHashes", b"")
        withdrawn = page.call("WithdrawCase", GET.SerializeToString())
        leave.set()
        held.join()
    assert (refused.status, reason_of(refused)) == (429, "OVERLOADED")
    assert withdrawn.status == 200


def begin(page: Running, method: str, sent: bytes, host: str = "") -> socket.socket:
    """Send a part of a body of 100 000 bytes."""
    head = (
        f"POST {SERVICE}/{method} HTTP/1.1\r\nHost: x\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"X-Forwarded-For: {host}\r\nContent-Length: 100000\r\n\r\n"
    )
    caller = socket.create_connection(("127.0.0.1", page.port))
    caller.sendall(head.encode() + sent)
    return caller


@pytest.mark.parametrize(
    ("method", "bounds"),
    [
        ("GetCase", Bounds(body_s=0.01, registration_body_s=3600)),
        ("RegisterHashes", Bounds(body_s=3600, registration_body_s=0.01)),
    ],
)
def test_a_body_that_does_not_end_is_refused_and_forgotten(
    server: ScriptedServer, method: str, bounds: Bounds
) -> None:
    with running(server.address, bounds=bounds) as page:
        with begin(page, method, b"abc") as caller:
            answer = b"".join(iter(partial(caller.recv, 4096), b""))
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert not server.seen
        other = "GetCase" if method == "RegisterHashes" else "RegisterHashes"
        assert page.call(other, b"").status == 200
    assert Bounds().body_s < Bounds().registration_body_s / 2


@pytest.mark.parametrize(
    ("bounds", "of_others"),
    [(Bounds(large_bytes=1000), 429), (Bounds(origin_large_bytes=1000), 200)],
    ids=["of all", "of an origin"],
)
def test_large_bodies_leave_small_calls_and_those_of_an_origin_leave_others_their_room(
    bounds: Bounds, of_others: int
) -> None:
    message = registration_pb2.RegisterHashesRequest()
    message.items.add().fingerprints.hashes = bytes(ENVELOPE_BYTES_MAX + 800)
    large = message.SerializeToString()
    # Allowances grow back between two calls, so that they refuse none.
    patient = Origins(clock=partial(next, itertools.count(0.0, 3600.0)))
    with (
        scripted(registration_pb2.RegisterHashesResponse()) as server,
        running(server.address, origins=patient, options=BEHIND_PROXY, bounds=bounds) as page,
    ):

        def register(host: str, body: bytes) -> int:
            return page.call("RegisterHashes", body, x_forwarded_for=host).status

        with begin(page, "RegisterHashes", large, "192.0.2.1"):
            eventually(lambda: register("192.0.2.1", large) == 429)
            assert register("192.0.2.2", large) == of_others
            withdrawn = page.call("WithdrawCase", GET.SerializeToString())
            assert (withdrawn.status, register("192.0.2.1", b"")) == (200, 200)
        eventually(lambda: register("192.0.2.1", large) == 200)


def test_bodies_that_do_not_come_take_no_place_of_their_origin(page: Running) -> None:
    with ExitStack() as open_bodies:
        for _ in range(2 * origins.ORIGIN_CALLS):
            open_bodies.enter_context(begin(page, "GetCase", b"a"))
        assert page.call("GetCase", GET.SerializeToString()).status == 200


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("POST /nothing", 405),
        ("GET /nothing", 404),
        ("GET /", 200),
        (f"POST {SERVICE}/GetCase", 404),
    ],
)
@pytest.mark.parametrize("body", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_an_answer_before_the_body_is_through_ends_the_connection(
    page: Running, request_line: str, status: int, body: str
) -> None:
    with socket.create_connection(("127.0.0.1", page.port)) as caller:
        caller.sendall(f"{request_line} HTTP/1.1\r\nHost: x\r\n{body}\r\n\r\n".encode())
        answer = b"".join(iter(partial(caller.recv, 4096), b""))  # until it is closed
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nconnection: close\r\n" in answer, "not only after it was idle"


def test_a_whole_request_leaves_the_connection_open(page: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", page.port)
    headers = {"Content-Type": CONTENT_TYPE}
    for _ in range(2):
        connection.request("POST", f"{SERVICE}/GetCase", GET.SerializeToString(), headers)
        assert connection.getresponse().read()
        connection.request("GET", "/")
        assert connection.getresponse().read()
        assert connection.sock
    connection.close()


def test_whoever_asks_for_much_lets_others_go_first() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(_request: bytes) -> Message:
        entered.set()
        leave.wait()
        return SHOWN

    bounds = Bounds(other_calls=1)
    with (
        scripted(slow) as server,
        running(server.address, options=BEHIND_PROXY, bounds=bounds) as page,
        ThreadPoolExecutor(7) as threads,
    ):

        def asks(host: str) -> None:
            before = page.origins.calls_under_way
            threads.submit(page.call, "GetCase", GET.SerializeToString(), x_forwarded_for=host)
            eventually(lambda: page.origins.calls_under_way == before + 1)

        asks("192.0.2.1")
        entered.wait()
        for host in (*["192.0.2.1"] * 5, "192.0.2.2"):
            asks(host)
        leave.set()
        threads.shutdown()
        tokens = [token(seen.request) for seen in server.seen]
        assert tokens.index(page.origins.tokens("192.0.2.2")[0]) == 1


def test_an_error_of_the_gateway_shows_nothing_of_what_was_sent(
    page: Running, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError(str(ACCESS))

    monkeypatch.setattr(Origins, "tokens", fail)
    answer = page.call("GetCase", GET.SerializeToString())
    assert (answer.status, reason_of(answer)) == (500, "INTERNAL")
    (line,) = lines
    assert (line["event"], line["kind"]) == ("request_failed", "ValueError")
    for text in (repr(line), answer.body.decode()):
        assert ACCESS.pin not in text
        assert ACCESS.case_number not in text


@needs("node")
def test_the_pages_calls_read_answers_and_errors(free_port: int) -> None:
    receipt = registration_pb2.Receipt(case_number=case_number(7), status=2)  # type: ignore[arg-type]
    receipt.items.add(index=0, item_id=bytes(range(16)), hashes=2, outcome=1, number=1)
    receipt.rejected.add(index=1).low_quality.quality = 12
    script = (
        registration_pb2.RegisterHashesResponse(receipt=receipt),
        SHOWN,
        status_of(CaseRefusedError()),
        status_of(TooManyAttemptsError("Wait.", retry_after_s=2.5)),
        registration_pb2.WithdrawItemsResponse(
            case=SHOWN.case,
            withdrawn=[registration_pb2.WithdrawnItem(item_id=bytes(16), number=3)],
        ),
    )
    with scripted(*script) as server, running(server.address) as page:
        done = subprocess.run(
            ["node", "--no-warnings", Path(__file__).with_name("calling.js")],
            env=os.environ
            | {"PAGE": page.url, "NOBODY": f"http://127.0.0.1:{free_port}"}
            | {"NUMBER": case_number(7)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    answers = json.loads(done.stdout)
    assert answers["registered"]["items"][0]["number"] == 1
    assert answers["registered"]["items"][0]["outcome"] == "ADDED"
    assert answers["registered"]["rejected"][0]["lowQuality"]["quality"] == 12
    assert answers["case"]["status"] == "ACTIVE"
    assert answers["refused"] == {"reason": "CASE_REFUSED", "offline": False}
    assert answers["waits"] == {"reason": "TOO_MANY_ATTEMPTS", "retryAfterS": 2.5, "offline": False}
    assert answers["withdrawn"]["withdrawn"][0]["number"] == 3
    assert answers["nobody"] == {"reason": "UNAVAILABLE", "offline": True}
    assert answers["stopped"]["reason"] == "STOPPED"
    sent = registration_pb2.RegisterHashesRequest.FromString(server.seen[0].request)
    assert sent.context.new_case_number == case_number(7)
    assert sent.context.age_band == registration_pb2.AGE_BAND_MINOR
    assert list(sent.items[0].fingerprints.ordinals) == [0, 300]
    numbers = registration_pb2.WithdrawItemsRequest.FromString(server.seen[-1].request)
    assert list(numbers.item_numbers) == [3]

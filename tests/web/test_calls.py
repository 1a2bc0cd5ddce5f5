"""What the page sends comes to the server as it was sent, once, and its answer comes back."""

from __future__ import annotations

import base64
import secrets
import socket
from collections.abc import Callable

import pytest

from benchmarks.harness.deployment import Deployment
from disrupt.core.cases import new_case_number
from disrupt.errors import LimitExceededError
from disrupt.server.config import Config
from disrupt.v1 import registration_pb2
from disrupt.web.calls import CALLS, with_origin
from disrupt.web.limits import HASHES_MAX, ITEMS_MAX, REGISTRATION_BYTES_MAX, REQUEST_BYTES_MAX
from tests.server.caller import PIN, access, distinctive, eventually, matches, register
from tests.web.running import HOST, Web, digest, headers_for, raw_request

WRONG = "99999999"


def get(number: str, pin: str = PIN) -> registration_pb2.GetCaseRequest:
    return registration_pb2.GetCaseRequest(access=access(number, pin))


def new() -> registration_pb2.RegisterHashesRequest:
    """Return a registration of a new case, with the number that the device shows before."""
    request = register(distinctive(), request_id=secrets.token_bytes(16))
    request.context.new_case_number = new_case_number(request.context.request_id)
    return request


@pytest.fixture(scope="module")
def platform(server: Deployment) -> str:
    return server.make_key("platform", "match")


def test_a_case_is_registered_seen_kept_and_withdrawn(
    web: Web, server: Deployment, platform: str
) -> None:
    value = distinctive()
    receipt = web.call("RegisterHashes", register(value, distinctive())).receipt
    number = receipt.case_number
    assert web.call("GetCase", get(number)).case.status == registration_pb2.CASE_STATUS_ACTIVE
    eventually(lambda: matches(server.address, platform, value) == 1)
    kept = registration_pb2.KeepCaseRequest(access=access(number))
    assert len(web.call("KeepCase", kept).case.items) == 2
    some = registration_pb2.WithdrawItemsRequest(
        access=access(number), item_ids=[receipt.items[0].item_id]
    )
    assert len(web.call("WithdrawItems", some).case.items) == 1
    eventually(lambda: matches(server.address, platform, value) == 0)
    whole = registration_pb2.WithdrawCaseRequest(access=access(number))
    case = web.call("WithdrawCase", whole).case
    assert case.status == registration_pb2.CASE_STATUS_WITHDRAWN


def test_a_registration_of_many_hashes_passes(web: Web) -> None:
    request = new()
    many = 1000
    request.items[0].fingerprints.hashes = secrets.token_bytes(32 * many)
    request.items[0].fingerprints.qualities = bytes([90]) * many
    assert request.ByteSize() > REQUEST_BYTES_MAX
    (item,) = web.call("RegisterHashes", request).receipt.items
    assert item.hashes == many


def test_the_same_request_again_makes_no_second_case(web: Web) -> None:
    request = new()
    first, again = (web.call("RegisterHashes", request) for _ in range(2))
    assert first == again
    assert len(web.call("GetCase", get(first.receipt.case_number)).case.items) == 1


def test_a_connection_cut_after_the_send_loses_nothing_and_makes_nothing_twice(web: Web) -> None:
    request = new()
    number = request.context.new_case_number
    with web.connect() as connection:
        connection.sendall(raw_request("RegisterHashes", request.SerializeToString()))
        connection.shutdown(socket.SHUT_WR)  # gone, as far as the gateway can see

    def is_registered() -> bool:
        return web.post("GetCase", get(number).SerializeToString()).status == 200

    eventually(is_registered)
    receipt = web.call("RegisterHashes", request).receipt
    assert receipt.case_number == number
    case = web.call("GetCase", get(number)).case
    assert [item.item_id for item in case.items] == [item.item_id for item in receipt.items]


def test_a_body_that_was_changed_on_the_way_is_refused(web: Web) -> None:
    body = new().SerializeToString()
    changed = body[:-1] + bytes([body[-1] ^ 1])
    answer = web.request("POST", "/v1/RegisterHashes", changed, headers_for(body))
    assert (answer.status, answer.reason) == (400, "DIGEST_MISMATCH")


@pytest.mark.parametrize(
    "value",
    [
        *("", "sha-256=:AAAA:", "md5=:AAAA:", "sha-256"),
        f"sha-512=:{base64.b64encode(bytes(64)).decode()}:",
    ],
)
def test_a_body_without_its_digest_is_refused(web: Web, value: str) -> None:
    answer = web.post("GetCase", get("4D62-TKMD-SPQ").SerializeToString(), content_digest=value)
    assert (answer.status, answer.reason) == (400, "DIGEST_MISMATCH")


def test_only_messages_of_the_contract_pass(web: Web) -> None:
    body = get("4D62-TKMD-SPQ").SerializeToString()
    unknown_field = b"\xfa\x3e\x01x"
    not_canonical = body[:1] + bytes([body[1] | 0x80, 0]) + body[2:]
    twice = body + body
    for changed in (body + unknown_field, not_canonical, twice, b"\xff", b"{}"):
        answer = web.post("GetCase", changed)
        assert (answer.status, answer.reason) == (400, "INVALID_REQUEST"), changed


def test_an_unknown_field_deep_inside_is_refused() -> None:
    request = new()
    request.items[0].fingerprints.MergeFromString(b"\xfa\x3e\x01x")
    with pytest.raises(Exception, match="more than the fields"):
        with_origin(CALLS["RegisterHashes"], request.SerializeToString(), b"o")


def nested(fields: bytes) -> bytes:
    """Return a message of fewer than 128 bytes as the field 2 of another one."""
    return b"\x12" + bytes([len(fields)]) + fields


@pytest.mark.parametrize(
    "body",
    [b"\x12\x00" * (ITEMS_MAX + 11), nested(b"\x12\x00" * 11), nested(nested(b"\x20\x01" * 11))],
    ids=["items", "fingerprints", "columns"],
)
def test_what_repeats_fields_is_refused_before_it_is_decoded(body: bytes) -> None:
    with pytest.raises(LimitExceededError, match="repeats"):
        with_origin(CALLS["RegisterHashes"], body, b"o")


def test_the_origin_is_what_the_gateway_says(web: Web) -> None:
    request = get("4D62-TKMD-SPQ")
    sent = with_origin(CALLS["GetCase"], request.SerializeToString(), b"origin")
    assert registration_pb2.GetCaseRequest.FromString(sent).access.origin_token == b"origin"
    request.access.origin_token = b"mine"
    answer = web.post("GetCase", request.SerializeToString())
    assert (answer.status, answer.reason) == (400, "INVALID_REQUEST")


def test_another_content_type_is_refused(web: Web) -> None:
    for media_type in ("text/plain", "application/json", "multipart/form-data"):
        answer = web.post("GetCase", b"", content_type=media_type)
        assert answer.status == 415


@pytest.mark.parametrize(
    ("call", "most"),
    [("RegisterHashes", REGISTRATION_BYTES_MAX), ("WithdrawItems", REQUEST_BYTES_MAX)],
)
def test_a_body_that_is_too_large_is_refused_before_it_comes(
    web: Web, call: str, most: int
) -> None:
    with web.connect() as connection:
        connection.sendall(raw_request(call, b"", length=most + 1))
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"LIMIT_EXCEEDED" in answer


def test_a_body_of_unknown_length_is_refused_before_it_comes(web: Web) -> None:
    head, length = raw_request("GetCase", b""), b"content-length: 0"
    for chunked in (b"transfer-encoding: chunked", b"transfer-encoding: chunked\r\n" + length):
        with web.connect() as connection:
            connection.sendall(head.replace(length, chunked))
            answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 411 ")


def test_errors_of_the_server_come_with_reason_and_status(web: Web) -> None:
    number = web.call("RegisterHashes", new()).receipt.case_number
    web.call("WithdrawCase", registration_pb2.WithdrawCaseRequest(access=access(number)))
    closed = register(distinctive(), case=number).SerializeToString()
    answer = web.post("RegisterHashes", closed)
    assert (answer.status, answer.reason) == (400, "CASE_CLOSED")
    empty = web.post("RegisterHashes", b"")
    assert (empty.status, empty.reason) == (400, "INVALID_REQUEST")
    request = new()
    web.call("RegisterHashes", request)
    request.context.age_band = registration_pb2.AGE_BAND_MINOR
    reused = web.post("RegisterHashes", request.SerializeToString())
    assert (reused.status, reused.reason) == (409, "REQUEST_ID_REUSED")


def test_unknown_case_and_wrong_pin_get_the_same_answer(web: Web) -> None:
    number = web.call("RegisterHashes", new()).receipt.case_number
    wrong = web.post("GetCase", get(number, WRONG).SerializeToString())
    unknown = web.post("GetCase", get("4D62-TKMD-SPQ").SerializeToString())
    assert wrong.status == unknown.status == 404
    assert wrong.reason == "CASE_REFUSED"
    assert wrong.body == unknown.body
    dated = [dict(answer.headers) | {"date": ""} for answer in (wrong, unknown)]
    assert dated[0] == dated[1]


def test_a_server_that_does_not_answer_is_said_to_be_unavailable_and_not_where_it_is(
    start: Callable[..., Web],
) -> None:
    gateway = start(f"{HOST}:1")
    answer = gateway.post("GetCase", get("4D62-TKMD-SPQ").SerializeToString())
    assert (answer.status, answer.reason) == (503, "UNAVAILABLE")
    assert answer.retry_after_s > 0
    assert HOST.encode() not in answer.body
    assert answer.header("content-digest") == digest(answer.body)


def test_a_key_that_is_refused_is_the_operators_matter(
    server: Deployment, platform: str, start: Callable[..., Web]
) -> None:
    for bad in ("unknown", platform):
        gateway = start(server.address, key=bad)
        answer = gateway.post("GetCase", get("4D62-TKMD-SPQ").SerializeToString())
        assert (answer.status, answer.reason) == (503, "UNAVAILABLE")
        assert '"gateway_key_refused"' in gateway.log.read_text()


def test_the_bounds_of_a_registration_are_the_defaults_of_the_server() -> None:
    defaults = Config.model_fields
    assert defaults["max_items_per_registration"].default == ITEMS_MAX
    assert defaults["max_hashes_per_registration"].default == HASHES_MAX


def test_a_fault_of_the_gateway_is_logged_by_its_place_and_not_shown(
    start: Callable[..., Web],
) -> None:
    body = get("4D62-TKMD-SPQ").SerializeToString()
    gateway = start(f"{HOST}:1", bounds={"gateway.with_origin": None})
    answer = gateway.post("GetCase", body)
    assert (answer.status, answer.reason) == (500, "INTERNAL")
    log = gateway.log.read_text()
    assert '"request_failed"' in log
    assert '"TypeError"' in log
    for secret in ("4D62", PIN, "NoneType"):
        assert secret not in log
        assert secret.encode() not in answer.body

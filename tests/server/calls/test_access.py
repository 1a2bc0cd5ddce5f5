"""The access matrix: every call, refused to every caller who may not make it, over real sockets.

The calls are those of ``server/rights.py``; what the proto files hold besides fails the tests.
"""

from __future__ import annotations

import pkgutil
from functools import partial
from importlib import import_module
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from benchmarks.harness.deployment import Deployment
from disrupt import v1
from disrupt.admin.v1 import admin_pb2
from disrupt.core.policy import BankPolicy, Right
from disrupt.server.rights import RIGHTS
from disrupt.server.upkeep.administration import administration
from disrupt.services.keys import SECRET_PREFIX
from disrupt.v1 import match_pb2, review_pb2
from disrupt.wire import admin as wire
from disrupt.wire import banks as wire_banks
from tests.server.caller import TIMEOUT_S, Refused, calling, eventually, refusal
from tests.server.running import expire

pytestmark = pytest.mark.slow

UNAUTHENTICATED = (grpc.StatusCode.UNAUTHENTICATED, "KEY_REFUSED")
UNCERTIFIED = (grpc.StatusCode.PERMISSION_DENIED, "CERTIFICATE_REFUSED")
DENIED = (grpc.StatusCode.PERMISSION_DENIED, "RIGHT_MISSING")

UNKNOWN = SECRET_PREFIX + "A" * 43
MALFORMED = {
    "no scheme": UNKNOWN,
    "another scheme": f"Basic {UNKNOWN}",
    "no key": "Bearer",
    "an empty key": "Bearer ",
    "an unknown key": f"Bearer {UNKNOWN}",
    "a long key": "Bearer " + "x" * 5000,
}

FILLED: dict[str, Message] = {
    "/disrupt.v1.MatchService/MatchHashes": match_pb2.MatchHashesRequest(hashes=bytes(32)),
    "/disrupt.v1.MatchService/StreamMatchHashes": match_pb2.StreamMatchHashesRequest(
        batch=match_pb2.MatchHashesRequest(hashes=bytes(32))
    ),
    "/disrupt.v1.MatchService/MatchImage": match_pb2.MatchImageRequest(image=b"any"),
    "/disrupt.v1.MatchService/MatchVideo": match_pb2.MatchVideoRequest(
        options=match_pb2.MatchVideoOptions()
    ),
    "/disrupt.v1.ReviewService/ListItems": review_pb2.ListItemsRequest(),
}
"""Of each call that takes banks, a request, or the first of a stream, that lacks only these."""


def calls() -> dict[str, Descriptor]:
    """Return the message that each public call of the proto files takes."""
    modules = (
        import_module(f"{v1.__name__}.{module.name}")
        for module in pkgutil.iter_modules(v1.__path__)
        if module.name.endswith("_pb2")
    )
    return {
        f"/{service.full_name}/{method.name}": method.input_type
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


CALLS = calls()


def path_to_banks(message: Descriptor) -> list[str] | None:
    """Return the names of the fields that lead to the banks in a request; None without any."""
    for field in message.fields:
        if field.name == "banks":
            return [field.name]
        if field.message_type is not None and not field.is_repeated:
            path = path_to_banks(field.message_type)
            if path is not None:
                return [field.name, *path]
    return None


WITH_BANKS = {method: path for method, message in CALLS.items() if (path := path_to_banks(message))}


def ask(server: Deployment, method: str, words: str | None, request: bytes = b"") -> Refused:
    """Return the error of a call with these words in the header that carries the key."""
    metadata = [] if words is None else [("authorization", words)]
    with calling(server.address, None) as caller:
        call: Any = caller.channel.stream_stream(method)
        answers = call(iter([request]), metadata=metadata, timeout=TIMEOUT_S, wait_for_ready=True)
        return refusal(partial(list, answers))


def check(refused: Refused, expected: tuple[grpc.StatusCode, str]) -> None:
    assert (refused.code, refused.reason) == expected
    assert refused.domain == "disrupt"


@pytest.fixture(scope="module")
def right_keys(server: Deployment) -> dict[Right, str]:
    """Make a key for each right."""
    return {right: server.make_key(right.name, right.name) for right in Right}


@pytest.fixture(scope="module")
def other_keys(server: Deployment) -> dict[Right, str]:
    """Make keys that have every right but one."""
    return {
        right: server.make_key(
            f"all but {right.name}", *(other.name for other in Right if other != right)
        )
        for right in set(RIGHTS.values())
    }


@pytest.fixture(scope="module")
def ended(server: Deployment) -> dict[str, str]:
    """Make keys with every right, which worked until one was revoked and one expired."""
    with administration(server.data_dir) as admin:
        made = {
            name: admin.create(wire.create_request(name, tuple(Right), ()))
            for name in ("revoked", "expired")
        }
        for created in made.values():
            assert status(server, created.secret) == grpc.StatusCode.OK
        admin.revoke(wire.revoke_request(made["revoked"].key.key_id))
    expire(server, made["expired"].key.key_id)
    secrets = {name: created.secret for name, created in made.items()}
    for secret in secrets.values():
        eventually(
            lambda secret=secret: all(  # type: ignore[misc]
                status(server, secret) == grpc.StatusCode.UNAUTHENTICATED for _ in range(8)
            )
        )
    return secrets


def status(server: Deployment, secret: str) -> grpc.StatusCode:
    """Return the code with which any worker answers a call of a key."""
    with calling(server.address, secret) as caller:
        try:
            caller("GetIndexStatus", match_pb2.GetIndexStatusRequest())
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


def test_every_call_of_the_proto_files_has_a_line_in_the_table_of_rights() -> None:
    assert set(RIGHTS) == set(CALLS)


def test_a_server_serves_these_services_and_no_others(server: Deployment) -> None:
    with calling(server.address, None) as caller:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(caller.channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(
            iter([request]), timeout=TIMEOUT_S, wait_for_ready=True
        )
    served = {service.name for service in answer.list_services_response.service}
    public = {method.split("/")[1] for method in RIGHTS}
    assert served == public | {health.SERVICE_NAME, reflection.SERVICE_NAME}


@pytest.mark.parametrize("method", CALLS)
def test_a_key_of_the_right_alone_is_let_through(
    server: Deployment, right_keys: dict[Right, str], method: str
) -> None:
    # Refused only for what it sends, which is no message.
    refused = ask(server, method, f"Bearer {right_keys[RIGHTS[method]]}", b"\xff")
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", CALLS)
def test_a_call_without_a_key_is_refused(server: Deployment, method: str) -> None:
    check(ask(server, method, None), UNAUTHENTICATED)


@pytest.mark.parametrize("words", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("method", CALLS)
def test_a_call_with_a_malformed_key_is_refused(
    server: Deployment, method: str, words: str
) -> None:
    check(ask(server, method, words), UNAUTHENTICATED)


@pytest.mark.parametrize("how", ["revoked", "expired"])
@pytest.mark.parametrize("method", CALLS)
def test_a_call_with_a_key_that_has_ended_is_refused(
    server: Deployment, ended: dict[str, str], method: str, how: str
) -> None:
    check(ask(server, method, f"Bearer {ended[how]}"), UNAUTHENTICATED)


@pytest.fixture(scope="module")
def without_certificate(server: Deployment) -> str:
    """Make a key with every right, of an organisation that needs a client certificate."""
    with administration(server.data_dir) as admin:
        secret = admin.create(wire.create_request("certified", tuple(Right), ())).secret
        admin.set_organisation(wire.organisation_request("certified", {}, "certified.example"))
    denied = grpc.StatusCode.PERMISSION_DENIED
    eventually(lambda: all(status(server, secret) == denied for _ in range(8)))
    return str(secret)


@pytest.mark.parametrize("method", CALLS)
def test_a_call_without_the_client_certificate_that_its_organisation_needs_is_refused(
    server: Deployment, without_certificate: str, method: str
) -> None:
    check(ask(server, method, f"Bearer {without_certificate}"), UNCERTIFIED)


@pytest.mark.parametrize(
    ("method", "right"),
    [(method, right) for method in CALLS for right in Right if right != RIGHTS.get(method)],
)
def test_a_call_with_a_key_of_another_right_is_refused(
    server: Deployment, right_keys: dict[Right, str], method: str, right: Right
) -> None:
    check(ask(server, method, f"Bearer {right_keys[right]}"), DENIED)


@pytest.mark.parametrize("method", CALLS)
def test_a_call_with_a_key_of_all_other_rights_is_refused(
    server: Deployment, other_keys: dict[Right, str], method: str
) -> None:
    check(ask(server, method, f"Bearer {other_keys[RIGHTS[method]]}"), DENIED)


def naming(method: str, *banks: str) -> bytes:
    """Return a request of a call that takes banks, which names these."""
    filled = GetMessageClass(CALLS[method])()
    filled.CopyFrom(FILLED[method])
    *parents, last = WITH_BANKS[method]
    parent: Any = filled
    for name in parents:
        parent = getattr(parent, name)
    getattr(parent, last).extend(banks)
    return filled.SerializeToString()


@pytest.mark.parametrize("method", WITH_BANKS)
def test_a_bank_that_the_key_may_not_search_is_refused(server: Deployment, method: str) -> None:
    secret = server.make_key("adults only", *(right.name for right in Right), banks=("adults",))
    refused = ask(server, method, f"Bearer {secret}", naming(method, "minors"))
    check(refused, DENIED)
    for banks in (["nobody's"], ["adults", "test"]):
        unsearchable = ask(server, method, f"Bearer {secret}", naming(method, *banks))
        check(unsearchable, (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"))


@pytest.fixture(scope="module")
def of_another_organisation(server: Deployment) -> str:
    """Make a key of every right with a bank that only another organisation may see."""
    with administration(server.data_dir) as admin:
        policy = BankPolicy(visible_to=frozenset({"another"}))
        admin.create_bank(wire_banks.create_request("private", policy))
    return server.make_key("stranger", *(right.name for right in Right), banks=("private",))


@pytest.mark.parametrize(
    # Staff review all banks of their keys, whatever platforms see.
    "method",
    [method for method in WITH_BANKS if RIGHTS[method] != Right.REVIEW],
)
def test_a_bank_for_other_organisations_is_refused(
    server: Deployment, of_another_organisation: str, method: str
) -> None:
    words, request = f"Bearer {of_another_organisation}", naming(method, "private")
    # A worker that has not read of the bank yet does not know its name.
    eventually(
        lambda: all(
            ask(server, method, words, request).code != grpc.StatusCode.INVALID_ARGUMENT
            for _ in range(8)
        )
    )
    check(ask(server, method, words, request), DENIED)


@pytest.mark.parametrize(
    "method", [method for method, right in RIGHTS.items() if right == Right.REVIEW]
)
def test_a_key_of_a_helpline_reviews_nothing(server: Deployment, method: str) -> None:
    secret = server.make_key("helpline", "register", "staff")
    check(ask(server, method, f"Bearer {secret}"), DENIED)


def test_no_key_administers_over_the_network(server: Deployment) -> None:
    secret = server.make_key("all rights", *(right.name for right in Right))
    service = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
    for method in service.methods:
        refused = ask(server, f"/{service.full_name}/{method.name}", f"Bearer {secret}")
        assert refused.code == grpc.StatusCode.UNIMPLEMENTED

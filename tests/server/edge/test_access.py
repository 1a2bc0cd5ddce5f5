"""The access matrix: every call is refused to every caller who may not make it.

The calls are those of ``edge.methods``. A call of the proto files that has no row there fails.
"""

from __future__ import annotations

import asyncio
import pkgutil
from importlib import import_module
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from grpc import aio

from disrupt import v1
from disrupt.admin.v1 import admin_pb2
from disrupt.core.policy import Right
from disrupt.server.desk import open_desk
from disrupt.server.edge.methods import PUBLIC
from disrupt.services.keys import SECRET_PREFIX
from disrupt.v1 import match_pb2, review_pb2
from disrupt.wire import admin as wire
from rig.callers.caller import TIMEOUT_S, refused_of
from rig.servers.deployment import Deployment
from rig.servers.registries import expire
from rig.waiting import eventually

UNAUTHENTICATED = (grpc.StatusCode.UNAUTHENTICATED, "KEY_REFUSED")
DENIED = (grpc.StatusCode.PERMISSION_DENIED, "RIGHT_MISSING")

UNKNOWN = SECRET_PREFIX + "A" * 43
MALFORMED = {
    "no scheme": UNKNOWN,
    "another scheme": f"Basic {UNKNOWN}",
    "no key": "Bearer",
    "an unknown key": f"Bearer {UNKNOWN}",
    "a long key": "Bearer " + "x" * 5000,
}

MINORS = match_pb2.MatchOptions(banks=["minors"])
OF_MINORS = review_pb2.ItemConditions(banks=["minors"])
NAMING_MINORS: dict[str, Message] = {
    "/disrupt.v1.MatchService/MatchHashes": match_pb2.MatchHashesRequest(
        hashes=bytes(32), options=MINORS
    ),
    "/disrupt.v1.MatchService/MatchImage": match_pb2.MatchImageRequest(
        image=b"any", options=MINORS
    ),
    "/disrupt.v1.MatchService/MatchVideo": match_pb2.MatchVideoRequest(
        options=match_pb2.MatchVideoOptions(options=MINORS)
    ),
    "/disrupt.v1.ReviewService/ListItems": review_pb2.ListItemsRequest(conditions=OF_MINORS),
    "/disrupt.v1.ReviewService/PreviewItems": review_pb2.PreviewItemsRequest(conditions=OF_MINORS),
    "/disrupt.v1.ReviewService/SetAllStates": review_pb2.SetAllStatesRequest(conditions=OF_MINORS),
}
"""Of each call that takes banks, a request that names one, or the first of a stream."""


def calls() -> dict[str, Descriptor]:
    """Return what each public call of the proto files takes."""
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


def takes_banks(message: Descriptor) -> bool:
    """Tell whether a field of a request, however deep, is named ``banks``."""
    return any(
        field.name == "banks"
        or (field.message_type is not None and takes_banks(field.message_type))
        for field in message.fields
    )


def answers(
    server: Deployment, words: str | None, requests: dict[str, bytes]
) -> set[tuple[grpc.StatusCode, str]]:
    """Make each call, ``words`` in the header of the key; return codes and reasons.

    Few at once: a worker lets only so many wait for a key that it does not know yet.
    """
    metadata = [] if words is None else [("authorization", words)]
    places = asyncio.Semaphore(16)

    async def make(channel: aio.Channel, method: str, request: bytes) -> Any:
        # sent at once, also of a call that takes a stream
        stub: Any = channel.unary_stream(method)
        try:
            async with places:
                call = stub(request, metadata=metadata, timeout=TIMEOUT_S, wait_for_ready=True)
                await call.read()
        except grpc.RpcError as error:
            refused = refused_of(error)
            return refused.code, refused.reason
        return grpc.StatusCode.OK, ""

    async def make_all() -> set[tuple[grpc.StatusCode, str]]:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with aio.insecure_channel(server.address, options=options) as channel:
            made = (make(channel, method, request) for method, request in requests.items())
            return set(await asyncio.gather(*made))

    return asyncio.run(make_all())


EMPTY = dict.fromkeys(PUBLIC, b"")


def test_every_call_of_the_proto_files_has_a_row() -> None:
    assert set(PUBLIC) == set(calls())


@pytest.mark.parametrize("words", [None, *MALFORMED.values()], ids=["no header", *MALFORMED])
def test_no_call_is_answered_without_a_key(server: Deployment, words: str | None) -> None:
    assert answers(server, words, EMPTY) == {UNAUTHENTICATED}


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_no_call_is_answered_to_a_key_that_has_ended(server: Deployment, how: str) -> None:
    with open_desk(server.data_dir) as desk:
        made = desk.CreateKey(wire.create_request(how, tuple(Right), ()))
        if how == "revoked":
            desk.RevokeKey(wire.revoke_request(made.key.key_id))
        else:
            expire(server, made.key.key_id)
    words = f"Bearer {made.secret}"
    eventually(lambda: all(answers(server, words, EMPTY) == {UNAUTHENTICATED} for _ in range(3)))


@pytest.mark.parametrize("right", Right)
def test_a_right_allows_its_calls_and_no_others(server: Deployment, right: Right) -> None:
    own = {method: b"\xff" for method, needed in PUBLIC.items() if needed == right}
    others = {method: b"" for method in PUBLIC if method not in own}
    alone = f"Bearer {server.make_key(right.name, right.name)}"
    assert answers(server, alone, others) == {DENIED}
    if own:
        # let through, and refused for what they send: no message
        assert {code for code, _ in answers(server, alone, own)} == {
            grpc.StatusCode.INVALID_ARGUMENT
        }
        rest = server.make_key("rest", *(other.name for other in Right if other != right))
        assert answers(server, f"Bearer {rest}", own) == {DENIED}


def test_no_call_searches_or_lists_a_bank_that_its_key_does_not_name(server: Deployment) -> None:
    assert set(NAMING_MINORS) == {method for method, taken in calls().items() if takes_banks(taken)}
    requests = {method: request.SerializeToString() for method, request in NAMING_MINORS.items()}
    every_right = [right.name for right in Right]
    adults = server.make_key("adults", *every_right, banks=("adults",))
    assert answers(server, f"Bearer {adults}", requests) == {DENIED}


def test_no_key_administers_over_the_network(server: Deployment) -> None:
    service = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
    requests = {f"/{service.full_name}/{method.name}": b"" for method in service.methods}
    every_right = server.make_key("all", *(right.name for right in Right))
    assert answers(server, f"Bearer {every_right}", requests) == {
        (grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED")
    }

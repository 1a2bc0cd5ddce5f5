"""Answers of a scripted registration service."""

from __future__ import annotations

from typing import Any

from disrupt.client.retries import RetryPolicy
from disrupt.core.cases import case_number, new_case_number
from disrupt.v1 import registration_pb2
from rig.servers.scripted import ScriptedServer

QUICK = RetryPolicy(attempts=4, first_pause_s=0.01, longest_pause_s=0.02)
OTHER_CASE = case_number(2)

SHOWN = registration_pb2.GetCaseResponse(case=registration_pb2.Case(case_number=OTHER_CASE))
"""Answer to the call that checks the PIN of OTHER_CASE before files are added to it."""


def register(request: bytes) -> registration_pb2.RegisterHashesResponse:
    """Register all items, into the case that is named or a new one."""
    asked = registration_pb2.RegisterHashesRequest.FromString(request)
    return registration_pb2.RegisterHashesResponse(
        receipt=registration_pb2.Receipt(
            case_number=asked.context.access.case_number or asked.context.new_case_number,
            items=[
                registration_pb2.RegisteredItem(
                    index=at,
                    item_id=item.fingerprints.hashes[:16],
                    hashes=1,
                    state=registration_pb2.CASE_ITEM_STATE_LIVE,
                )
                for at, item in enumerate(asked.items)
            ],
        )
    )


def derived(server: ScriptedServer) -> str:
    """Return the number of the case that the first request opens."""
    return new_case_number(asked(server.seen[0].request).request_id)


def asked(request: bytes) -> registration_pb2.RegistrationContext:
    """Return the context of a request."""
    return registration_pb2.RegisterHashesRequest.FromString(request).context


def receipt(**fields: Any) -> registration_pb2.RegisterHashesResponse:
    """Return an answer with these fields of its receipt."""
    return registration_pb2.RegisterHashesResponse(receipt=registration_pb2.Receipt(**fields))


def item(index: int, item_id: bytes = bytes(16)) -> registration_pb2.RegisteredItem:
    """Return an item of a receipt."""
    return registration_pb2.RegisteredItem(index=index, item_id=item_id, hashes=1)

"""A withdrawal does not wait for the registrations that came before it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast
from unittest.mock import Mock

import pytest

from disrupt.core.cases import CaseStatus, case_number
from disrupt.core.changes import Cursor
from disrupt.core.registrations import Receipt, ShownCase
from disrupt.registry.records import Withdrawn
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.shares import Admission, Resource, holder
from disrupt.server.writer.registration import RegistrationServicer
from disrupt.services.cursors import SealedCursors
from disrupt.services.registration import Registrar
from disrupt.v1 import registration_pb2
from rig.callers.caller import access, register

CASE = case_number(0)


class Slow:
    """A registrar whose registrations last until they are released."""

    def __init__(self) -> None:
        self.going_on = threading.Event()

    def register(self, *_: object, **__: object) -> Receipt:
        self.going_on.wait()
        return Receipt("", None, (), (), None)

    def withdraw(self, *_: object, **__: object) -> tuple[ShownCase, Withdrawn]:
        case = ShownCase(CASE, CaseStatus.WITHDRAWN, "", "", (), ())
        return case, Withdrawn((), Cursor(bytes(8), 1))


async def withdraw_behind_registrations(registrar: Slow) -> list[bool]:
    servicer = RegistrationServicer(
        cast("Registrar", registrar),
        registration_pb2.RegisterHashesRequest.FromString,
        Pool("writer", threads=4, queued=100),
        Pool("register", threads=2, queued=100),
        SealedCursors(bytes(32)),
        Mock(),
    )
    context: Any = None
    holder.set(Admission(dict.fromkeys(Resource, 1000000)).holder("key"))
    message = register(bytes(32)).SerializeToString()
    registrations = [
        asyncio.create_task(servicer.RegisterHashes(message, context)) for _ in range(50)
    ]
    await asyncio.sleep(0)
    request = registration_pb2.WithdrawCaseRequest(access=access(CASE))
    await servicer.WithdrawCase(request, context)
    unanswered = [not call.done() for call in registrations]
    registrar.going_on.set()
    await asyncio.gather(*registrations)
    return unanswered


@pytest.mark.timeout(60)
def test_a_withdrawal_passes_the_registrations_that_came_before_it() -> None:
    registrar = Slow()
    try:
        assert all(asyncio.run(withdraw_behind_registrations(registrar)))
    finally:
        registrar.going_on.set()

"""A message is received, whatever its size, up to what its call may carry."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from grpc import aio

from disrupt.server.admission.limits import CHUNK_BYTES_MAX, MessageLimits
from disrupt.server.admission.receiving import Context, Receiver
from disrupt.server.config import Config
from disrupt.server.rights import SERVICES
from disrupt.wire.payloads import ENVELOPE_BYTES_MAX

MATCH_IMAGE = "/disrupt.v1.MatchService/MatchImage"


class Coming:
    """A call of which these messages come."""

    def __init__(self, *messages: bytes) -> None:
        self.messages: list[Any] = [*messages, aio.EOF]

    async def read(self) -> Any:  # bytes or EOF
        return self.messages.pop(0)


def receive(data: bytes) -> Any:
    async def received() -> Any:
        receiver = Receiver(MessageLimits.of(Config(data_dir=Path("data"))), {})
        return await receiver.of(MATCH_IMAGE, bytes.hex).single(cast("Context", Coming(data)))

    return asyncio.run(received())


@pytest.mark.parametrize("size", [0, ENVELOPE_BYTES_MAX, ENVELOPE_BYTES_MAX + 1])
def test_a_message_is_decoded_whatever_its_size(size: int) -> None:
    assert receive(bytes(size)) == bytes(size).hex()


def test_every_limit_is_that_of_a_call() -> None:
    calls = {
        f"/{service.full_name}/{method.name}" for service in SERVICES for method in service.methods
    }
    limits = MessageLimits.of(Config(data_dir=Path("data")))
    assert limits.by_method.keys() <= calls
    assert limits("/disrupt.v1.RegistrationService/RegisterVideo") > CHUNK_BYTES_MAX

"""The server bounds how many hashes a key registers."""

from __future__ import annotations

import secrets

import grpc
import pytest

from tests.server.caller import calling, refusal, register
from tests.server.running import Start

pytestmark = pytest.mark.slow


def test_a_key_that_has_registered_a_lot_is_told_when_to_come_back(start: Start) -> None:
    server = start(settings="max_registered_hashes_per_h = 5", workers=1)
    with (
        calling(server.address, server.make_key("busy", "register")) as busy,
        calling(server.address, server.make_key("calm", "register")) as calm,
    ):
        first = register(*(secrets.token_bytes(32) for _ in range(5)))
        answer = busy("RegisterHashes", first)
        refused = refusal(lambda: busy("RegisterHashes", register(secrets.token_bytes(32))))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "QUOTA_EXCEEDED",
        )
        assert refused.retry_after_s
        assert busy("RegisterHashes", first) == answer
        calm("RegisterHashes", register(secrets.token_bytes(32)))
    assert '"quota_used_up"' in server.data_dir.with_name("data.log").read_text()

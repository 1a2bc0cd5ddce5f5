"""The server bounds what a key registers, and what an organisation looks up."""

from __future__ import annotations

import secrets
from urllib.request import urlopen

import grpc
import pytest
from click.testing import CliRunner

from disrupt.cli import main
from disrupt.client import MatchClient
from disrupt.errors import LimitExceededError, QuotaExceededError
from disrupt.v1 import match_pb2
from rig.callers.caller import calling, lookup, outcome, refusal, register
from rig.servers.deployment import Deployment, Start
from rig.waiting import eventually


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
            "OVERLOADED",
        )
        assert refused.retry_after_s
        assert busy("RegisterHashes", first) == answer
        calm("RegisterHashes", register(secrets.token_bytes(32)))
    assert '"quota_used_up"' in server.data_dir.with_name("data.log").read_text()


def command(server: Deployment, *words: str) -> str:
    """Run a command of `disrupt keys`; return what it prints."""
    done = CliRunner().invoke(main, ["keys", *words, "--data-dir", str(server.data_dir)])
    assert done.exit_code == 0, done.output
    return done.stdout


def left(server: Deployment) -> list[str]:
    """Return what the workers say is left of quotas."""
    with urlopen(f"http://{server.metrics_address()}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return [line.split()[-1] for line in lines if line.startswith("disrupt_quota_left{")]


def test_the_keys_of_an_organisation_share_its_quota_over_all_workers(start: Start) -> None:
    server = start(workers=2)
    words = ("--right", "match", "--right", "register", "--organisation", "platform")
    one, two = (command(server, "create", name, *words).split()[-1] for name in ("one", "two"))
    command(server, "quota", "platform", "--per-minute", "0", "--per-day", "9")
    assert "Quota of platform: 9 a day." in command(server, "list")
    eventually(lambda: left(server) == ["9.0", "9.0"])
    codes = []
    for key in (one, two) * 4:
        with calling(server.address, key) as caller:
            codes.append(outcome(lambda: caller("MatchHashes", lookup(bytes(32), bytes(32)))))
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    assert codes == [grpc.StatusCode.OK] * 4 + [exhausted] * 4
    with calling(server.address, two) as caller:
        caller("MatchHashes", lookup(bytes(32)))  # the last one
        picture = match_pb2.MatchImageRequest(image=b"not even a picture")
        refused = refusal(lambda: caller("MatchImage", picture))
        assert (refused.code, refused.reason) == (exhausted, "QUOTA_EXCEEDED")
        assert refused.quotas == (("organisation:platform", "9 lookups a day"),)
        assert 0 < (refused.retry_after_s or 0) <= 86_400
        caller("GetIndexStatus", match_pb2.GetIndexStatusRequest())
        caller("RegisterHashes", register(secrets.token_bytes(32)))
    with MatchClient(server.address, key=one, timeout_s=20) as client:
        with pytest.raises(QuotaExceededError) as error:
            client.match_hashes(bytes(32))
        assert (error.value.retry_after_s or 0) > 0
        assert error.value.metadata["organisation"] == "platform"
        with pytest.raises(LimitExceededError, match="9"):
            client.match_hashes(bytes(32 * 10))
    with calling(server.address, server.make_key("other", "match")) as caller:
        caller("MatchHashes", lookup(*[bytes(32)] * 10))
    eventually(lambda: left(server) == ["0.0", "0.0"])
    command(server, "quota", "platform", "--per-minute", "0", "--per-day", "0")
    eventually(lambda: left(server) == [])
    with calling(server.address, one) as caller:
        caller("MatchHashes", lookup(*[bytes(32)] * 10))

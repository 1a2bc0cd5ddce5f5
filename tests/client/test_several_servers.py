"""One client of several machines: calls go on where one of them dies, and use it again."""

from __future__ import annotations

import asyncio
import shutil
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from disrupt.client import AsyncMatchClient, MatchClient
from disrupt.client.connection import LOOKUPS, connect
from disrupt.errors import ConfigurationError
from disrupt.server.edge import health
from rig.servers.certificates import Pair, pair
from rig.servers.deployment import FEW_DECODERS, Deployment
from rig.waiting import eventually

_LOOKUPS = 200


@dataclass
class Twins:
    """Servers with the same data, by the name of their directories."""

    directory: Path
    certificate: Pair
    key: str = ""
    running: dict[str, Deployment] = field(default_factory=dict)

    def start(self, name: str, port: int = 0) -> None:
        """Start one, on the port that it had."""
        options = ("--tls-cert", str(self.certificate.certificate))
        self.running[name] = Deployment.start(
            self.directory / name,
            *(*options, "--tls-key", str(self.certificate.key)),
            listen=f"127.0.0.1:{port}",
            workers=1,
            settings=FEW_DECODERS,
        )

    def restart(self, name: str) -> None:
        """Start one that was killed."""
        self.start(name, int(self.running[name].address.rpartition(":")[2]))

    def answered(self, name: str) -> int:
        """Return the number of lookups that one has answered."""
        metrics = f"http://{self.running[name].metrics_address()}/metrics"
        with urllib.request.urlopen(metrics) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            int(float(line.rpartition(" ")[2]))
            for line in lines
            if line.startswith("disrupt_key_calls_total") and "MatchHashes" in line
        )

    @property
    def servers(self) -> str:
        return ",".join(server.address for server in self.running.values())


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[Twins]:
    twins = Twins(tmp_path, pair(tmp_path, "127.0.0.1"))
    twins.start("first")
    twins.key = twins.running["first"].make_key("platform", "match")
    twins.running["first"].stop()
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    twins.start("first")
    twins.start("second")
    yield twins
    for server in twins.running.values():
        server.kill()


def test_no_lookup_fails_where_one_of_two_machines_dies(twins: Twins) -> None:
    ca = twins.certificate.certificate
    with MatchClient(twins.servers, key=twins.key, tls_ca=ca) as client:

        def look_up(number: int) -> int:
            if number == _LOOKUPS // 4:
                twins.running["second"].kill()
            return len(client.match_hashes(number.to_bytes(32)))

        def both_answer() -> bool:
            look_up(0)
            return all(map(twins.answered, twins.running))

        eventually(both_answer)
        with ThreadPoolExecutor(4) as threads:
            assert [*threads.map(look_up, range(1, _LOOKUPS))] == [1] * (_LOOKUPS - 1)
        twins.restart("second")
        eventually(both_answer)


def test_nor_one_of_asyncio(twins: Twins) -> None:
    async def look_up() -> list[int]:
        ca = twins.certificate.certificate
        async with AsyncMatchClient(twins.servers, key=twins.key, tls_ca=ca) as client:
            await client.match_hashes(bytes(32))
            begun = [
                asyncio.create_task(client.match_hashes(number.to_bytes(32)))
                for number in range(_LOOKUPS)
            ]
            await asyncio.sleep(0)
            await asyncio.to_thread(twins.running["first"].kill)
            return [len(await answer) for answer in begun]

    assert asyncio.run(look_up()) == [1] * _LOOKUPS


def test_what_is_checked_of_them_is_whether_they_answer_lookups() -> None:
    assert LOOKUPS == health.LOOKUPS
    assert "service_config" not in str(connect("127.0.0.1:1", "key").options)


@pytest.mark.parametrize(
    ("servers", "target"),
    [
        ("127.0.0.1:1,127.0.0.2:2", "ipv4:127.0.0.1:1,127.0.0.2:2"),
        ("[::1]:1,[2001:db8::1]:2", "ipv6:[::1]:1,[2001:db8::1]:2"),
    ],
)
def test_several_addresses_are_one_target(servers: str, target: str) -> None:
    connection = connect(servers, "key")
    assert connection.target == target
    assert connection.loopback == ("2001" not in servers)


@pytest.mark.parametrize(
    "servers", ["127.0.0.1:1,[::1]:1", "a.example:1,b.example:1", "127.0.0.1:1,", ","]
)
def test_what_gives_no_target_is_refused(servers: str) -> None:
    with pytest.raises(ConfigurationError):
        connect(servers, "key")

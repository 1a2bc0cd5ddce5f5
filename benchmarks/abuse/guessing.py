"""Measure how long the owner of a case waits while others guess PINs, and how many they can try.

The server is real. Each attacker has an origin token of its own and guesses on numbers of no case,
or, with --number-known, on the owner's; it comes back when the server asks. The owner comes
meanwhile, as a submission client does. Exit code 1 if the owner waits too long, or if more
guesses are answered than the throttle allows (docs/throttle.md).

    ./scripts/bench guessing --tokens 5000 --json out.json
    ./scripts/bench guessing --tokens 5000 --number-known --json out.json     # half an hour
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
import grpc
import numpy as np
from grpc import aio

from benchmarks.harness.deployment import Deployment
from disrupt.client.failures import failure
from disrupt.core.cases import CASE_NUMBERS, PIN_DIGITS, AgeBand, case_number
from disrupt.core.media import FINGERPRINT, MediaKind
from disrupt.core.registrations import MediaItem
from disrupt.errors import CaseRefusedError, DisruptError, OverloadedError
from disrupt.services.throttle import CHECKS_PER_S
from disrupt.submission import requests
from disrupt.v1 import registration_pb2
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub

OWNER_WAITS_S = 60.0
OWNER_OF_KNOWN_NUMBER_WAITS_S = 1800.0

_CHANNELS = 8
_TIMEOUT_S = 60.0
_PAUSE_S = 1.0
"""Pause between two visits of the owner."""


@dataclass(slots=True)
class Report:
    """Results; ``checked`` are guesses on the owner's number that were answered."""

    tokens: int
    number_known: bool
    seconds: float = 0.0
    asked: int = 0
    refused: int = 0
    checked: int = 0
    checked_per_s: float = 0.0
    owner_waited_s: list[float] = field(default_factory=list)

    def violations(self) -> list[str]:
        """Return the promises that were broken."""
        most_s = OWNER_OF_KNOWN_NUMBER_WAITS_S if self.number_known else OWNER_WAITS_S
        broken = []
        if max(self.owner_waited_s, default=most_s + 1) > most_s:
            broken.append(f"the owner waited more than {most_s:.0f} s")
        if self.checked > CHECKS_PER_S * (self.seconds + 1):
            broken.append(f"{self.checked} guesses were answered in {self.seconds:.0f} s")
        return broken


@dataclass(slots=True)
class _Site:
    """Connections to a server, and the counts so far."""

    channels: list[aio.Channel]
    key: str
    report: Report

    async def open(self, number: str, pin: str, origin: bytes) -> bool:
        """Request a case until there is an answer; return whether the PIN is right."""
        access = registration_pb2.CaseAccess(case_number=number, pin=pin, origin_token=origin)
        request = registration_pb2.GetCaseRequest(access=access)
        while True:
            stub = RegistrationServiceStub(random.choice(self.channels))
            self.report.asked += 1
            try:
                await stub.GetCase(
                    request,
                    timeout=_TIMEOUT_S,
                    metadata=(("authorization", f"Bearer {self.key}"),),
                )
            except grpc.RpcError as error:
                failed = failure(error, "")
                if isinstance(failed, CaseRefusedError):
                    return False
                await asyncio.sleep(_wait_s(failed))
            else:
                return True

    async def guess(self, numbers: Iterator[str]) -> None:
        """Guess for ever, under one token."""
        origin = secrets.token_bytes(16)
        for number in numbers:
            pin = f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}}"
            await self.open(number, pin, origin)
            self.report.refused += 1

    async def visit(self, number: str, pin: str, visits: int) -> None:
        """Open a case ``visits`` times, as its owner."""
        for _ in range(visits):
            await asyncio.sleep(_PAUSE_S)
            began_s = time.monotonic()
            await self.open(number, pin, b"owner")
            self.report.owner_waited_s.append(round(time.monotonic() - began_s, 2))


def _wait_s(failed: DisruptError) -> float:
    if isinstance(failed, OverloadedError):
        return max(0.05, failed.retry_after_s or 1.0)
    return 1.0


async def play(server: Deployment, *, tokens: int, number_known: bool, visits: int) -> Report:
    """Have attackers guess until the owner has opened the case ``visits`` times."""
    report = Report(tokens, number_known)
    key = server.make_key("gateway", "register")
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [aio.insecure_channel(server.address, options=options) for _ in range(_CHANNELS)]
    site = _Site(channels, key, report)
    number, pin = await _register(channels[0], key)
    numbers = (
        itertools.repeat(number)
        if number_known
        else (case_number(secrets.randbelow(CASE_NUMBERS)) for _ in itertools.count())
    )
    began_s = time.monotonic()
    guessing = [asyncio.create_task(site.guess(numbers)) for _ in range(tokens)]
    await site.visit(number, pin, visits)
    report.seconds = round(time.monotonic() - began_s, 1)
    report.checked = report.refused if number_known else 0
    report.checked_per_s = round(report.checked / report.seconds, 2)
    for task in guessing:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    for channel in channels:
        await channel.close()
    return report


async def _register(channel: aio.Channel, key: str) -> tuple[str, str]:
    fingerprints = np.zeros(1, FINGERPRINT)
    fingerprints["hash"] = np.frombuffer(secrets.token_bytes(32), np.uint8)
    fingerprints["quality"] = 100
    pin = "123412341234"
    request = requests.register(
        [MediaItem(MediaKind.IMAGE, fingerprints)],
        request_id=secrets.token_bytes(16),
        opens=requests.access("", pin),
        age=AgeBand.ADULT,
    )
    stub = RegistrationServiceStub(channel)
    answer = await stub.RegisterHashes(
        request, timeout=_TIMEOUT_S, metadata=(("authorization", f"Bearer {key}"),)
    )
    return answer.receipt.case_number, pin


@click.command()
@click.option("--tokens", default=5000, show_default=True, help="Origins that guess.")
@click.option("--number-known", is_flag=True, help="They guess on the owner's case.")
@click.option("--visits", default=3, show_default=True, help="Times that the owner opens the case.")
@click.option("--json", "json_path", default="-", help="Where the report goes; - is stdout.")
def main(tokens: int, visits: int, json_path: str, *, number_known: bool) -> None:
    """Guess PINs on a real server while the owner of a case comes."""
    with tempfile.TemporaryDirectory() as directory:
        server = Deployment.start(Path(directory) / "data")
        try:
            report = asyncio.run(
                play(server, tokens=tokens, number_known=number_known, visits=visits)
            )
        finally:
            server.stop()
    violations = report.violations()
    text = json.dumps(asdict(report) | {"violations": violations}, indent=2)
    if json_path == "-":
        click.echo(text)
    else:
        Path(json_path).write_text(text + "\n")
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()

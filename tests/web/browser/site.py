"""The page as it is served: the gateway before a server, and a platform's lookups there."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.harness.deployment import Deployment
from disrupt.client import MatchClient
from tests.cli.shell import Shell
from tests.server.caller import eventually


@dataclass(frozen=True)
class Site:
    """Where the page is, and what a platform's key finds on the same server."""

    url: str
    server: Deployment
    match_key: str

    def asks_erasure(self, number: str) -> None:
        """Let two persons of staff ask for the erasure of a case without its PIN."""
        shell = Shell(self.server.address, "", self.match_key, "")
        for name, command in (("anne", "erase-case"), ("bruno", "confirm-erasure")):
            key = self.server.make_key(name, "review")
            done = shell("review", command, "--case-file", "-", key=key, stdin=f"{number}\n")
            assert done.code == 0, done.err

    def finds(self, picture: bytes, *, matches: int) -> None:
        """Wait until a platform's lookup has so many matches."""
        with MatchClient(self.server.address, key=self.match_key) as client:
            eventually(lambda: len(client.match_image(picture).matches) == matches)

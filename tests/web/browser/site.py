"""The page as it is served, and what is in the server behind it."""

from __future__ import annotations

from dataclasses import dataclass

from disrupt.client import MatchClient
from disrupt.submission.client import SubmissionClient
from disrupt.submission.results import Case
from rig.servers.deployment import Deployment
from rig.waiting import eventually


@dataclass(frozen=True)
class Site:
    """Where the page is, and what a platform's key finds on the same server."""

    url: str
    server: Deployment
    match_key: str

    def case(self, number: str, pin: str) -> Case:
        """Return a case as the command line sees it."""
        key = self.server.make_key("helpline", "register")
        with SubmissionClient(self.server.address, key=key) as client:
            return client.case(number, pin)

    def finds(self, picture: bytes, *, matches: int) -> None:
        """Wait until a platform's lookup has so many matches."""
        with MatchClient(self.server.address, key=self.match_key) as client:
            eventually(lambda: len(client.match_image(picture).matches) == matches)

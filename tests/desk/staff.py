"""Staff at a desk, and what people and platforms sent to the server behind it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from disrupt.core.outcomes import MatchOutcome
from rig.callers.desk import Desk, Reporter
from rig.callers.passkeys import Authenticator
from rig.model.write import Write
from rig.servers.deployment import Deployment
from rig.servers.desk import ORIGIN, Answer, Browser, Running


def signed_in(desk: Running, secret: str, authenticator: Authenticator | None = None) -> Browser:
    """Enrol a passkey with the secret of a key; return the browser that is signed in by it."""
    browser, device = Browser(desk), authenticator or Authenticator(ORIGIN)
    options = browser.ask("/enrol/begin", {"secret": secret}).json
    answer = browser.ask("/enrol/finish", {"credential": device.make(options)})
    assert answer.status == 200, answer.body
    return browser


def told(answer: Answer) -> tuple[int, str]:
    """Return the status of an answer, and why it was refused."""
    return answer.status, answer.reason


def rows(browser: Browser, **conditions: Any) -> list[dict[str, Any]]:
    """Return the first page of items that meet conditions."""
    answer = browser.ask("/api/items", {"conditions": conditions})
    assert answer.status == 200, answer.body
    listed: list[dict[str, Any]] = answer.json["rows"]
    return listed


def named(items: list[dict[str, Any]]) -> dict[str, str]:
    """Return what names items as they are shown, in an act."""
    return {row["item"]: row["version"] for row in items}


@dataclass
class People:
    """People who register at the server, and platforms that report."""

    server: Deployment
    chance: random.Random = field(default_factory=lambda: random.Random(46))

    def register(self, cases: int = 1, items: int = 1) -> list[Write]:
        """Register cases of so many pictures each, with two hashes."""
        writes = [Write.new(self.chance, items, 2) for _ in range(cases)]
        with self._open() as desk:
            for write in writes:
                desk.register(write)
        return writes

    def dispute(self, write: Write) -> None:
        """Report, as two platforms, that the first picture of a case is a false positive."""
        with self._open() as desk:
            for name in ("first platform", "second platform"):
                reporter = Reporter.new(self.server, f"{name} {self.chance.random()}")
                desk.report(write, reporter, MatchOutcome.FALSE_POSITIVE)

    def _open(self) -> Any:
        key = self.server.make_key(f"helpline {self.chance.random()}", "register")
        return Desk(self.server.address, key).open()


def tags(browser: Browser, write: Write) -> dict[str, Any]:
    """Return the row of a case's first picture."""
    item = write.item_ids[0].hex()
    answer = browser.ask("/api/item", {"name": item})
    assert answer.status == 200, answer.body
    row: dict[str, Any] = answer.json
    return row

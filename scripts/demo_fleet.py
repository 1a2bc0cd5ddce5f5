"""Show the main job on a fleet, of which a node and the leading writer are killed.

PostgreSQL, two writers and two match nodes, all on this machine; it needs no root.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from disrupt.client import Effort, MatchClient
from rig.servers.deployment import Deployment, run
from rig.servers.fleet import Fleet, Place
from rig.servers.postgresql import PostgreSql, commands
from scripts.demo import KEPT, Report, edited_copies, in_folder

GIVE_UP_AFTER_S = 30.0
FOUND, GONE = "all found", "none found"


@dataclass
class Demo:
    """A fleet that runs, keys of a helpline and a platform, and the lines that are shown."""

    fleet: Fleet
    servers: dict[str, Deployment]
    keys: dict[str, str]
    copies: list[Path]
    report: Report = field(default_factory=Report)

    def register(self, step: str = "register") -> tuple[str, str]:
        """Register photographs as one case; return its number and PIN."""
        began_s = time.monotonic()
        options = ("--json", "--age", "adult", "--server", self.fleet.address)
        answer = run("disrupt", "submit", *options, *KEPT, DISRUPT_KEY=self.keys["register"])
        case = json.loads(answer)
        what = f"case {case['case']}, after {time.monotonic() - began_s:.1f} s"
        expected, got = (f"{len(some)} pictures" for some in (KEPT, case["items"]))
        self.report.line(step, what, expected, got)
        return case["case"], case["pin"]

    def look_up(self, step: str, expected: str, *nodes: Place) -> None:
        """Look edited copies up on each of these nodes, until they are found, or gone."""
        for node in nodes:
            with self._client(node.address) as client:
                give_up_s = time.monotonic() + GIVE_UP_AFTER_S
                while (got := self._ask(client)) != expected and time.monotonic() < give_up_s:
                    time.sleep(0.02)
            self.report.line(step, f"{len(self.copies)} copies, on {node.name}", expected, got)

    def kill_node(self, node: Place) -> None:
        """Kill a node while a platform looks copies up: the SDK asks the other."""
        stop, answers = threading.Event(), list[str]()

        def ask() -> None:
            with self._client(self.fleet.address) as client:
                while not stop.is_set():
                    answers.append(self._ask(client))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            time.sleep(1)
            self.servers[node.name].kill()
            time.sleep(2)
        finally:
            stop.set()
            asking.join()
        what = f"{len(self.copies) * len(answers)} lookups meanwhile"
        got = next((answer for answer in answers if answer != FOUND), FOUND)
        self.report.line(f"kill {node.name}", what, FOUND, got)

    def withdraw(self, number: str, pin: str) -> None:
        """Withdraw a case."""
        options = ("--yes", number, "--server", self.fleet.address)
        run("disrupt", "withdraw", *options, DISRUPT_KEY=self.keys["register"], DISRUPT_PIN=pin)

    def _client(self, address: str) -> MatchClient:
        return MatchClient(address, key=self.keys["match"])

    def _ask(self, client: MatchClient) -> str:
        answers = [client.match_image(file, effort=Effort.FAST) for file in self.copies]
        count = sum(bool(answer.matches) for answer in answers)
        return {0: GONE, len(answers): FOUND}.get(count, f"{count} found")


@contextlib.contextmanager
def running(work: Path) -> Iterator[Demo]:
    """Run a fleet, whose second writer waits for its turn."""
    with contextlib.ExitStack() as stack:
        postgresql = stack.enter_context(PostgreSql.create())
        postgresql.make_registry()
        users = {"writer": "disrupt", "match": "disrupt_match"}
        urls = {role: postgresql.url("disrupt", user) for role, user in users.items()}
        fleet = Fleet.of_four(work, urls)
        fleet.prepare()
        servers: dict[str, Deployment] = {}
        for place in (*fleet.writers, *fleet.nodes):
            servers[place.name] = stack.enter_context(fleet.launch(place))
            servers[place.name].wait()
        leader = servers[fleet.writers[0].name]
        keys = {right: leader.make_key(right, right) for right in ("register", "match")}
        (work / "copies").mkdir()
        copies = [lookup.file for lookup in edited_copies(KEPT, work / "copies")][::4]
        yield Demo(fleet, servers, keys, copies)


def demo(work: Path) -> int:
    """Do all of it in one folder; return the exit code."""
    began_s = time.monotonic()
    with running(work) as shown:
        writer, _ = shown.fleet.writers
        first, second = shown.fleet.nodes
        cases = [shown.register()]
        shown.look_up("look up", FOUND, first, second)
        shown.kill_node(first)
        shown.servers[writer.name].kill()
        cases.append(shown.register(f"kill {writer.name}"))
        for case in cases:
            shown.withdraw(*case)
        shown.look_up("withdrawn", GONE, second)
        with shown.fleet.launch(first) as again:
            again.wait()
            shown.look_up("started again", GONE, first)
    return shown.report.end(began_s)


def main() -> int:
    """Run in a folder of its own, where PostgreSQL is installed."""
    if not commands():
        print("PostgreSQL is not installed: scripts/system-packages --fleet", file=sys.stderr)
        return 1
    return in_folder(demo)


if __name__ == "__main__":
    sys.exit(main())

"""Kill and partition a fleet under load: nothing acknowledged is lost, no answer is wrong.

Two nodes, two writers, and PostgreSQL with a synchronous standby, on six machines. One fault after
another, while cases are registered and withdrawn and hashes are looked up by the SDK, which knows
both nodes. Each answer is compared with what is right at the place in the registry that it names.
No lookup may fail, whatever is broken; writes are tried until they are acknowledged. At the end
everything acknowledged must be there, in the registry and in the lookups of both nodes.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from disrupt.client import MatchClient
from disrupt.client.retries import RetryPolicy
from rig.callers.continual import Caller, Callers
from rig.callers.desk import Desk
from rig.model.acknowledged import kept, stored
from rig.model.write import Write
from rig.servers import machines
from rig.servers.postgresql import PostgreSql
from rig.stages.fleet import FleetSite, eventually
from rig.stages.fleet_faults import FAULTS, Harm, lose_standby_first

pytestmark = pytest.mark.skipif(bool(why := machines.unusable()), reason=why)

_TINY = ("leading writer killed", "primary killed, standby promoted")
_FAULTS = 50
_CHANGES = 200
_WRITERS, _LOOKUPS = 3, 2


@dataclass
class Run:
    """A site under load, and what came of it: longest waits in seconds, by fault."""

    site: FleetSite
    callers: list[Caller]
    waits_s: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Of each fault, the longest times between two answers to writes and to lookups."""

    def play(self, kind: str, harm: Harm, chance: random.Random) -> None:
        """Do a fault, and wait until everybody is answered, by nodes that include all changes."""
        for caller in self.callers:
            caller.forget()
        harm(self.site, chance)
        ended_s, position = time.monotonic(), self.site.model.position()
        eventually(lambda: all(caller.last_s > ended_s for caller in self.callers))
        for node in self.site.fleet.nodes:
            eventually(partial(self.site.includes, node, position))
        longest = dict.fromkeys(("writes", "lookups"), 0.0)
        for caller in self.callers:
            longest[caller.kind] = max(longest[caller.kind], caller.longest_s)
            if caller.kind == "lookups":
                self.site.model.problems += [f"{kind}: {failed}" for failed in caller.failures]
        self.waits_s.setdefault(kind, []).append((longest["writes"], longest["lookups"]))

    def table(self) -> Iterator[str]:
        """Yield the lines of a table in Markdown; times are the median and the longest."""
        yield "| fault | times | registrations back, s | longest lookup, s |"
        yield "| --- | --- | --- | --- |"
        for kind, waits in self.waits_s.items():
            spans = [f"{median(each):.2f}, {max(each):.2f}" for each in zip(*waits, strict=True)]
            yield f"| {kind.replace('|', 'cut from')} | {len(waits)} | {' | '.join(spans)} |"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSql) -> Iterator[FleetSite]:
    """Start a fleet; ``postgresql`` skips where there is no PostgreSQL."""
    del postgresql
    with FleetSite(tmp_path_factory.mktemp("fleet")) as started:
        yield started


def test_kills_and_partitions_lose_nothing_and_no_lookup_fails(
    site: FleetSite, whole: bool, figures: Callable[[str], None]
) -> None:
    kinds = [*islice(cycle(FAULTS), _FAULTS)] if whole else _TINY
    run = _play(site, FAULTS, kinds)
    _check(site)
    figures(_freshness(site, _CHANGES if whole else 3))
    for line in run.table():
        figures(line)
    assert site.model.problems == []
    figures(
        f"{len(kinds)} faults: {site.model.acknowledged} acknowledged, 0 lost;"
        f" {site.model.lookups} hashes looked up, 0 wrong, 0 failed; {site.starts} starts"
    )


def test_a_node_refuses_an_old_primary_that_was_not_fenced(site: FleetSite) -> None:
    pair, node = site.pair, site.fleet.nodes[0]
    if pair.machine(pair.primary) != pair.machines[0]:  # whom nodes try first
        site.fail_over()
    old = pair.primary.directory / "old"
    pair.primary.kill()
    subprocess.run(["cp", "-a", pair.primary.data, old], check=True)
    site.fail_over()
    for each in site.fleet.nodes:
        eventually(partial(site.follows_timeline, each, pair.timeline()))

    pair.standby.stop()
    pair.standby.data.rename(old.with_name("standby"))
    old.rename(pair.standby.data)
    pair.standby.start()
    site.server(node.name).kill()
    log = site.server(node.name).data_dir.with_name("data.log")
    eventually(lambda: "a primary that was replaced" in log.read_text())

    pair.standby.kill()
    pair.follow()
    _check(site)
    assert site.model.problems == []


def test_changes_that_no_standby_had_are_found_lost(tmp_path: Path, whole: bool) -> None:
    if not whole:
        pytest.skip("takes long: ./scripts/test --proofs fleet")
    with FleetSite(tmp_path) as broken:
        broken.pair.primary.sql("ALTER ROLE disrupt SET synchronous_commit = local")
        for writer in broken.fleet.writers:  # the one that waits has a session, too
            broken.server(writer.name).kill()
        with suppress(TimeoutError):  # nodes do not follow a registry that has lost changes
            _play(broken, {"sabotage": lose_standby_first}, ("sabotage",))
        _check_registry(broken)
        assert "an acknowledged registration is lost" in "".join(broken.model.problems)


def _play(site: FleetSite, harms: Mapping[str, Harm], kinds: Sequence[str]) -> Run:
    """Do faults under load, until a promise is broken."""
    chance = random.Random(1)
    every = [
        Caller(kind, site.fleet.address) for kind in ["lookups"] * _LOOKUPS + ["writes"] * _WRITERS
    ]
    run = Run(site, every)
    with Callers(
        every, site.model, site.keys, tls_ca=site.fleet.authority, retries=RetryPolicy()
    ) as callers:
        eventually(lambda: all(caller.sequence for caller in every if caller.kind == "lookups"))
        for kind in kinds:
            run.play(kind, harms[kind], chance)
            if site.model.problems:
                break
        callers.end()
    return run


def _check(site: FleetSite) -> None:
    """Look for everything acknowledged, in the registry and in the lookups of each node."""
    _check_registry(site)
    for node in site.fleet.nodes:
        eventually(partial(site.includes, node, site.model.position()))
        with site.client(node) as client:
            site.model.look_all_up(client)


def _check_registry(site: FleetSite) -> None:
    items = stored(site.fleet.data_dir(site.fleet.writers[0]))
    for record in site.model.records:
        found = [items.get(item_id) for item_id in record.write.item_ids]
        site.model.problems += kept(record.write, found)


def _freshness(site: FleetSite, changes: int) -> str:
    """Register one hash after another; say when lookups of every node show it."""
    chance = random.Random(1000)  # no caller has its request ids
    took_s = []
    clients = [site.client(node) for node in site.fleet.nodes]
    desk = Desk(site.fleet.address, site.keys["register"], tls_ca=site.fleet.authority)
    with desk.open():
        for _ in range(changes):
            desk.register(write := Write.new(chance, items=1, hashes=1))
            registered_s = time.monotonic()
            for client in clients:
                eventually(partial(_matches, client, write))
            took_s.append(time.monotonic() - registered_s)
    for client in clients:
        client.close()
    p50, p99 = np.percentile(took_s, (50, 99))
    return f"a change is in every node's lookups after {p50:.2f} s, {p99:.2f} s (p99)"


def _matches(client: MatchClient, write: Write) -> bool:
    return bool(client.match_hashes(write.hashes[0].value)[0].matches)

"""Faults of the proof of a fleet: each does its harm, and what an operator then does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial

from rig.servers.machines import Machine
from rig.stages.fleet import FleetSite, eventually

_LASTS_S = (3.0, 14.0)
"""Shortest and longest time for which a link is cut: up to more than the deadline of a lookup."""

Harm = Callable[[FleetSite, random.Random], None]
Choice = Callable[[FleetSite, random.Random], Machine]


def _primary(site: FleetSite, _: random.Random) -> Machine:
    return site.pair.machine(site.pair.primary)


def _standby(site: FleetSite, _: random.Random) -> Machine:
    return site.pair.machine(site.pair.standby)


def _leader(site: FleetSite, _: random.Random) -> Machine:
    return site.machines[site.leader]


def _waiting(site: FleetSite, _: random.Random) -> Machine:
    leader = site.leader
    return next(site.machines[each.name] for each in site.fleet.writers if each.name != leader)


def _node(site: FleetSite, chance: random.Random) -> Machine:
    return site.machines[chance.choice(site.fleet.nodes).name]


def _kill(victim: Choice, site: FleetSite, chance: random.Random) -> None:
    site.server(victim(site, chance).name).kill()


def _fail_over(site: FleetSite, _: random.Random) -> None:
    site.fail_over()


def lose_standby_first(site: FleetSite, _: random.Random) -> None:
    """Lose the primary while the standby is behind, as it was stopped before."""
    site.pair.standby.kill()
    acknowledged = site.model.acknowledged
    eventually(lambda: site.model.acknowledged > acknowledged + 5)
    site.pair.primary.kill()
    site.pair.standby.start()
    site.fail_over()


def _restart_primary(site: FleetSite, _: random.Random) -> None:
    site.pair.primary.kill()
    site.pair.primary.start()


def _cut_link(ends: tuple[Choice, Choice], site: FleetSite, chance: random.Random) -> None:
    """Cut a link, one way or both, for a while."""
    one, other = (end(site, chance) for end in ends)
    for sender, receiver in chance.choice(
        ([(one, other)], [(other, one)], [(one, other), (other, one)])
    ):
        sender.lose(receiver)
    time.sleep(chance.uniform(*_LASTS_S))
    site.network.heal()


def _cut_off(machine: Choice, site: FleetSite, chance: random.Random) -> None:
    site.network.cut(machine(site, chance))
    time.sleep(chance.uniform(*_LASTS_S))
    site.network.heal()


def _cut_primary_off(site: FleetSite, chance: random.Random) -> None:
    """Cut the primary off; the operator fences it by its console, and promotes the standby."""
    site.network.cut(_primary(site, chance))
    time.sleep(chance.uniform(*_LASTS_S))
    site.pair.promote()
    site.network.heal()
    site.pair.follow()


def _lose_primary_as_commits_wait(site: FleetSite, chance: random.Random) -> None:
    """Kill the leader while its commit waits for a standby that is cut off, and promote that.

    PostgreSQL then shows what it committed alone: the next leader must acknowledge none of it.
    """
    ends = _primary(site, chance), _standby(site, chance)
    for sender, receiver in (ends, ends[::-1]):
        sender.lose(receiver)
    time.sleep(2)
    _kill(_leader, site, chance)
    time.sleep(chance.uniform(*_LASTS_S))
    site.pair.promote()
    site.network.heal()
    site.pair.follow()


FAULTS: dict[str, Harm] = {
    "leading writer killed": partial(_kill, _leader),
    "node killed": partial(_kill, _node),
    "primary killed, standby promoted": _fail_over,
    "leading writer | primary": partial(_cut_link, (_leader, _primary)),
    "node | primary": partial(_cut_link, (_node, _primary)),
    "primary | standby": partial(_cut_link, (_primary, _standby)),
    "node | leading writer": partial(_cut_link, (_node, _leader)),
    "primary killed, started again": _restart_primary,
    "waiting writer killed": partial(_kill, _waiting),
    "node cut off": partial(_cut_off, _node),
    "leading writer cut off": partial(_cut_off, _leader),
    "primary cut off, standby promoted": _cut_primary_off,
    "writer killed as commits wait, standby promoted": _lose_primary_as_commits_wait,
}
"""What is killed, or between which two a link is cut."""

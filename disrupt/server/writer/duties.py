"""What the writer does beside calls, again and again. Each function does it once."""

from __future__ import annotations

import math
import time
from contextlib import suppress

import structlog

from disrupt.core.lists import Skipped
from disrupt.core.outcomes import NarrowingPolicy
from disrupt.errors import DisruptError
from disrupt.registry.registry import RegistryWriter
from disrupt.server.config import Config
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.today import today
from disrupt.server.metrics import families
from disrupt.services import mirrors
from disrupt.services.turns import Turns

_H, _DAY_S = 3600.0, 86_400

_log = structlog.get_logger(__name__)


async def release_unreviewed(config: Config, registry: RegistryWriter, pool: Pool) -> None:
    """End waits for a review that nobody has made in time: at the last midnight (UTC) within it."""
    at_s = int(time.time())
    next_midnight_s = (at_s // _DAY_S + 1) * _DAY_S
    since_s = next_midnight_s - 1 - round(config.review_within_h * _H)
    with suppress(DisruptError):  # such as a full disk, which health tells: a later look does it
        while await pool.run(registry.release, since_s=since_s, at_s=at_s):
            pass


class Narrowings:
    """Narrows items by what they dispute who have a valid key: at the start, and on each day."""

    def __init__(self, config: Config, registry: RegistryWriter, pool: Pool) -> None:
        self._policy = NarrowingPolicy(config.dispute_organisations, config.dispute_floor_bits)
        self._registry = registry
        self._pool = pool
        self._done_on = ""

    async def look(self) -> None:
        """Narrow items anew, unless that was done today."""
        day = today()
        if day != self._done_on:
            with suppress(DisruptError):  # a later look does it
                await self._pool.run(self._registry.refresh_narrowings, self._policy, day=day)
                self._done_on = day


async def count_hidden(registry: RegistryWriter, pool: Pool) -> None:
    """Tell how much staff have hidden within a day: nobody with a stolen key does so unseen."""
    with suppress(DisruptError):
        hidden = await pool.run(registry.count_hidden, since_s=int(time.time()) - _DAY_S)
        families.ITEMS_HIDDEN.set(value=hidden)


async def show_mirrors(registry: RegistryWriter, pool: Pool, shown: set[str]) -> None:
    """Tell how late the mirrors of each organisation are; ``shown`` are those told of before."""
    with suppress(DisruptError):
        keys = await pool.run(registry.keys)
        reports = await pool.run(registry.mirror_reports)
        late_s = dict.fromkeys(shown, math.nan)
        # the latest of an organisation comes last
        for status in reversed(
            mirrors.statuses(keys, reports, day=today(), now_s=int(time.time()))
        ):
            if not status.has_ended:
                late_s[status.key.organisation] = status.behind_s
        for organisation, behind_s in late_s.items():
            families.MIRROR_BEHIND.set(organisation, value=behind_s)
        shown.update(late_s)


class Lists:
    """Tells how old partners' lists are, and what was wrong with them."""

    def __init__(self, registry: RegistryWriter, pool: Pool) -> None:
        self._registry = registry
        self._pool = pool
        self._shown = set[tuple[families.Gauge, tuple[str, ...]]]()

    async def look(self) -> None:
        """Look at all lists, and hide those that were removed."""
        with suppress(DisruptError):
            lists = await self._pool.run(self._registry.lists)
            values = dict[tuple[families.Gauge, tuple[str, ...]], float]()
            for kept in lists:
                values[families.LIST_READ, (kept.name,)] = kept.read_s or kept.added_s
                values[families.LIST_FAILURES, (kept.name,)] = kept.failures
                for reason in Skipped:
                    skipped = kept.skipped.get(reason, 0)
                    values[families.LIST_SKIPPED, (kept.name, reason)] = skipped
            hidden = dict.fromkeys(self._shown - set(values), math.nan)
            for (gauge, labels), value in (values | hidden).items():
                gauge.set(*labels, value=value)
            self._shown = set(values)


async def forget(registry: RegistryWriter, pool: Pool) -> None:
    """Erase what is kept for some days: tags, and what acts would need to be undone."""
    with suppress(DisruptError):
        while await pool.run(registry.forget, day=today(), at_s=int(time.time())):
            pass


async def give_turns(turns: Turns, pool: Pool) -> None:
    """Let items go live whose turns have come."""
    with suppress(DisruptError):
        await pool.run(turns.step, time.monotonic(), at_s=int(time.time()), day=today())
        families.TURNS_WAITING.set(value=turns.longest)


async def check_leadership(registry: RegistryWriter) -> None:
    """Look whether this process can write. Raises LeadershipLostError."""
    registry.check_leadership()


async def clear_log(registry: RegistryWriter, pool: Pool) -> None:
    """Clear the database of what was erased, where no withdrawal could do that at once.

    And of what the tags of origins of earlier days were made with.
    """
    try:
        await pool.run(registry.forget_origins, day=today())
        if not await pool.run(registry.checkpoint):
            _log.warning("registry_checkpoint_held_up")
    except DisruptError as error:
        _log.warning("registry_checkpoint_failed", reason=error.reason, text=error.message)


async def erase_due_cases(registry: RegistryWriter, pool: Pool) -> None:
    """Erase the cases whose PIN is lost, seven days after two keys have asked for it."""
    with suppress(DisruptError):
        while await pool.run(registry.erase_due, at_s=int(time.time()), day=today()):
            pass

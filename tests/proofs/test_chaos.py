"""Break a server in many ways under load: nothing is lost, no answer wrong, no fault unseen.

One fault after another, while cases are registered and withdrawn and hashes and pictures are looked
up: processes are killed or stopped, the disk is full or read-only, the clock jumps, descriptors or
memory run out, connections are cut. Whoever a fault does not concern must not notice it; after it
every caller must be answered again, without anybody's doing but that of a service manager, which
starts a server whose supervisor ended. Every fault must show in the metrics within 30 s, by name.
Each answer is compared with what is right at the place in the registry that it names. At the end
everything acknowledged must be there, and `disrupt-index verify` must find no difference.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Self

import pytest

from disrupt.client import MatchClient
from disrupt.data_directory import DataDirectory
from disrupt.errors import DeadlineExceededError, UnavailableError
from disrupt.operators.scrape import Scrape, scrape
from rig.callers.continual import Caller, Callers
from rig.faults.relay import Relay
from rig.faults.sabotages import broken_by
from rig.model.acknowledged import kept, stored, verified
from rig.model.lookups import Model
from rig.stages.chaos import HASHES_PER_ITEM, Site
from rig.stages.chaos_faults import FAULTS, Relayed, Sign, Stage

_KILLS = ("writer killed", "worker killed") * 2
"""Faults of which a whole run is mostly made.

The supervisor is killed after them: it waits ever longer before it starts a process that keeps
dying, a new one does not.
"""
_TINY = ("worker killed", "writer killed", "connections cut")
_BACK_WITHIN_S = 120.0
_SCRAPED_EVERY_S = 1.0


@dataclass
class Row:
    """What came of a kind of fault each time, in seconds.

    ``waits_s`` are the longest times between two answers to a caller, by its kind; of lookups that
    the fault did not concern as ``others``.
    """

    metric: str
    seen_s: list[float] = field(default_factory=list)
    waits_s: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Tally:
    """Counts of a run, and everything that broke a promise."""

    rows: dict[str, Row] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    kills: int = 0
    acknowledged: int = 0
    lookups: int = 0
    starts: int = 0
    problems: list[str] = field(default_factory=list)

    def table(self) -> Iterator[str]:
        """Yield the lines of a table in Markdown; times are the median and the longest."""
        waits = ("lookups", "others", "pictures", "writes")
        titles = ("fault", "times", "metric", "seen, s", *(f"{wait}, s" for wait in waits))
        yield f"| {' | '.join(titles)} |"
        yield f"|{' --- |' * len(titles)}"
        for kind, row in self.rows.items():
            seconds = [row.seen_s, *(row.waits_s.get(wait, []) for wait in waits)]
            spans = [(each and f"{median(each):.1f}, {max(each):.1f}") or "" for each in seconds]
            yield f"| {' | '.join((kind, str(len(row.seen_s)), f'`{row.metric}`', *spans))} |"


def test_faults_lose_nothing_answer_nothing_wrong_and_are_seen(
    tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    if whole:
        tally = chaos(tmp_path, _whole(), kills=200, acknowledged=5000, hashes=21_000)
    else:
        tally = chaos(tmp_path, iter(_TINY), hashes=1000)
    for line in tally.table():
        figures(line)
    for skipped in tally.skipped:
        figures(f"left out: {skipped}")
    assert tally.problems == []
    faults = sum(len(row.seen_s) for row in tally.rows.values())
    figures(
        f"{faults} faults, {tally.kills} of them kills:"
        f" {tally.acknowledged} acknowledged, 0 lost; {tally.lookups} hashes looked up, 0 wrong;"
        f" {tally.starts} starts"
    )


@pytest.mark.parametrize(
    ("sabotage", "kinds", "problem"),
    [
        # whichever comes first: a lookup that misses it, a case that is not there, or the end
        ("early-acknowledgement", ["writer killed"] * 9, "lost|a match is missing|CASE_REFUSED"),
        ("forgotten-matches", [], "a match is missing"),
        ("uncounted-ends", ["worker killed"], "worker killed does not show"),
    ],
)
def test_a_server_that_loses_answers_wrongly_or_hides_a_fault_is_found(
    tmp_path: Path, sabotage: str, kinds: list[str], problem: str
) -> None:
    tally = chaos(tmp_path, iter(kinds), hashes=1000, sabotage=sabotage, seen_within_s=5)
    assert any(re.search(problem, each) for each in tally.problems), tally.problems


def chaos(
    work: Path,
    kinds: Iterator[str],
    *,
    hashes: int,
    kills: int = 0,
    acknowledged: int = 0,
    sabotage: str | None = None,
    seen_within_s: float = 30.0,
) -> Tally:
    """Do one fault after another, until a promise is broken or all of this was reached."""
    tally = Tally()
    with Site(work, hashes, 1 if sabotage else 2, broken_by(sabotage)) as site:
        secrets = DataDirectory(site.data_dir).secrets()
        model = Model(site.codes, secrets.match_tokens, HASHES_PER_ITEM)
        tally.problems = model.problems
        with ExitStack() as stack:
            every = stack.enter_context(_relayed(site, *((3, 4) if kills else (2, 3))))
            callers = stack.enter_context(Callers(every, model, site.keys, picture=site.picture))
            watch = stack.enter_context(Watch(site.metrics_address, seen_within_s))
            stage = Stage(site, every, random.Random(1))
            run = _Run(stage, model, callers, watch, tally)
            run.calm()
            for kind in kinds:
                if (needs := FAULTS[kind].needs) and needs not in site.means:
                    tally.skipped.add(f"{kind}, which needs {needs}")
                    continue
                run.play(kind)
                enough = tally.kills >= kills and model.acknowledged >= acknowledged
                if tally.problems or (kills and enough):
                    break
            callers.end()
        _check(site, model)
        tally.acknowledged, tally.lookups = model.acknowledged, model.lookups
        tally.starts = site.starts
    return tally


@contextmanager
def _relayed(site: Site, lookups: int, writes: int) -> Iterator[list[Relayed]]:
    """Yield so many callers of each kind, each with a connection that can be cut."""
    kinds = ["lookups"] * lookups + ["writes"] * writes + ["pictures"]
    relays = [Relay(site.port) for _ in kinds]
    try:
        yield [
            Relayed(kind, relay.address, relay=relay)
            for kind, relay in zip(kinds, relays, strict=True)
        ]
    finally:
        for relay in relays:
            relay.close()


def _whole() -> Iterator[str]:
    for other in cycle(kind for kind in FAULTS if kind not in {*_KILLS, "supervisor killed"}):
        yield from (*_KILLS, "supervisor killed", other)


class _Run:
    def __init__(
        self, stage: Stage, model: Model, callers: Callers, watch: Watch, tally: Tally
    ) -> None:
        self._stage, self._model, self._callers = stage, model, callers
        self._watch, self._tally = watch, tally

    def calm(self) -> None:
        """Let every caller connect anew and be answered, without any fault."""
        self._callers.reconnect()
        self._wait_for(self._callers.are_new)

    def play(self, kind: str) -> None:
        """Do a fault; wait until callers are answered again, and until the metrics show it."""
        fault, stage = FAULTS[kind], self._stage
        self.calm()
        for caller in stage.callers:
            self._expect_no_failure(f"before {kind}", caller)
            caller.forget()
        stage.hit = {*stage.callers}
        self._watch.begin()
        stage.begin()
        fault.harm(stage)
        ended_s, position = time.monotonic(), self._model.position()
        self._wait_for(
            lambda: all(
                caller.last_s > ended_s
                and (caller.kind != "lookups" or caller.sequence >= position)
                for caller in stage.callers
            )
        )
        name, _ = fault.sign
        row = self._tally.rows.setdefault(kind, Row(name))
        self._tally.kills += kind.endswith("killed")
        waits_s: defaultdict[str, float] = defaultdict(float)
        for caller in stage.callers:
            is_hurt = caller in stage.hit and caller.kind in fault.hurts
            if not is_hurt:
                self._expect_no_failure(kind, caller)
            what = "others" if caller.kind == "lookups" and not is_hurt else caller.kind
            waits_s[what] = max(waits_s[what], caller.longest_s)
            caller.forget()
        for what, wait_s in waits_s.items():
            row.waits_s.setdefault(what, []).append(wait_s)
        seen_s = self._watch.seen_s(fault.sign, stage.began_s)
        if seen_s is None:
            self._problem(f"{kind} does not show in {name}")
        else:
            row.seen_s.append(seen_s - stage.began_s)

    def _expect_no_failure(self, when: str, caller: Caller) -> None:
        for failed in caller.failures:
            # a deadline passes on a machine that is busy, too; the table has how long it was
            if not isinstance(failed, DeadlineExceededError):
                self._problem(f"{when}, {caller.kind} that it does not concern failed: {failed}")

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        give_up_s = time.monotonic() + _BACK_WITHIN_S
        while not condition():
            if self._model.problems:
                return
            if time.monotonic() > give_up_s:
                self._problem("the service is not back")
            time.sleep(0.02)

    def _problem(self, text: str) -> None:
        self._model.problems.append(text)


class Watch:
    """Scrape metrics again and again, within a context, to tell whether they show a fault."""

    def __init__(self, address: str, within_s: float) -> None:
        self._address, self._within_s = address, within_s
        self._before = scrape(address)
        self._since: list[Scrape] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def begin(self) -> None:
        """Begin to look for signs: of what comes after the metrics of this moment."""
        self._before = scrape(self._address)
        self._since = []  # a scrape under way goes to the list of before

    def seen_s(self, sign: Sign, began_s: float) -> float | None:
        """Return when a sign was first seen, of time.monotonic; None where it is not in time."""
        _, shows = sign
        while True:
            in_time = time.monotonic() < began_s + self._within_s
            for now in self._since.copy():
                if now.at_s < began_s + self._within_s and shows(self._before, now):
                    return now.at_s
            if not in_time:
                return None
            time.sleep(_SCRAPED_EVERY_S / 2)

    def _look(self) -> None:
        while not self._ending.wait(_SCRAPED_EVERY_S):
            since = self._since
            with suppress(UnavailableError):
                since.append(scrape(self._address))


def _check(site: Site, model: Model) -> None:
    """Look for everything acknowledged: in the registry, and by lookups; and verify the index."""
    items = stored(site.data_dir)
    for record in model.records:
        found = [items.get(item_id) for item_id in record.write.item_ids]
        model.problems += kept(record.write, found)
    address = f"127.0.0.1:{site.port}"
    with MatchClient(address, key=site.keys["match"], connections=1) as client:
        model.look_all_up(client)
    model.problems += verified(site.data_dir)

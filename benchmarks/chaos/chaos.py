"""Break the real processes in many ways, under load, and count what was lost.

One fault after another, in turn: processes are killed, stopped or hang, the disk is full, read-only
or slow, a worker has no descriptors or memory left, clients go or read nothing. One that did no
harm, as it came too late, counts as `harmless`; one that the metrics do not show within 30 s as
`unseen`. All the while cases are registered, withdrawn and switched off, outcomes are reported, and
hashes and pictures are looked up. Each answer is compared with what is right in the state of the
registry that it names. After each fault all kinds of calls must be answered again without hands; a
server whose supervisor died is started anew, as systemd does. At the end everything acknowledged
must be there, and `disrupt-index verify` must find no difference. Exit code 0 if all of it held.

A fault that this machine does not allow is named under `skipped`. Waits in the report are the
longest between two answers to one caller: `lookups_s` of the caller that waited longest,
`least_lookups_s` of the one that waited least.

    ./scripts/bench chaos --faults 500 --json chaos.json
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click

from benchmarks.chaos import panels
from benchmarks.chaos.faults import FAULTS, Stage
from benchmarks.chaos.model import Model
from benchmarks.chaos.site import Disk, Site
from benchmarks.chaos.traffic import Clock, Traffic
from benchmarks.chaos.watch import Watch
from benchmarks.harness.stored import Stored, verified
from benchmarks.sabotages import broken_by
from disrupt import logs
from disrupt.client import MatchClient
from disrupt.errors import DisruptError
from disrupt.registry.sql import SqlRegistry

SABOTAGES = ("uncommitted-writes", "forgetful-answers", "frozen-metrics")

_CALM_S = 1.0
"""Time under load before each fault."""
_SEEN_WITHIN_S = 30.0
"""Longest time from the harm of a fault until the metrics show it."""
_LATER = "9999-12-31"
_CHECKED_AT_ONCE = 500


@dataclass
class Row:
    """A kind of fault: how often, and the longest waits for answers, in seconds."""

    kind: str
    times: int = 0
    harmless: int = 0
    unseen: int = 0
    lookups_s: float = 0.0
    least_lookups_s: float = 0.0
    pictures_s: float = 0.0
    registrations_s: float = 0.0

    def add(self, clocks: Sequence[Clock], since_s: float) -> None:
        """Keep the longest waits since a moment."""
        waits: dict[str, list[float]] = {}
        for clock in clocks:
            waits.setdefault(clock.kind, []).append(clock.longest_s(since_s))
        for kind, lengths in waits.items():
            name = f"{kind}_s"
            setattr(self, name, round(max(getattr(self, name), *lengths), 3))
        self.least_lookups_s = round(max(self.least_lookups_s, min(waits["lookups"])), 3)


@dataclass
class Report:
    """Counts of a run, and the promises that it broke."""

    faults: list[Row]
    skipped: dict[str, str] = field(default_factory=dict)
    acknowledged: int = 0
    acknowledged_by_kind: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    lookups: int = 0
    wrong_answers: int = 0
    verify_failures: int = 0
    unseen: int = 0
    panels: int = 0
    empty_panels: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    longest_outage_s: float = 0.0
    restarts: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


class _Run:
    def __init__(
        self, stage: Stage, model: Model, watch: Watch, report: Report, back_within_s: float
    ) -> None:
        self._stage, self._model, self._watch, self._report = stage, model, watch, report
        self._back_within_s = back_within_s
        self.began_at_s: list[float] = []
        """When each fault began, in seconds since the epoch."""

    def play(self, kinds: Iterator[str]) -> None:
        """Do one fault after another, until the server does not come back from one."""
        rows = {row.kind: row for row in self._report.faults}
        for at, kind in enumerate(kinds, start=1):
            time.sleep(_CALM_S)
            self._watch.begin()
            self.began_at_s.append(time.time())
            began_s = time.monotonic()
            did_harm = FAULTS[kind].harm(self._stage)
            self._stage.traffic.renew_flow()
            back = self._wait_until_back(kind)
            row = rows[kind]
            row.add(self._stage.traffic.clocks, began_s)
            if did_harm:
                row.times += 1
                row.unseen += not self._watch.shows(FAULTS[kind].sign, _SEEN_WITHIN_S)
            else:
                row.harmless += 1
            print(
                f"{at}: {kind}{'' if did_harm else ' (no harm)'},"
                f" {time.monotonic() - began_s:.1f} s,"
                f" {self._model.acknowledged.total()} acknowledged,"
                f" {len(self._model.problems)} problems",
                file=sys.stderr,
            )
            if not back:
                self._stage.traffic.abandon()
                return

    def _wait_until_back(self, kind: str) -> bool:
        """Wait until every caller has been answered since now, and the workers are level."""
        since_s = time.monotonic()
        position = self._model.position()
        waiting = [*self._stage.traffic.clocks]
        while waiting and time.monotonic() < since_s + self._back_within_s:
            time.sleep(0.05)
            waiting = [clock for clock in waiting if clock.last_s < since_s]
        for clock in waiting:
            self._model.problem(f"after {kind}: no answer to {clock.kind}")
        if waiting or not self._is_level(position, since_s + self._back_within_s):
            self._model.problem(f"after {kind}: the service is not back")
            return False
        return True

    def _is_level(self, position: int, until_s: float) -> bool:
        """Tell whether the workers follow; the kernel spreads new connections over them."""
        for _ in range(2 * self._stage.site.workers):
            with self._client() as client:
                while not self._includes(client, position):
                    if time.monotonic() > until_s:
                        return False
                    time.sleep(0.05)
        return True

    def _includes(self, client: MatchClient, position: int) -> bool:
        with suppress(DisruptError):
            (answer,) = client.match_hashes(bytes(32))
            return self._model.sequence(answer) >= position
        return False

    def check(self) -> None:
        """Look for everything acknowledged: in the registry, and by lookups."""
        model = self._model
        stored = Stored.read(model.data_dir)
        kept = [record for record in model.records if record.present_from is not None]
        with SqlRegistry.open_reader(model.data_dir / "registry.db") as reader:
            for record in kept:
                items = [stored.blobs.get(item_id) for item_id in record.write.item_ids]
                gone = record.absent_from is not None
                # the changes of a registry show neither what was withdrawn nor what is switched off
                right = [None] * len(items) if gone else record.write.blobs
                if items != right and (gone or not record.leaving):
                    removal = "act" if record.is_disabled else "withdrawal"
                    self._lost(removal if gone else "registration")
                if record.outcome and not record.leaving:
                    number = record.write.receipt.case_number if record.write.receipt else ""
                    outcomes = reader.outcomes(number, before=_LATER)
                    if record.outcome not in outcomes.get(record.write.item_ids[0], ()):
                        self._lost("outcome")
        self._look_up(model)
        if problems := verified(model.data_dir):
            self._report.verify_failures += 1
            model.problem(f"verify says: {problems}")

    def _lost(self, what: str) -> None:
        self._model.lost += 1
        self._model.problem(f"an acknowledged {what} is lost or changed")

    def _look_up(self, model: Model) -> None:
        """Look up the hashes of all records, which nothing changes any more."""
        if not self._is_level(model.position(), time.monotonic() + self._back_within_s):
            model.problem("at the end the workers do not follow the registry")
            return
        asked = model.all_questions()
        with self._client() as client:
            for begin in range(0, len(asked), _CHECKED_AT_ONCE):
                part = asked[begin : begin + _CHECKED_AT_ONCE]
                model.check(part, client.match_hashes(model.batch(part), max_distance_bits=0))

    def _client(self) -> MatchClient:
        site = self._stage.site
        return MatchClient(site.address, key=site.keys["match"], connections=1)


def chaos(
    work: Path,
    kinds: Sequence[str],
    faults: int,
    *,
    seed: int,
    workers: int = 2,
    back_within_s: float = 120.0,
    sabotage: str | None = None,
    plot: Path | None = None,
) -> Report:
    """Play so many faults of these kinds, in turn, on a server of its own.

    With ``plot``, a Prometheus watches, and the panels of the dashboard are plotted there.
    """
    began_s, began_at_s = time.monotonic(), time.time()
    with ExitStack() as stack:
        disk = stack.enter_context(Disk(work / "disk"))
        site = Site(disk.place, workers, broken_by(sabotage))
        stack.enter_context(site)
        site.make_keys()
        model = Model(site.data_dir)
        traffic = stack.enter_context(Traffic(site, model, seed, writers=3, lookers=2 * workers))
        watch = stack.enter_context(Watch(f"http://{site.metrics_address}"))
        stage = Stage(site, disk, traffic, random.Random(seed), model.problem, watch.begin)
        lacking = {kind: FAULTS[kind].lacks(stage) for kind in kinds}
        played = [kind for kind in kinds if not lacking[kind]]
        report = Report([Row(kind) for kind in played])
        report.skipped = {kind: why for kind, why in lacking.items() if why}
        run = _Run(stage, model, watch, report, back_within_s)
        prometheus = plot and stack.enter_context(panels.watching(site.metrics_address, work))
        run.play(islice(cycle(played), faults))
        for row in report.faults:
            if row.harmless and not row.times:
                model.problem(f"{row.kind}: it never did harm")
        traffic.end()
        if plot and prometheus:
            shown = prometheus.panels(began_at_s, time.time())
            report.panels = len(shown)
            report.empty_panels = [panel.title for panel in shown if panel.is_empty]
            report.alerts = prometheus.alerts(began_at_s, time.time())
            panels.plot(shown, run.began_at_s, plot)
        run.check()
        report.restarts = site.restarts
    report.acknowledged = model.acknowledged.total()
    report.acknowledged_by_kind = dict(model.acknowledged)
    report.lost, report.wrong_answers = model.lost, model.wrong_answers
    report.lookups, report.problems = model.lookups, model.problems
    report.unseen = sum(row.unseen for row in report.faults)
    report.longest_outage_s = max((row.lookups_s for row in report.faults), default=0.0)
    report.seconds = round(time.monotonic() - began_s, 1)
    return report


@click.command(help=__doc__)
@click.option("--faults", default=100, show_default=True, help="How many to play.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([*FAULTS]),
    help="Play this one; again for more. All of them if left out.",
)
@click.option("--workers", default=2, show_default=True, help="Of the server.")
@click.option(
    "--back-within-s",
    default=120.0,
    show_default=True,
    help="How soon after a fault all calls must be answered again.",
)
@click.option(
    "--json", "json_path", required=True, help="File for the report, - for standard output."
)
@click.option(
    "--plot",
    "plot_path",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="File for the panels of the dashboard, SVG: a Prometheus watches the server.",
)
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Break the server: must be found.")
@click.option("--seed", default=1, show_default=True)
def main(
    faults: int,
    kinds: tuple[str, ...],
    workers: int,
    back_within_s: float,
    json_path: str,
    plot_path: Path | None,
    sabotage: str | None,
    seed: int,
) -> None:
    """Play, check, write the report; exit with 1 if a promise was broken."""
    if plot_path is not None and (lacks := panels.missing()):
        raise click.UsageError(f"--plot cannot be done here: {lacks}.")
    logs.configure("chaos", "warning")
    with tempfile.TemporaryDirectory(prefix="disrupt-chaos-") as work:
        report = chaos(
            Path(work),
            kinds or [*FAULTS],
            faults,
            seed=seed,
            workers=workers,
            back_within_s=back_within_s,
            sabotage=sabotage,
            plot=plot_path,
        )
    result: dict[str, Any] = asdict(report) | {"sabotage": sabotage, "seed": seed}
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(result, indent=2) + "\n")
    sys.exit(bool(report.problems or report.unseen))


if __name__ == "__main__":
    main()

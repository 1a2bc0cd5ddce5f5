"""A year of registrations, lookups, outcomes and withdrawals, compared with a naive count.

In between the writer is lost before it commits or before it answers, workers die with what they
have counted, and a backup is restored. The tallies are equal but for what docs/tallies.md says is
lost. Without ``--proofs`` the year has some days.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, delete, event

from disrupt.core.acts import Act, Action
from disrupt.core.cases import AgeBand
from disrupt.core.media import MediaKind
from disrupt.core.outcomes import MatchOutcome, OutcomeReport
from disrupt.core.policy import bank_for
from disrupt.core.tallies import AGES, Door, Statement, Tally, UploadBatch, days_between
from disrupt.data_directory import DataDirectory
from disrupt.operators.restore import restore
from disrupt.registry import opening
from disrupt.registry.backup import back_up
from disrupt.registry.records import REPORTS_KEPT_DAYS
from disrupt.registry.registry import RegistryWriter
from disrupt.registry.sql import schema, tallies
from disrupt.services.upload_counts import NONE_MATCHED, Matched, UploadCounts
from rig.media.registrations import new_case, new_item, registration

ORGANISATIONS = ("one", "other", "third")
FIRST = date(2025, 1, 1)
MATCHED = ("adults", "0-15", "whole")
_Key = TypeVar("_Key")
Counts = Counter[tuple[str, Tally, tuple[str, ...]]]


class WriterLostError(Exception):
    """The writer died."""


class Year:
    """The registry, what is done to it, and how often by a naive count."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self.chance = chance
        self.data = DataDirectory(directory / "data")
        self.backup = directory / "backup"
        self.data.make()
        self.data.secrets()
        self.opened = ExitStack()
        self.open()
        self.counts = Counts()
        self.living: dict[bytes, tuple[str, MediaKind, bool]] = {}
        """Case, kind and whether the bank is that of adults, of each item."""
        self.since: dict[bytes, str] = {}
        """Day since which each item was staff's to decide."""
        self.workers = [UploadCounts() for _ in ORGANISATIONS]
        self.unadded = [Counts() for _ in ORGANISATIONS]
        """What each worker has counted that is not in the registry."""
        self.reported: dict[tuple[bytes, bytes, MatchOutcome], str] = {}
        """Day on which each outcome of a match was counted."""
        self.decided: list[tuple[bytes, str]] = []
        """Item and day of each move since the backup."""
        self.losses = Counter[str]()

    def open(self) -> None:
        self.opened.close()
        self.writer = self.opened.enter_context(opening.writing(self.data))

    def certainly(self, act: Callable[[RegistryWriter], object]) -> None:
        """Do an act, and again if the writer was lost before it committed or before it answered."""
        database: Any = self.writer.database
        engine = database.writer
        when = self.chance.choice(["before", "after", *["never"] * 30])

        def before(_: Connection) -> None:
            raise WriterLostError

        if when == "before":
            event.listen(engine, "commit", before)
        with suppress(WriterLostError):
            act(self.writer)
        if when == "before":
            event.remove(engine, "commit", before)
        if when != "never":
            self.losses[f"writers {when} the answer"] += 1
            self.open()
            act(self.writer)

    def count(self, day: str, tally: Tally, *labels: str, by: int = 1) -> None:
        self.counts[day, tally, labels] += by

    def any_of(self, some: dict[_Key, Any]) -> _Key:
        return next(islice(some, self.chance.randrange(len(some)), None))

    def register(self, day: str) -> None:
        chance = self.chance
        kinds = [chance.choice([*MediaKind]) for _ in range(chance.randint(1, 3))]
        items = [new_item(chance, kind=kind) for kind in kinds]
        said = Statement(chance.choice([*AgeBand]), chance.choice([*Door]), "fr")
        bank = bank_for(said.age)
        request = registration(chance, new_case(chance), *items, bank=bank.number, statement=said)
        assert not isinstance(request.case, str)
        self.certainly(lambda writer: writer.register(request, day=day))
        self.count(day, Tally.CASES_OPENED)
        self.count(day, Tally.REGISTRATIONS)
        self.count(f"{day[:7]}-01", Tally.DOORS, said.door.name.lower())
        if said.door == Door.PAGE:
            self.count(f"{day[:7]}-01", Tally.LANGUAGES, "fr")
        for item in items:
            self.count(day, Tally.ITEMS_REGISTERED, item.kind.name.lower(), AGES[said.age])
            is_adult = said.age == AgeBand.ADULT
            self.living[item.item_id] = request.case.number, item.kind, is_adult
            self.since[item.item_id] = day

    def withdraw(self, day: str) -> None:
        item_id = self.any_of(self.living)
        case = self.living[item_id][0]
        self.certainly(lambda writer: writer.withdraw(case, [item_id], day=day))
        self.withdrawn([item_id], day)

    def withdrawn(self, item_ids: list[bytes], day: str) -> None:
        cases = set[str]()
        for item_id in item_ids:
            case, kind, is_adult = self.living.pop(item_id)
            cases.add(case)
            age = "adults" if is_adult else "minors"
            self.count(day, Tally.ITEMS_WITHDRAWN, kind.name.lower(), age)
        closed = len(cases - {case for case, *_ in self.living.values()})
        if closed:
            self.count(day, Tally.CASES_CLOSED, "withdrawn", by=closed)

    def decide(self, day: str) -> None:
        item_id = self.any_of(self.living)
        at_s = round((date.fromisoformat(day) - date(1970, 1, 1)).total_seconds())
        act = Act("0a1b2c3d", "hotline", Action.MOVE, at_s)
        bank = 2 if self.living[item_id][2] else 1
        self.certainly(lambda writer: writer.move_items([item_id], bank, act))
        self.moved(item_id, day)
        self.decided.append((item_id, day))

    def moved(self, item_id: bytes, day: str) -> None:
        case, kind, is_adult = self.living[item_id]
        self.living[item_id] = case, kind, not is_adult
        self.count(day, Tally.REVIEWS, "move", days_between(self.since[item_id], day))

    def report(self, day: str) -> None:
        if self.reported and self.chance.random() < 0.3:
            item_id, match, outcome = self.any_of(self.reported)
            if item_id not in self.living:
                return
        else:
            item_id, match = self.any_of(self.living), self.chance.randbytes(12)
            outcome = self.chance.choice([MatchOutcome.BLOCKED, MatchOutcome.NOT_BLOCKED])
        organisation = ORGANISATIONS[match[0] % len(ORGANISATIONS)]
        matched_on = (date.fromisoformat(day) - timedelta(match[1] % 40)).isoformat()
        report = OutcomeReport(item_id, organisation, outcome, match, (), matched_on)
        self.certainly(lambda writer: writer.report(report, day=day))
        last_forgotten = (date.fromisoformat(day) - timedelta(REPORTS_KEPT_DAYS + 2)).isoformat()
        if self.reported.get((item_id, match, outcome), "") <= last_forgotten:
            days = days_between(matched_on, day)
            self.count(day, Tally.OUTCOMES, organisation, outcome.name.lower(), days)
            self.reported[item_id, match, outcome] = day

    def look_up(self, day: str) -> None:
        at = self.chance.randrange(len(self.workers))
        uploads, organisation = self.chance.randint(1, 50), ORGANISATIONS[at]
        matched = Matched(1, {MATCHED: 1}) if self.chance.random() < 0.2 else NONE_MATCHED
        self.workers[at].add(day, organisation, uploads, matched)
        happened = Counts({(day, Tally.UPLOADS_LOOKED_UP, (organisation,)): uploads})
        if matched.uploads:
            happened[day, Tally.UPLOADS_MATCHED, (organisation, *MATCHED)] = 1
        self.unadded[at] += happened

    def hand_over(self, day: str) -> None:
        """Hand over what each worker has, as each minute; or lose a worker before it does."""
        for at, worker in enumerate(self.workers):
            if self.chance.random() < 0.05:
                self.workers[at] = UploadCounts()
                self.losses["uploads"] += self.unadded[at].total()
            else:
                while batch := worker.batch(3):
                    self.certainly(partial(RegistryWriter.count_uploads, batch=batch, day=day))
                    worker.added()
                self.counts += self.unadded[at]
            self.unadded[at].clear()

    def back_up(self) -> None:
        self.kept = self.counts.copy(), dict(self.living), dict(self.since), dict(self.reported)
        self.decided.clear()
        back_up(self.data.path, self.backup)

    def restore(self) -> None:
        gone = [item_id for item_id in self.kept[1] if item_id not in self.living]
        self.losses["counts since the backup"] = (self.counts - self.kept[0]).total()
        self.opened.close()
        restore(self.backup, self.data.path, accept_unknown_removals=False)
        self.open()
        self.counts, self.living, self.since, self.reported = self.kept
        since = max(day for day, *_ in self.counts)
        (restored,) = self.writer.tallies("2026-01-01", "9999-12-31", [Tally.RESTORES], limit=9)
        self.count(restored.day, Tally.RESTORES, since)
        self.withdrawn(gone, restored.day)
        for item_id, day in self.decided:  # done again, with all else that staff decided since
            if item_id in self.living:
                self.moved(item_id, day)

    def check(self) -> None:
        counts = self.writer.tallies("0001-01-01", "9999-12-31", limit=1_000_000)
        assert {(each.day, each.tally, each.labels): each.count for each in counts} == self.counts


def live(directory: Path, days: int, registrations: int, seed: int) -> Year:
    """Let a year of so many days and registrations pass, and compare the counts as it does."""
    chance = random.Random(seed)
    year = Year(directory, chance)
    with year.opened:
        for number in range(days):
            day = (FIRST + timedelta(number)).isoformat()
            acts = [year.register] * (registrations // days)
            some = max(2, len(acts) // 5)
            acts += [year.withdraw, year.decide, year.report, year.look_up] * some
            chance.shuffle(acts)
            year.register(day)
            for act in acts:
                act(day)
            year.hand_over(day)
            if number == days // 2:
                year.back_up()
            if number == days * 2 // 3:
                year.restore()
            year.writer.forget(day=day, at_s=0)
            if number % 30 == 0:
                year.check()
        year.check()
    return year


def test_tallies_of_a_year_are_those_of_a_naive_count_but_for_what_is_lost(
    tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    days, registrations = (365, 50_000) if whole else (12, 60)
    year = live(tmp_path, days, registrations, seed=46)
    lost = ", ".join(f"{count} {what}" for what, count in sorted(year.losses.items()))
    figures(f"{days} days, {year.counts.total()} counted, 0 differences; lost: {lost}")


def _forget_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = RegistryWriter.count_uploads

    def count(writer: RegistryWriter, batch: UploadBatch, *, day: str) -> None:
        counting(writer, batch, day=day)
        counting(writer, replace(batch, number=batch.number + 1), day=day)

    monkeypatch.setattr(RegistryWriter, "count_uploads", count)


def _forget_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    noting = tallies.note_report

    def note(connection: Connection, report: OutcomeReport, day: str) -> bool:
        connection.execute(delete(schema.reports))
        return noting(connection, report, day)

    monkeypatch.setattr(tallies, "note_report", note)


def _forget_withdrawals(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = tallies.items

    def items(connection: Connection, tally: Tally, *of: Any) -> None:
        if tally != Tally.ITEMS_WITHDRAWN:
            counting(connection, tally, *of)

    monkeypatch.setattr(tallies, "items", items)


@pytest.mark.parametrize("sabotage", [_forget_batches, _forget_reports, _forget_withdrawals])
def test_the_naive_count_notices(
    sabotage: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sabotage(monkeypatch)
    with pytest.raises(AssertionError):
        live(tmp_path, 12, 60, seed=46)

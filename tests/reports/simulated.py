"""Counts of a year that never was, by a seed.

    python -m tests.reports.simulated SEED > counts.jsonl

writes them as ``disrupt review tallies --json`` does.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta

from disrupt.core.tallies import (
    AGES,
    DAYS,
    DISTANCES,
    LABELS,
    MONTHLY,
    MORE_DAYS,
    Count,
    Tally,
    month_of,
    rounded,
)

PLATFORMS = ("agora.example", "Réseau Lumière", "vidéoclub.example")


class _Year:
    """Counts as they come about."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.counts = Counter[tuple[str, Tally, tuple[str, ...]]]()

    def add(self, day: str, tally: Tally, *labels: str, count: int = 1) -> None:
        self.counts[month_of(day) if tally in MONTHLY else day, tally, labels] += count

    def case(self, day: str) -> None:
        """Open a case, with some items, of which a few are withdrawn."""
        for tally in (Tally.CASES_OPENED, Tally.REGISTRATIONS):
            self.add(day, tally)
        door = self._one("page", 20, "helpline", 4, "staff", 1)
        self.add(day, Tally.DOORS, door)
        if door == "page":
            self.add(day, Tally.LANGUAGES, self._one("fr", 20, "en", 3, "ar", 2, "fr-simple", 1))
        for _ in range(self.draw.randint(1, 6)):
            kind = self._one("image", 6, "video", 1)
            age = self.draw.choices(tuple(AGES.values()), (6, 4, 1))[0]
            self.add(day, Tally.ITEMS_REGISTERED, kind, age)
            if self.draw.random() < 0.05:
                treated = "adults" if age == "adults" else "minors"
                self.add(day, Tally.ITEMS_WITHDRAWN, kind, treated)
                self.add(day, Tally.CASES_CLOSED, self._one("withdrawn", 9, "erased", 1))

    def match(self, day: str, platform: str, *, reports: bool) -> None:
        """Match an upload; of a platform that ``reports`` with an outcome."""
        distance = self.draw.choices([label for _, label in DISTANCES], (8, 2, 1))[0]
        bank, extent = self._one("adults", 1, "minors", 1), self._one("whole", 9, "part", 1)
        self.add(day, Tally.UPLOADS_MATCHED, platform, bank, distance, extent)
        if not reports:
            return
        outcome = self._one(
            *("blocked", 30, "pending_review", 6, "not_blocked", 1, "false_positive", 2)
        )
        self.add(day, Tally.OUTCOMES, platform, outcome, self._days(12, 6, 4, 2, 1, 0))
        if outcome == "false_positive" and self.draw.random() < 0.5:
            self.add(day, Tally.DISPUTES, platform)
            act = self._one("widen", 1, "uphold", 1, "confirm", 1)
            self.add(day, Tally.REVIEWS, act, self._days(2, 4, 4, 2, 1, 0))

    def _one(self, *names_and_weights: str | int) -> str:
        names, weights = names_and_weights[::2], names_and_weights[1::2]
        return str(self.draw.choices(names, [float(weight) for weight in weights])[0])

    def _days(self, *weights: int) -> str:
        return self.draw.choices((*(label for _, label in DAYS), MORE_DAYS), weights)[0]


def year(
    seed: int, first_day: str = "2026-01-01", days: int = 365, platforms: Sequence[str] = PLATFORMS
) -> list[Count]:
    """Return counts of days, a few cases and some thousands of uploads a day."""
    of = _Year(seed)
    for number in range(days):
        day = (date.fromisoformat(first_day) + timedelta(days=number)).isoformat()
        for _ in range(of.draw.choice((0, 1, 1, 2, 3, 5))):
            of.case(day)
        for at, platform in enumerate(platforms):
            of.add(day, Tally.ORGANISATIONS_ACTIVE, platform, "match")
            uploads = of.draw.randint(200, 2000) * (at + 1)
            of.add(day, Tally.UPLOADS_LOOKED_UP, platform, count=uploads)
            if at == 0:
                again = of.draw.randint(2000, 9000)
                of.add(day, Tally.UPLOADS_LOOKED_UP_AGAIN, platform, count=again)
            for _ in range(of.draw.randint(0, 4)):
                of.match(day, platform, reports=platform != platforms[-1])
    return [rounded(Count(*key, number)) for key, number in sorted(of.counts.items())]


def line(count: Count) -> str:
    """Return a count as ``disrupt review tallies --json`` prints it."""
    labels = dict(zip(LABELS[count.tally], count.labels, strict=True))
    return json.dumps(
        {"day": count.day, "tally": count.tally, "labels": labels, "count": count.count}
    )


if __name__ == "__main__":
    sys.stdout.writelines(f"{line(each)}\n" for each in year(int(sys.argv[1])))

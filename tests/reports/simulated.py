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
_BANDS = (*(label for _, label in DAYS), MORE_DAYS)


def year(
    seed: int, first_day: str = "2026-01-01", days: int = 365, platforms: Sequence[str] = PLATFORMS
) -> list[Count]:
    """Return counts of days, a few cases and some thousands of uploads a day."""
    draw = random.Random(seed)
    counts = Counter[tuple[str, Tally, tuple[str, ...]]]()

    def add(day: str, tally: Tally, *labels: str, count: int = 1) -> None:
        counts[month_of(day) if tally in MONTHLY else day, tally, labels] += count

    for number in range(days):
        day = (date.fromisoformat(first_day) + timedelta(days=number)).isoformat()
        for _ in range(draw.choice((0, 1, 1, 2, 3, 5))):
            add(day, Tally.CASES_OPENED)
            add(day, Tally.REGISTRATIONS)
            door = draw.choices(("page", "helpline", "staff"), (20, 4, 1))[0]
            add(day, Tally.DOORS, door)
            if door == "page":
                languages = ("fr", "en", "ar", "fr-simple")
                add(day, Tally.LANGUAGES, draw.choices(languages, (20, 3, 2, 1))[0])
            for _ in range(draw.randint(1, 6)):
                kind = draw.choices(("image", "video"), (6, 1))[0]
                age = draw.choices(tuple(AGES.values()), (6, 4, 1))[0]
                add(day, Tally.ITEMS_REGISTERED, kind, age)
                if draw.random() < 0.05:
                    add(day, Tally.ITEMS_WITHDRAWN, kind, "adults" if age == "adults" else "minors")
                    add(day, Tally.CASES_CLOSED, draw.choices(("withdrawn", "erased"), (9, 1))[0])
        for at, platform in enumerate(platforms):
            add(day, Tally.ORGANISATIONS_ACTIVE, platform, "match")
            add(day, Tally.UPLOADS_LOOKED_UP, platform, count=draw.randint(200, 2000) * (at + 1))
            if at == 0:
                add(day, Tally.UPLOADS_LOOKED_UP_AGAIN, platform, count=draw.randint(2000, 9000))
            for _ in range(draw.randint(0, 4)):
                bank = draw.choice(("adults", "minors"))
                distance = draw.choices([label for _, label in DISTANCES], (8, 2, 1))[0]
                extent = draw.choices(("whole", "part"), (9, 1))[0]
                add(day, Tally.UPLOADS_MATCHED, platform, bank, distance, extent)
                if at != len(platforms) - 1:
                    outcomes = ("blocked", "pending_review", "not_blocked", "false_positive")
                    outcome = draw.choices(outcomes, (30, 6, 1, 2))[0]
                    band = draw.choices(_BANDS, (12, 6, 4, 2, 1, 0))[0]
                    add(day, Tally.OUTCOMES, platform, outcome, band)
                    if outcome == "false_positive" and draw.random() < 0.5:
                        add(day, Tally.DISPUTES, platform)
                        acts = ("widen", "uphold", "confirm")
                        band = draw.choices(_BANDS, (2, 4, 4, 2, 1, 0))[0]
                        add(day, Tally.REVIEWS, draw.choice(acts), band)
    return [rounded(Count(*key, number)) for key, number in sorted(counts.items())]


def line(count: Count) -> str:
    """Return a count as ``disrupt review tallies --json`` prints it."""
    labels = dict(zip(LABELS[count.tally], count.labels, strict=True))
    return json.dumps(
        {"day": count.day, "tally": count.tally, "labels": labels, "count": count.count}
    )


if __name__ == "__main__":
    print(*map(line, year(int(sys.argv[1]))), sep="\n")

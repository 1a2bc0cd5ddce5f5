"""The page of the tallies names all of them, with their labels."""

from __future__ import annotations

import re
from pathlib import Path

from disrupt.core.tallies import DAYS, DISTANCE_BANDS, LABELS, MORE_DAYS, Door, Tally

PAGE = (Path(__file__).parents[1] / "docs" / "tallies.md").read_text()


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_page_and_the_labels_agree() -> None:
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\| (.*) \|$", PAGE, re.MULTILINE)
    assert {name: tuple(named(labels)) for name, labels, _ in rows} == LABELS
    texts = {Tally(name): set(named(text)) for name, _, text in rows}
    assert {*(label for _, label in DAYS), MORE_DAYS} <= texts[Tally.OUTCOMES]
    assert texts[Tally.UPLOADS_MATCHED] >= DISTANCE_BANDS
    assert {door.name.lower() for door in Door} <= texts[Tally.DOORS]

"""What staff are told of items that people withdraw meanwhile."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from disrupt.errors import NotFoundError
from disrupt.registry import sqlite
from disrupt.registry.records import ItemReports
from disrupt.services.review import Reviewer
from rig.media.registrations import DAY, api_key, new_item, registration


def test_an_item_that_is_withdrawn_while_it_is_shown_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        item = new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        reports_of = writer.item_reports

        def reports_then_withdrawn(item_id: bytes, banks: frozenset[int]) -> ItemReports:
            reports = reports_of(item_id, banks)
            writer.withdraw(number, None, day=DAY)
            return reports

        monkeypatch.setattr(writer, "item_reports", reports_then_withdrawn)
        with pytest.raises(NotFoundError):
            Reviewer(writer).show(api_key("0a1b2c3d"), item.item_id)

"""Photographs of packages: selected ones where they are, and those that every machine has."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from benchmarks.harness import photographs


def test_a_selected_photograph_is_named_by_its_package_and_left_out_where_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photographs, "_CACHE", tmp_path)
    before = [name for name, _ in photographs.photographs()]
    expected = {
        "palapeli-data/usr/share/palapeli/collection/citrus-fruits.jpg": (
            "palapeli-data-citrus-fruits"
        ),
        "node_modules/startbootstrap-grayscale/dist/assets/img/bg-signup.jpg": (
            "startbootstrap-grayscale-bg-signup"
        ),
    }
    for file in expected:
        (tmp_path / file).parent.mkdir(parents=True)
        Image.new("RGBA", (16, 8)).save(tmp_path / file, "PNG")
    added = {name: load() for name, load in photographs.photographs() if name not in before}
    assert sorted(added) == sorted(expected.values())
    assert all(picture.mode == "RGB" and picture.size == (16, 8) for picture in added.values())


def test_photographs_that_every_machine_has_come_last_and_names_are_unique() -> None:
    names = [name for name, _ in photographs.photographs()]
    assert names[-6:] == ["astronaut", "chelsea", "coffee", "rocket", "china", "flower"]
    assert len(set(names)) == len(names)

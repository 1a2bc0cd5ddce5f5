"""``disrupt negatives`` with no server: pictures and lists, all of a call or nothing of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from skimage import data as pictures
from skimage.io import imsave

from benchmarks.harness.deployment import CommandFailedError
from disrupt.core.hashes import PdqHash
from disrupt.hashing import fingerprint_image
from disrupt.registry.sql import SqlRegistry
from tests.server.running import typed

HASHES = [PdqHash(bytes([at]) * 32) for at in (7, 9)]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "harmless.png"
    imsave(file, pictures.astronaut())  # type: ignore[no-untyped-call]
    return file


def negatives(data_dir: Path, *words: str | Path) -> Any:
    return json.loads(typed("disrupt", "negatives", *words, "--data-dir", data_dir, "--json"))


def held(data_dir: Path) -> set[bytes]:
    with SqlRegistry.open_reader(data_dir / "registry.db") as reader:
        return {row.tobytes() for row in reader.negatives().hashes}


def test_pictures_and_lists_are_added_once_listed_by_label_and_removed(
    data_dir: Path, picture: Path, tmp_path: Path
) -> None:
    hashes = tmp_path / "known.hashes"
    hashes.write_text("".join(f"{each.hex().upper()}\n" for each in HASHES))
    outcome: Any = fingerprint_image(picture.read_bytes())
    own = {each.hash.value for each in outcome.fingerprints if each.plan == 0}
    expected = own | {each.value for each in HASHES}
    for added in (len(expected), 0):
        said = negatives(data_dir, "add", picture, hashes, "--label", "known")
        assert said == {"added": added, "hashes": len(expected)}
    assert held(data_dir) == expected
    listed = negatives(data_dir, "list")
    assert listed == {"labels": [{"label": "known", "hashes": len(expected)}]}
    for removed in (len(expected), 0):
        assert negatives(data_dir, "remove", "--label", "known") == {"removed": removed}
    assert held(data_dir) == set()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("short.txt", b"00ff\n"),
        ("binary.txt", b"\xff" * 64),
        ("no.png", b"no picture"),
    ],
)
def test_nothing_is_added_if_one_file_cannot_be_used(
    data_dir: Path, picture: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    negatives(data_dir, "list")  # makes the registry
    bad = tmp_path / name
    bad.write_bytes(content)
    with pytest.raises(CommandFailedError, match="Nothing was added"):
        negatives(data_dir, "add", picture, bad, "--label", "known")
    assert held(data_dir) == set()


@pytest.mark.parametrize("label", ["", " ", "x" * 101, "a\nb"])
def test_a_label_has_1_to_100_printable_characters(
    data_dir: Path, picture: Path, label: str
) -> None:
    for words in (("add", picture), ("remove",)):
        with pytest.raises(CommandFailedError, match="label"):
            negatives(data_dir, *words, "--label", label)

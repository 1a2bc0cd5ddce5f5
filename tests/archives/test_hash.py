"""A hashed folder holds what lookups of its pictures would send, and a scan takes it as it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import skimage
from PIL import Image

from disrupt.archives import pictures
from disrupt.core.hashes import stack
from disrupt.hashing import ImageQuery, hash_image
from disrupt.hashing.registration import ImageFingerprints, fingerprint_image
from rig.callers.shell import Done, typed
from tests.archives.site import Site, pairs, results

PICTURES = Path(skimage.__file__).parent / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of two pictures, and of five files that give no hash."""
    folder = tmp_path / "uploads"
    (folder / "2026" / "été").mkdir(parents=True)
    shutil.copy(PICTURES / "chelsea.png", folder / "cat.png")
    with Image.open(PICTURES / "coffee.png") as cup:
        cup.resize((300, 200)).save(folder / "2026" / "été" / "cup.jpg")
    Image.new("RGB", (200, 200), "grey").save(folder / "plain.png")
    (folder / "notes.txt").write_text("no picture")
    (folder / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
    os.mkfifo(folder / "pipe.png")
    (folder / os.fsdecode(b"\xff.png")).touch()
    return folder


def hashed(folder: Path, out: Path, *options: str) -> Done:
    return typed("hash", folder, "--out", out, "--json", *options)


def test_a_folder_is_hashed_as_lookups_do_and_scanned(
    folder: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_FILES", 2)
    out = tmp_path / "hashes"
    done = hashed(folder, out, "--shard", "1/2").json
    assert (done["units"], done["units_done"]) == (4, 2)
    first = {path: path.stat().st_mtime_ns for path in out.glob("[!._]*")}
    finished = hashed(folder, out)
    assert finished.code == 3
    done = finished.json
    assert (done["units_done"], done["files"], done["pictures"]) == (4, 7, 2)
    assert done["refused"] == {
        "LOW_QUALITY": 1,
        "INVALID_MEDIA": 1,
        "VIDEO": 1,
        "UNREADABLE_MEDIA": 1,
        "NAME_NOT_UTF_8": 1,
    }
    assert {path: path.stat().st_mtime_ns for path in first} == first
    rows = results(out)
    for name in ("cat.png", "2026/été/cup.jpg"):
        query = hash_image((folder / name).read_bytes())
        assert isinstance(query, ImageQuery)
        assert [
            (row["hash"], row["picture_quality"], row["transform"], row["area_permille"])
            for row in rows
            if row["id"] == name
        ] == [
            (value.value, query.quality, str(version), version.area_permille)
            for value, version in query.hashes
        ]
    assert {row["id"] for row in rows} == {"cat.png", "2026/été/cup.jpg"}

    registered = fingerprint_image((folder / "cat.png").read_bytes())
    assert isinstance(registered, ImageFingerprints)
    (item,) = site.register(stack([registered.fingerprints[0].hash]))
    scan = typed("scan", out, "--data-dir", site.data_dir, "--out", tmp_path / "m", "--json")
    assert scan.code == 0
    ((matched, found, distance),) = pairs(tmp_path / "m")
    assert (matched, found) == ("cat.png", item)
    assert distance <= 8
    assert results(tmp_path / "m")[0]["extent"] == "whole"


def test_another_folder_is_not_mixed_in(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "hashes"
    for path in folder.iterdir():
        if path.name != "cat.png":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert hashed(folder, out, "--effort", "fast").code == 0
    (folder / "new.txt").touch()
    again = hashed(folder, out, "--effort", "fast")
    assert (again.code, "begun with other files" in again.err) == (1, True)
    assert hashed(folder, folder / "out").code == 2
    (tmp_path / "empty").mkdir()
    assert hashed(tmp_path / "empty", tmp_path / "none").code == 1
    assert not (tmp_path / "none").exists()

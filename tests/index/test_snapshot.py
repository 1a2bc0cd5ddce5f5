from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from disrupt.core.changes import Cursor
from disrupt.errors import DisruptError, SnapshotRefusedError
from disrupt.index import manifest as manifests
from disrupt.index import writing
from disrupt.index.columns import columns_of
from disrupt.index.live import LiveIndex
from disrupt.index.manifest import FILES, TABLES, FileSum
from disrupt.index.snapshot import Snapshot
from disrupt.index.writing import write
from rig.media.codes import (
    EPOCH,
    Codes,
    answers,
    blocks,
    brute_force,
    damage,
    item,
    near_codes,
    random_codes,
    rewrite_manifest,
    search,
    some_items,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "00000007", blocks(some_items(30)), Cursor(EPOCH, 55))
    return tmp_path / "00000007"


@pytest.fixture
def tabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a snapshot with multi-index tables, however few hashes there are."""
    monkeypatch.setattr(writing, "TABLES_FROM_HASHES", 1)
    write(tmp_path / "00000007", blocks(some_items(30)), Cursor(EPOCH, 55))
    return tmp_path / "00000007"


_ENGINE = {"name": "multi_index", "code_bits": 256, "chunks": 16, "tables_version": 1}
_ALL_FILES = ("manifest.json", *FILES, *TABLES)


def resum(path: Path) -> None:
    """Make the manifest fit the files again, as a faulty writer would."""
    sums = {name: FileSum.of(path / name).model_dump() for name in files(path)}
    rewrite_manifest(path, lambda body: body.update(files=sums))


def files(path: Path) -> list[str]:
    """List the files that are not the manifest."""
    return sorted(file.name for file in path.iterdir() if file.name != "manifest.json")


def test_what_was_written_is_read(tabled: Path) -> None:
    snapshot = Snapshot.open(tabled)
    assert snapshot.generation == 7
    assert snapshot.cursor == Cursor(EPOCH, 55)
    assert (snapshot.manifest.items, snapshot.manifest.hashes) == (30, 60)
    items = some_items(30)
    queries = np.concatenate([stored.fingerprints["hash"] for stored in items])
    assert answers(search(LiveIndex(snapshot), queries, 31)) == brute_force(items, queries, 31)


def test_items_beyond_one_batch_keep_their_rows(tmp_path: Path) -> None:
    items = [item(3 * number, random_codes(1 + number % 3, number)) for number in range(1, 9000)]
    write(tmp_path / "00000001", blocks(items), Cursor(EPOCH, 1))
    live = LiveIndex(Snapshot.open(tmp_path / "00000001"))
    for stored in items[::400]:
        queries = stored.fingerprints["hash"]
        assert answers(search(live, queries, 20)) == brute_force([stored], queries, 20)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(codes=near_codes(40), queries=near_codes(4), max_distance_bits=st.integers(0, 63))
def test_stock_faiss_opens_the_codes_and_answers_the_same(
    tmp_path: Path, codes: Codes, queries: Codes, max_distance_bits: int
) -> None:
    folder = tmp_path / "00000001"
    shutil.rmtree(folder, ignore_errors=True)
    items = [item(1 + at, part) for at, part in enumerate(np.array_split(codes, 3)) if len(part)]
    write(folder, blocks(items), Cursor(EPOCH, 3))
    stock = faiss.read_index_binary(str(folder / "codes.faiss"))
    limits, distances, labels = stock.range_search(queries, max_distance_bits + 1)
    entries = np.load(folder / "entries.npy")
    numbers = np.load(folder / "items.npy")["number"]
    nearest: dict[tuple[int, int], tuple[int, int, int, int]] = {}
    for query in range(len(queries)):
        for at in range(int(limits[query]), int(limits[query + 1])):
            number = int(numbers[entries["row"][labels[at]]])
            hit = query, int(distances[at]), number, int(entries["ordinal"][labels[at]])
            nearest[query, number] = min(hit, nearest.get((query, number), hit))
    hits = search(LiveIndex(Snapshot.open(folder)), queries, max_distance_bits)
    rows = zip(
        hits.query.tolist(),
        hits.distance.tolist(),
        hits.number.tolist(),
        hits.ordinal.tolist(),
        strict=True,
    )
    assert sorted(rows) == sorted(nearest.values())


def test_the_codes_are_mapped_not_copied(tabled: Path) -> None:
    snapshot = Snapshot.open(tabled)
    mapped = Path("/proc/self/maps").read_text()
    assert {name for name in files(tabled) if str(tabled / name) in mapped} == set(files(tabled))
    assert not snapshot.items.flags.writeable


@pytest.mark.parametrize("name", _ALL_FILES)
def test_a_missing_file_is_refused_by_name(tabled: Path, name: str) -> None:
    (tabled / name).unlink()
    with pytest.raises(SnapshotRefusedError, match=f"00000007/{name} refused: missing"):
        Snapshot.open(tabled)


@pytest.mark.parametrize("name", _ALL_FILES)
@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
def test_a_truncated_file_is_refused_by_name(tabled: Path, name: str, kept: float) -> None:
    size = (tabled / name).stat().st_size
    os.truncate(tabled / name, int(size * kept))
    with pytest.raises(SnapshotRefusedError, match=f"00000007/{name} refused"):
        Snapshot.open(tabled)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255), data=st.data())
def test_any_altered_byte_of_any_file_is_refused_by_name(
    tabled: Path, place: float, mask: int, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(_ALL_FILES))
    before = (tabled / name).read_bytes()
    altered = bytearray(before)
    altered[int(place * len(before))] ^= mask
    (tabled / name).write_bytes(altered)
    try:
        with pytest.raises(SnapshotRefusedError, match=f"00000007/{name} refused"):
            Snapshot.open(tabled)
    finally:
        (tabled / name).write_bytes(before)
    Snapshot.open(tabled)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda body: body.update(format_version=1), "format version 1"),
        (lambda body: body.pop("format_version"), "format version None"),
        (lambda body: body["engine"].update(name="multi_index"), "engine parameters"),
        (lambda body: body.update(engine=_ENGINE), "other files"),
        (lambda body: body.update(engine=_ENGINE | {"chunks": 8}), "engine parameters"),
        (lambda body: body.update(engine=_ENGINE | {"tables_version": 2}), "engine parameters"),
        (lambda body: body["engine"].update(code_bits=128), "engine parameters"),
        (lambda body: body.pop("engine"), "engine parameters"),
        (lambda body: body.pop("epoch"), "epoch"),
        (lambda body: body.update(epoch="0" * 31), "epoch"),
        (lambda body: body.update(sequence=-1), "sequence"),
        (lambda body: body.update(sequence=2**64), "sequence"),
        (lambda body: body.update(extra=1), "extra"),
        (lambda body: body["files"].pop("items.npy"), "other files"),
        (lambda body: body["files"]["items.npy"].update(sha256="x"), "sha256"),
        (
            lambda body: body["files"].update({"../../etc/passwd": body["files"]["items.npy"]}),
            "other files",
        ),
        (
            lambda body: body["files"].update(
                {"../00000007/items.npy": body["files"].pop("items.npy")}
            ),
            "other files",
        ),
    ],
)
def test_a_manifest_that_this_build_cannot_serve_is_refused_with_the_reason(
    path: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    rewrite_manifest(path, change)
    with pytest.raises(SnapshotRefusedError, match=r"00000007/manifest\.json refused") as refusal:
        Snapshot.open(path)
    assert reason in refusal.value.message


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 60_000, b" " * 10**6, b'{"a": NaN}']
)
def test_a_manifest_that_is_none_is_refused(path: Path, content: bytes) -> None:
    (path / "manifest.json").write_bytes(content)
    with pytest.raises(SnapshotRefusedError, match=r"00000007/manifest\.json refused"):
        Snapshot.open(path)


def test_files_that_fit_their_checksums_but_not_each_other_are_refused(tabled: Path) -> None:
    good = {name: (tabled / name).read_bytes() for name in _ALL_FILES}

    def refused(name: str, array: np.ndarray[Any, Any], reason: str) -> None:
        for kept, content in good.items():
            (tabled / kept).write_bytes(content)
        np.save(tabled / name, array, allow_pickle=True)
        resum(tabled)
        with pytest.raises(SnapshotRefusedError, match=f"{name} refused") as refusal:
            Snapshot.open(tabled)
        assert reason in refusal.value.message

    entries, items = np.load(tabled / "entries.npy"), np.load(tabled / "items.npy")
    refused("entries.npy", entries[:-1], "length")
    refused("items.npy", items[:-1], "length")
    refused("items.npy", items[::-1], "ascend")
    refused("entries.npy", entries[::-1], "ascend")
    refused("entries.npy", entries["row"], "uint32")
    refused("items.npy", entries[:30], "length")
    refused("items.npy", np.array([{}]), "NumPy")
    beyond = entries.copy()
    beyond["row"][-1] = 30
    refused("entries.npy", beyond, "row 30 of 30 items")
    for name in TABLES:
        table = np.load(tabled / name)
        refused(name, table[:, :-1], "not")
        refused(name, table.astype(np.uint8), "uint8")


class Touch:
    """Something that writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_and_not_read(tabled: Path, tmp_path: Path) -> None:
    for name in (*FILES, *TABLES):
        good = (tabled / name).read_bytes()
        (tabled / name).write_bytes(pickle.dumps(Touch(tmp_path / "touched")))
        resum(tabled)
        with pytest.raises(SnapshotRefusedError, match=f"{name} refused"):
            Snapshot.open(tabled)
        assert not (tmp_path / "touched").exists()
        (tabled / name).write_bytes(good)


@pytest.fixture
def read_whole(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the names of the files that are read whole from here on."""
    names: list[str] = []
    of = FileSum.of

    def recording(path: Path) -> FileSum:
        names.append(path.name)
        return of(path)

    monkeypatch.setattr(FileSum, "of", recording)
    return names


def test_a_generation_is_read_whole_unless_another_process_did(
    tabled: Path, read_whole: list[str]
) -> None:
    Snapshot.open(tabled, checked=True)
    assert read_whole == []
    Snapshot.open(tabled)
    assert sorted(read_whole) == files(tabled)


def test_files_that_were_copied_are_read_whole(
    tabled: Path, tmp_path: Path, read_whole: list[str]
) -> None:
    shutil.copytree(tabled, tmp_path / "copy")  # with the times of modification
    Snapshot.open(tmp_path / "copy", checked=True)
    assert sorted(read_whole) == files(tabled)


def test_inodes_of_64_bits_are_written_and_read(path: Path) -> None:
    manifest = manifests.read(path)
    files = {
        name: FileSum(**(file_sum.model_dump() | {"inode": 2**64 - 1}))
        for name, file_sum in manifest.files.items()
    }
    manifest = manifest.model_copy(update={"files": files})
    (path / "manifest.json").write_bytes(manifest.to_bytes())
    assert Snapshot.open(path).manifest == manifest


@pytest.mark.parametrize("name", [*FILES, *TABLES])
def test_a_checked_file_that_is_written_to_is_refused(tabled: Path, name: str) -> None:
    damage(tabled / name, later_ns=1)
    with pytest.raises(SnapshotRefusedError, match=f"00000007/{name} refused: altered"):
        Snapshot.open(tabled, checked=True)


def test_codes_of_another_count_are_refused(path: Path) -> None:
    index = faiss.IndexBinaryFlat(256)
    index.add(random_codes(59))
    faiss.write_index_binary(index, str(path / "codes.faiss"))
    resum(path)
    with pytest.raises(SnapshotRefusedError, match=r"codes\.faiss refused: 59 codes, not 60"):
        Snapshot.open(path)


def test_a_file_that_is_deleted_or_replaced_while_open_is_noticed(tabled: Path) -> None:
    snapshot = Snapshot.open(tabled)
    assert snapshot.missing_file() is None
    for name in (*FILES, *TABLES):
        content = (tabled / name).read_bytes()
        (tabled / name).rename(tabled / "elsewhere")
        assert snapshot.missing_file() == f"00000007/{name}"
        (tabled / name).write_bytes(content)
        assert snapshot.missing_file() == f"00000007/{name}"
        (tabled / "elsewhere").rename(tabled / name)
        assert snapshot.missing_file() is None


@pytest.mark.parametrize("name", [*FILES, *TABLES])
def test_a_file_that_is_written_to_while_open_is_noticed(tabled: Path, name: str) -> None:
    snapshot = Snapshot.open(tabled)
    damage(tabled / name, later_ns=1)
    assert snapshot.missing_file() == f"00000007/{name}"


def test_items_that_do_not_ascend_are_not_written(tmp_path: Path) -> None:
    first, second = some_items(2)
    with pytest.raises(DisruptError, match="ascend"):
        write(tmp_path / "a", map(columns_of, ([second], [first])), Cursor(EPOCH, 2))
    with pytest.raises(DisruptError, match="ascend"):
        write(tmp_path / "b", blocks([first, first]), Cursor(EPOCH, 2))

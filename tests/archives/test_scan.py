"""A scan finds what lookups of the hashes would, in parts that can be done again."""

from __future__ import annotations

import errno
import gzip
import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from disrupt.archives import rows, scanning, units
from disrupt.archives.lists import open_list
from disrupt.archives.rows import ID_BYTES_MAX, ColumnNames, Tally, read
from disrupt.client import MatchClient
from disrupt.core.hashes import HASH_BYTES
from disrupt.core.policy import MINORS
from disrupt.data_directory import DataDirectory
from disrupt.distinctiveness.shapes import shapes
from disrupt.errors import ArchiveRefusedError
from rig.callers.shell import Done, typed
from rig.media.codes import flipped, random_codes
from rig.processes.running import status
from rig.servers.deployment import FEW_DECODERS, Deployment
from tests.archives.conftest import LISTED, near_bits
from tests.archives.site import Site, pairs, results, write_parquet


def scanned(archive: Path, site: Site, out: Path, *options: str) -> Done:
    return typed("scan", archive, "--data-dir", site.data_dir, "--out", out, "--json", *options)


def expected(listed: list[str], rows: range = range(40)) -> set[tuple[object, str, int]]:
    return {(5 * row, listed[row], near_bits(row)) for row in rows if near_bits(row) <= 31}


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch, archive: Path) -> Path:
    """Divide the archive into ten units."""
    monkeypatch.setattr(units, "_LEAST_ROWS", 20)
    pq.write_table(pq.read_table(archive), archive, row_group_size=10)
    return archive


def test_a_scan_answers_what_lookups_of_the_hashes_do(tmp_path: Path) -> None:
    site = Site.make(tmp_path / "data")
    degenerate = np.zeros(HASH_BYTES, np.uint8)
    degenerate[:] = shapes()[0]
    crowd = np.array([flipped(LISTED[1], 8, seed=seed) for seed in range(12)])
    listed = np.concatenate([LISTED, crowd, degenerate[None]])
    site.register(listed[::2])
    site.register(listed[1::2], bank=MINORS.number)
    assert (
        typed("banks", "set", "minors", "--distance", "20", "--data-dir", site.data_dir).code == 0
    )
    near = [flipped(code, bits, seed=bits) for code in listed for bits in (0, 19, 20, 21, 31, 32)]
    queries = np.concatenate([np.array(near), random_codes(50, seed=3)])
    qualities = [(47 + row % 5) for row in range(len(queries))]
    archive = write_parquet(tmp_path / "a.parquet", list(range(len(queries))), queries, qualities)
    with Deployment.start(site.data_dir, workers=1, settings=FEW_DECODERS) as server:
        key = server.make_key("platform", "match")
        with MatchClient(server.address, key=key) as client:
            answers = client.match_hashes(queries, qualities=qualities)
        done = scanned(archive, site, tmp_path / "out")
    assert done.code == 0, done
    assert sorted(
        (row["id"], row["distance_bits"], row["item"], row["bank"], row["assurance"])
        for row in results(tmp_path / "out")
    ) == sorted(
        (at, match.distance_bits, match.item_id, match.bank, match.assurance.name.lower())
        for at, answer in enumerate(answers)
        for match in answer.matches
    )
    low = sum(answer.low_quality for answer in answers)
    assert (done.json["rows"], done.json["low_quality"]) == (len(queries), low)
    assert done.json["truncated"] == sum(answer.truncated for answer in answers) > 0


def test_changes_after_the_generation_count(
    site: Site, listed: list[str], archive: Path, tmp_path: Path
) -> None:
    site.withdraw(listed[0])
    assert scanned(archive, site, tmp_path / "out").code == 0
    assert pairs(tmp_path / "out") == expected(listed, range(1, 40))


def test_a_scan_since_a_cursor_finds_what_came_after_it_and_leaves_no_list(
    site: Site, listed: list[str], archive: Path, tmp_path: Path
) -> None:
    first = scanned(archive, site, tmp_path / "first").json
    again = scanned(archive, site, tmp_path / "again", "--since", first["cursor"])
    assert again.json["matches"] == 0
    new = site.register(random_codes(5, seed=77))
    site.withdraw(new[4])
    site.withdraw(listed[0])
    later = write_parquet(tmp_path / "b.parquet", list("abcdef"), random_codes(6, seed=77))
    second = scanned(later, site, tmp_path / "second", "--since", first["cursor"]).json
    assert pairs(tmp_path / "second") == {
        (name, item, 0) for name, item in zip("abcd", new[:4], strict=True)
    }
    assert second["cursor"] != first["cursor"]
    assert not list((tmp_path / "second").glob("_new*"))
    other = Site.make(tmp_path / "other")
    refused = scanned(later, other, tmp_path / "third", "--since", first["cursor"])
    assert (refused.code, "Scan without --since" in refused.err) == (1, True)


def test_parts_that_are_done_stay_and_the_rest_is_done_after_a_failure(
    site: Site,
    listed: list[str],
    small_units: Path,
    tmp_path: Path,
) -> None:
    out, written, sync = tmp_path / "out", list[int](), os.fsync

    def full_after_a_while(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with mock.patch("os.fsync", full_after_a_while):
        failed = scanned(small_units, site, out)
    assert failed.code == 1
    assert "is full. What was written stays" in failed.err
    before = {path: path.stat().st_mtime_ns for path in out.glob("[!._]*")}
    assert 2 <= len(before) < 10
    assert not list(out.glob(".*"))
    done = scanned(small_units, site, out)
    assert (done.code, done.json["units_done"]) == (0, 10)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert pairs(out) == expected(listed)


def test_shards_do_the_whole_between_them_and_nothing_twice(
    site: Site, listed: list[str], small_units: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = scanned(small_units, site, out, "--shard", "1/2").json
    assert (done["units"], done["units_done"], done["rows"]) == (10, 5, 100)
    assert min(path.name for path in out.glob("[!._]*")) == "000001.parquet"
    assert scanned(small_units, site, out, "--shard", "0/2").json["rows"] == 200
    assert pairs(out) == expected(listed)
    for wrong in ("2/2", "-1/2", "1", "a/b", "0/0"):
        assert scanned(small_units, site, out, "--shard", wrong).code == 2


@pytest.mark.usefixtures("listed")
def test_a_directory_takes_the_results_of_one_scan_only(
    site: Site, archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert scanned(archive, site, out).code == 0
    other = scanned(archive, site, out, "--bank", "minors")
    assert (other.code, "begun with other banks" in other.err) == (1, True)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "holiday.txt").touch()
    used = scanned(archive, site, tmp_path / "used")
    assert (used.code, "holds other files" in used.err) == (1, True)
    unknown = scanned(archive, site, tmp_path / "third", "--bank", "nobody")
    assert (unknown.code, "no bank is named 'nobody'" in unknown.err) == (1, True)
    (out / "000000.parquet").write_bytes(b"PAR1")
    damaged = scanned(archive, site, out)
    assert (damaged.code, "Delete it, and run the command again" in damaged.err) == (1, True)


@pytest.mark.usefixtures("listed")
def test_matches_hold_no_registered_hash(site: Site, archive: Path, tmp_path: Path) -> None:
    scanned(archive, site, tmp_path / "out")
    assert set(results(tmp_path / "out")[0]) == {
        *("id", "item", "bank", "distance_bits", "assurance", "kind", "extent")
    }
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert not any(code.tobytes() in written for code in LISTED)
    assert not any(code.tobytes().hex().encode() in written for code in LISTED)


def test_of_several_hashes_of_an_id_the_nearest_is_answered(
    site: Site, listed: list[str], tmp_path: Path
) -> None:
    near = [(0, 7), (0, 2), (1, 5), (0, 9)]
    codes = np.array([flipped(LISTED[item], bits) for item, bits in near])
    archive = write_parquet(tmp_path / "a.parquet", ["x", "x", "x", "y"], codes)
    scanned(archive, site, tmp_path / "out")
    assert pairs(tmp_path / "out") == {
        *(("x", listed[0], 2), ("x", listed[1], 5), ("y", listed[0], 9))
    }


@pytest.mark.usefixtures("listed")
def test_a_copied_index_answers_without_its_registry(site: Site, tmp_path: Path) -> None:
    shutil.copytree(DataDirectory(site.data_dir).index, tmp_path / "copy" / "index")
    copied = open_list(tmp_path / "copy")
    assert copied.status().items == 20
    assert open_list(site.data_dir).status().items == 40
    assert copied.cursor.sequence < open_list(site.data_dir).cursor.sequence


CODE = random_codes(1, seed=5)
HASH = CODE.tobytes().hex()


@pytest.mark.parametrize(
    ("rows", "refused", "low_quality"),
    [
        ([f"1,{HASH},80", f"2,{HASH.upper()},", f"3,{HASH},49"], {}, 1),
        (["1,,80", f",{HASH},80"], {"no hash": 1, "no id": 1}, 0),
        ([f"1,{HASH[:-2]},80", f"2,{HASH}0,80"], {"hash of another length": 2}, 0),
        ([f"1,{'xy' * HASH_BYTES},80", f"2,{'é' * HASH_BYTES},80"], {"hash not hex": 2}, 0),
        ([f"1,{HASH},101", f"2,{HASH},good", f"3,{HASH},-1"], {"quality not 0-100": 3}, 0),
        ([f"1,{HASH}", f"2,{HASH},80,more"], {"columns": 2}, 0),
        ([f'"1,{HASH},80', f'2,"{HASH}",80', f'3,"{HASH},80'], {"columns": 2}, 0),
        ([f"\udcff,{HASH},80"], {"id not UTF-8": 1}, 0),
        ([], {}, 0),
    ],
)
def test_a_wrong_row_is_counted_and_left_out(
    site: Site, tmp_path: Path, rows: list[str], refused: dict[str, int], low_quality: int
) -> None:
    (item,) = site.register(CODE)
    archive = tmp_path / "a.csv"
    lines = ["id,hash,quality", *rows, f"right,{HASH},50"]
    archive.write_bytes("\r\n".join(lines).encode("utf-8", "surrogateescape"))
    done = scanned(archive, site, tmp_path / "out")
    assert done.code == (3 if refused else 0)
    assert done.json["rows"] == len(rows) + 1
    assert (done.json["refused"], done.json["low_quality"]) == (refused, low_quality)
    assert len(done.json["examples"]) == sum(refused.values())
    assert done.json["matches"] == len(rows) + 1 - sum(refused.values()) - low_quality
    assert ("right", item, 0) in pairs(tmp_path / "out")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([HASH, None, HASH], pa.large_string()),
        pa.array([HASH, None, HASH]).dictionary_encode(),
        pa.array([bytes.fromhex(HASH), None, HASH.encode()], pa.binary()),
        pa.array([bytes.fromhex(HASH), None, bytes.fromhex(HASH)], pa.binary(HASH_BYTES)),
    ],
    ids=lambda column: str(column.type),
)
def test_parquet_may_hold_hashes_as_text_or_bytes(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"my id": [7, 8, 9], "pdq": column}), path)
    names, tally = ColumnNames(id="my id", hash="pdq"), Tally()
    (unit,) = units.units_of([path], names.needed)
    (rows,) = read(unit, names, tally)
    assert rows.ids.to_pylist() == [7, 9]
    assert rows.hashes.tobytes() == 2 * bytes.fromhex(HASH)
    assert tally.examples == [f"{path}, row 2: no hash"]


@pytest.mark.parametrize("size", [1, 7, 70, 71, 72, 73, 10_000])
def test_units_of_csv_hold_every_line_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(units, "_CSV_BYTES", size)
    path = tmp_path / "a.csv"
    ids = [f"{'i' * (row % 5)}{row}" for row in range(30)]
    path.write_text("\ufeffid,hash\n" + "\n".join(f"{name},{HASH}" for name in ids), "utf-8")
    names, tally = ColumnNames(), Tally()
    parts = units.units_of([path], names.needed)
    assert len(parts) > 1 or size == 10_000
    assert [
        name for unit in parts for rows in read(unit, names, tally) for name in rows.ids.to_pylist()
    ] == ids


def test_lines_are_refused_from_one_length_on_wherever_they_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "LINE_BYTES_MAX", 100)
    path = tmp_path / "a.csv"
    lengths = [100, 101, 99, 350, 100, 100, 202, 101, *(range(70, 130))]
    lines = [f"{row:x<{length - 66}},{HASH}\n" for row, length in enumerate(lengths)]
    for size in (1, 150, 10_000):
        monkeypatch.setattr(units, "_CSV_BYTES", size)
        path.write_text("id,hash\n" + "".join(lines))
        tally, read_ids = Tally(), list[str]()
        for unit in units.units_of([path], ColumnNames().needed):
            for batch in read(unit, ColumnNames(), tally):
                read_ids += batch.ids.to_pylist()
        assert read_ids == [line.partition(",")[0] for line in lines if len(line) <= 100]
        assert tally.refused == {"line too long": sum(length > 100 for length in lengths)}
        at = 8 + 100
        assert tally.examples[0] == f"{path}, byte {at}: line too long"
        assert tally.rows == len(lines)


def read_counting(path: Path) -> tuple[int, Tally, int]:
    """Read an archive; return the number of right rows, the tally, and how many MiB that took."""

    def mib(name: str) -> int:
        return int(status()[name].split()[0]) >> 10

    before, tally = mib("VmRSS"), Tally()
    parts = units.units_of([path], ColumnNames().needed)
    count = sum(len(batch.ids) for unit in parts for batch in read(unit, ColumnNames(), tally))
    return count, tally, mib("VmHWM") - before


def read_apart(path: Path) -> tuple[int, Tally, int]:
    """Call ``read_counting`` in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(read_counting, path).result()


def test_a_line_without_an_end_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(f"id,hash\n1,{HASH}\n".encode())
        for _ in range(100):
            file.write(b"a" * (1 << 20))
        file.write(f"\n2,{HASH}\n".encode())
    count, tally, mib = read_apart(path)
    assert (count, tally.refused) == (2, {"line too long": 1})
    assert mib < 64


@pytest.mark.parametrize("long", [False, True])
def test_few_bytes_that_stand_for_many_take_little_memory(tmp_path: Path, *, long: bool) -> None:
    path, wanted = tmp_path / "a.parquet", 100_000
    texts = [pa.array(["i" * (ID_BYTES_MAX + long)]), pa.array([HASH])]
    first = pa.array(np.zeros(wanted, np.int32))
    columns = [pa.DictionaryArray.from_arrays(first, text) for text in texts]
    pq.write_table(pa.table(columns, ["id", "hash"]), path, store_schema=False)
    count, tally, mib = read_apart(path)
    assert (count, tally.rows) == (0 if long else wanted, wanted)
    assert tally.refused == ({"id too long": wanted} if long else {})
    assert mib < 200


def test_values_that_would_take_much_memory_are_refused_by_file_and_column(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for ids in ([[1, 2]], [{"a": 1}], pa.array([b"i" * 5000], pa.binary(5000))):
        pq.write_table(pa.table({"id": ids, "hash": [HASH]}), path)
        (unit,) = units.units_of([path], ColumnNames().needed)
        with pytest.raises(ArchiveRefusedError, match=rf"{path}.*'id'"):
            list(read(unit, ColumnNames(), Tally()))


def test_a_row_group_that_is_too_large_keeps_no_other_from_being_done(
    site: Site, listed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "GROUP_BYTES_MAX", 1500)
    monkeypatch.setattr(units, "_LEAST_ROWS", 1)
    archive, out = tmp_path / "a.parquet", tmp_path / "out"
    table = pa.table({"id": range(40), "hash": [code.tobytes().hex() for code in LISTED]})
    with pq.ParquetWriter(archive, table.schema) as file:
        for first, count in ((0, 10), (10, 25), (35, 5)):
            file.write_table(table.slice(first, count))
    done = scanned(archive, site, out)
    assert done.code == 1
    assert f"{archive}, row group 1" in done.err
    assert {row[0] for row in pairs(out)} == {*range(10), *range(35, 40)}
    assert len(listed) == 40


def test_a_part_with_too_many_matches_is_refused_and_not_written(
    site: Site, listed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "HELD_BYTES_MAX", 100_000)
    monkeypatch.setattr(units, "_LEAST_ROWS", 1)
    archive, codes = tmp_path / "a.parquet", [code.tobytes().hex() for code in LISTED]
    for ids in (["i" * ID_BYTES_MAX] * 40, None):  # long ids, then many matches
        table = pa.table({"id": ids or ["i"] * 40_000, "hash": codes if ids else codes * 1000})
        with pq.ParquetWriter(archive, table.schema) as file:
            file.write_table(table)
            file.write_table(table.slice(0, 1))
        done = scanned(archive, site, out := tmp_path / f"out-{len(table)}")
        assert done.code == 1
        assert f"{archive}, row 1" in done.err
        assert [row["item"] for row in results(out)] == [listed[0]]
        assert not (out / "000000.parquet").exists()


def _compressed(path: Path) -> None:
    path.write_bytes(gzip.compress(b"id,hash\n"))


def _truncated(path: Path) -> None:
    write_parquet(path, [1], random_codes(1))
    path.write_bytes(path.read_bytes()[:-9])


def _of_numbers(path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "hash": [1]}), path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (Path.mkdir, "no .parquet or .csv file"),
        (Path.exists, "cannot be read"),
        (Path.touch, "does not have one column 'id'"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n"), "neither Parquet nor CSV"),
        (lambda path: path.write_text("id,md5\n1,2\n"), "does not have one column 'hash'"),
        (lambda path: path.write_bytes(b"id,hash," + b"a" * 100_000), "first line is longer"),
        (_compressed, "is compressed"),
        (_truncated, "cannot be read"),
        (_of_numbers, "is of type int64"),
        (lambda path: path.write_text(f"id,hash\n1,{HASH}\r2,{HASH}\n"), "lines and rows"),
    ],
)
def test_what_is_no_archive_is_refused_by_name(
    site: Site, tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    path = tmp_path / "archive"
    make(path)
    done = scanned(path, site, tmp_path / "out")
    assert done.code == 1
    assert says in done.err
    assert done.out == ""


def test_a_damaged_part_keeps_no_other_from_being_done(
    site: Site, listed: list[str], small_units: Path, tmp_path: Path
) -> None:
    metadata = pq.ParquetFile(small_units).metadata
    content = bytearray(small_units.read_bytes())
    at = metadata.row_group(4).column(1).dictionary_page_offset
    content[at : at + 200] = bytes(200)
    small_units.write_bytes(content)
    out = tmp_path / "out"
    done = scanned(small_units, site, out)
    assert done.code == 1
    assert f"{small_units}, row 41 cannot be read" in done.err
    assert "not done for such reasons: 1" in done.err
    assert sorted(path.name for path in out.glob("[!._]*")) == [
        f"{number:06d}.parquet" for number in range(10) if number != 2
    ]
    assert pairs(out) == {row for row in expected(listed) if not 40 <= int(str(row[0])) < 60}

"""``disrupt match --archive`` tells what is new near an archive, and saves nothing by half."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from disrupt.archives import units
from disrupt.client import MatchClient
from disrupt.core.hashes import unpack
from disrupt.errors import UnavailableError
from rig.callers.acts import registered
from rig.callers.caller import Caller, calling, distinctive, matches, near
from rig.callers.shell import Done, typed
from rig.servers.deployment import FEW_DECODERS, Deployment, run
from rig.servers.registries import fill, item_id
from rig.waiting import eventually
from tests.archives.site import write_parquet

OLD = [distinctive() for _ in range(2)]


@dataclass(frozen=True)
class Service:
    """A server whose two items are of years ago, in the banks minors and adults."""

    address: str
    key: str
    helpline: Caller

    def match(self, archive: Path, since: Path, *words: str | Path) -> Done:
        command = ("match", "--archive", archive, "--since", since, *words)
        return typed(*command, DISRUPT_SERVER=self.address, DISRUPT_KEY=self.key)

    def register(self, value: bytes) -> str:
        """Register an item; return its id once lookups find it."""
        _, (added,) = registered(self.helpline, value)
        eventually(lambda: all(matches(self.address, self.key, value) for _ in range(6)))
        return added.hex()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data_dir = tmp_path_factory.mktemp("asking") / "data"
    fill(data_dir, unpack(b"".join(OLD)))
    run("disrupt-index", "rebuild", "--data-dir", data_dir)
    with Deployment.start(data_dir, settings=FEW_DECODERS) as server:
        helpline, key = server.make_key("register", "register"), server.make_key("match", "match")
        with calling(server.address, helpline) as caller:
            yield Service(server.address, key, caller)


@pytest.fixture
def since(tmp_path: Path) -> Path:
    return tmp_path / "since.cursor"


def csv(path: Path, *rows: tuple[str, bytes]) -> Path:
    lines = ["id,hash", *(f"{name},{value.hex()}" for name, value in rows)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def found(done: Done) -> dict[str, set[str]]:
    """Return the items that a run has found near each id."""
    return {line["input"]: {match["item"] for match in line["matches"]} for line in done.lines}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_first_run_asks_for_everything_and_later_ones_for_what_is_new(
    service: Service, since: Path, tmp_path: Path
) -> None:
    coming = distinctive()
    rows = [("old", near(OLD[0], 3)), ("coming", near(coming, 9)), ("none", distinctive())]
    archive = csv(tmp_path / "archive.csv", *rows)
    done = service.match(archive, since)
    assert (done.code, found(done)) == (0, {"old": {item_id(1).hex()}})
    done = service.match(archive, since)
    assert (done.code, done.out) == (0, "")
    fresh = service.register(coming)
    done = service.match(archive, since)
    assert (done.code, found(done)) == (0, {"coming": {fresh}})
    assert names(tmp_path) == {"archive.csv", "since.cursor"}
    (match,) = done.lines[0]["matches"]
    assert (match["bank"], match["distance"]) == ("adults", 9)
    report = typed(
        *("report", match["match_id"], "blocked"),
        DISRUPT_SERVER=service.address,
        DISRUPT_KEY=service.key,
    )
    assert report.code == 0, report.err


def test_hashes_of_one_upload_are_one_line_with_the_nearest_match_of_each_item(
    service: Service, since: Path, tmp_path: Path
) -> None:
    codes = unpack(near(OLD[0], 7) + near(OLD[0], 2) + OLD[1] + distinctive())
    archive = write_parquet(tmp_path / "archive.parquet", [5, 5, 5, 5], codes)
    (line,) = service.match(archive, since).lines
    assert line["input"] == "5"
    nearest = {match["item"]: match["distance"] for match in line["matches"]}
    assert nearest == {item_id(1).hex(): 2, item_id(2).hex(): 0}


def test_another_view_than_the_cursors_has_everything_looked_up(
    service: Service, since: Path, tmp_path: Path
) -> None:
    archive = csv(tmp_path / "archive.csv", ("minor", OLD[0]), ("adult", OLD[1]))
    assert set(found(service.match(archive, since, "--bank", "minors"))) <= {"minor", "adult"}
    done = service.match(archive, since)
    assert (done.code, set(found(done))) == (0, {"minor", "adult"})
    assert "Look everything up again" in done.err
    assert service.match(archive, since).out == ""


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Return a function that lets calls fail from the n-th on; it returns the sizes of all."""
    ask = MatchClient.match_hashes

    def fail(after: int) -> list[int]:
        sizes: list[int] = []

        def match_hashes(client: MatchClient, hashes: Any, **options: Any) -> Any:
            if len(sizes) == after:
                raise UnavailableError("No answer.")
            sizes.append(len(hashes))
            return ask(client, hashes, **options)

        monkeypatch.setattr(MatchClient, "match_hashes", match_hashes)
        return sizes

    return fail


def test_an_interrupted_run_goes_on_where_it_was_and_saves_the_cursor_of_its_beginning(
    service: Service,
    since: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: Callable[[int], list[int]],
) -> None:
    monkeypatch.setattr(units, "_CSV_BYTES", 3 * 75)
    rows = [(f"{at:06}", near(OLD[at % 2], at)) for at in range(9)]
    archive = csv(tmp_path / "archive.csv", *rows)
    failing(2)
    first = service.match(archive, since)
    assert (first.code, 1 < len(first.lines) < 9) == (1, True)
    assert names(tmp_path) == {"archive.csv", "since.cursor.unfinished"}
    noted = json.loads((tmp_path / "since.cursor.unfinished").read_text())
    sizes = failing(-1)
    second = service.match(archive, since)
    assert (second.code, sum(sizes)) == (0, 9 - len(first.lines))
    assert found(first) | found(second) == {
        name: {item_id(1 + at % 2).hex()} for at, (name, _) in enumerate(rows)
    }
    assert since.read_text() == noted["next_since"]
    assert names(tmp_path) == {"archive.csv", "since.cursor"}


def test_another_archive_or_other_options_begin_anew(
    service: Service,
    since: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: Callable[[int], list[int]],
) -> None:
    monkeypatch.setattr(units, "_CSV_BYTES", 2 * 70)
    archive = csv(tmp_path / "archive.csv", *((str(at), OLD[0]) for at in range(6)))
    for change in (
        lambda: csv(archive, *((str(at), OLD[0]) for at in range(7))),
        lambda: since.write_text(""),
    ):
        failing(1)
        assert service.match(archive, since).code == 1
        change()
        sizes = failing(-1)
        done = service.match(archive, since, "--max-matches", "3")
        assert (done.code, sum(sizes)) == (0, len(done.lines))
        assert len(done.lines) >= 6


def test_rows_that_cannot_be_looked_up_are_named_and_no_cursor_is_written(
    service: Service, since: Path, tmp_path: Path
) -> None:
    archive = csv(tmp_path / "archive.csv", ("good", OLD[0]), ("cut", OLD[1][:20]))
    done = service.match(archive, since)
    assert (done.code, set(found(done))) == (3, {"good"})
    assert "row 2: hash of another length" in done.err
    assert names(tmp_path) == {"archive.csv"}
    csv(archive, ("good", OLD[0]), ("mended", OLD[1]))
    done = service.match(archive, since)
    assert (done.code, set(found(done))) == (0, {"good", "mended"})
    assert since.read_text()


def cut_in_a_line(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-9])


def without_an_end(archive: Path) -> None:
    with archive.open("r+b") as file:
        file.truncate(10 * 2**30)  # of zeros, which take no room on the disk


def of_one_header(archive: Path) -> None:
    archive.write_bytes(b"id,hash" * 20_000 + b"\n")


def empty(archive: Path) -> None:
    archive.write_bytes(b"")


def cut_parquet(archive: Path) -> None:
    write_parquet(archive, [1, 2], unpack(b"".join(OLD)))
    archive.write_bytes(archive.read_bytes()[:-40])


@pytest.mark.parametrize(
    "damage", [cut_in_a_line, without_an_end, of_one_header, empty, cut_parquet]
)
def test_a_damaged_archive_is_refused_before_anything_is_asked(
    service: Service,
    since: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    failing: Callable[[int], list[int]],
) -> None:
    archive = csv(tmp_path / "archive.csv", ("a", OLD[0]), ("b", OLD[1]))
    damage(archive)
    sizes = failing(-1)
    done = service.match(archive, since)
    assert (done.code, done.out, sizes) == (1, "", [])
    assert str(archive) in done.err
    assert names(tmp_path) == {"archive.csv"}


def test_a_line_that_is_too_long_is_refused_and_the_others_are_asked(
    service: Service, since: Path, tmp_path: Path
) -> None:
    archive = csv(tmp_path / "archive.csv", ("a", OLD[0]))
    with archive.open("r+b") as file:
        file.seek(40 * 2**20, 2)
        file.write(b"\nc," + OLD[1].hex().encode() + b"\n")
    done = service.match(archive, since)
    assert (done.code, set(found(done))) == (3, {"a", "c"})
    assert "line too long" in done.err
    assert not since.exists()


@pytest.mark.parametrize("text", ["0123456789abcdef", "", "é\n"])
def test_a_file_that_has_no_cursor_is_refused_and_stays(
    service: Service, since: Path, tmp_path: Path, text: str
) -> None:
    archive = csv(tmp_path / "archive.csv", ("a", OLD[0]))
    since.write_text(text)
    done = service.match(archive, since)
    if text:
        assert (done.code, done.out, since.read_text()) == (1, "", text)
    else:
        assert (done.code, set(found(done))) == (0, {"a"})


@pytest.mark.parametrize(
    "words",
    [
        ("--archive", "archive.csv"),
        ("--since", "since.cursor"),
        ("--archive", "archive.csv", "--since", "since.cursor", "upload.jpg"),
        ("--archive", "archive.csv", "--since", "since.cursor", "--hash"),
        ("--archive", "archive.csv", "--since", "since.cursor", "--leave-out-common"),
        ("--archive", "archive.csv", "--since", "since.cursor", "--effort", "fast"),
    ],
)
def test_wrong_usage_is_said(words: tuple[str, ...]) -> None:
    done = typed("match", *words, DISRUPT_KEY="k")
    assert done.code == 2
    assert "--archive FILE together with --since FILE" in done.err

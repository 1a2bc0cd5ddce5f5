"""What benchmarks share: photographs, sets of hashes, brute force, tables, records."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest

from benchmarks.harness import figures, hash_sets, report
from rig.media import photographs
from rig.model.brute_force import brute_force


def test_a_table_has_numbers_as_pages_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    report.show([{"what": "a", "n": 1234567, "ms": 0.123456, "per_s": 1234.5, "bound": None}])
    head, _, row = capsys.readouterr().out.splitlines()[:3]
    assert head == "| what | n | ms | per_s | bound |"
    assert row == "| a | 1 234 567 | 0.123 | 1 234 |  |"


def command(failures: list[str] | None = None, value: object = 0.5) -> click.Command:
    @click.command
    @report.outputs(cannot_show="Anything.")
    @click.option("--size", default=1)
    @click.option("--folder", type=click.Path(path_type=Path))
    @click.option("--kind", "kinds", multiple=True)
    def main(**_: object) -> None:
        report.publish({"rows": [{"n": value}]}, failures=failures or (), details={"each": [1]})

    return main


def recorded(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    monkeypatch.setattr(report, "RESULTS", folder / "results")
    return folder / "results"


def test_a_record_has_every_field_and_neither_paths_nor_details(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = recorded(monkeypatch, tmp_path)
    words = ["--size", "3", "--folder", str(tmp_path), "--kind", "a b", "--kind", "c"]
    written = tmp_path / "out.json"
    outputs = ["--json", str(written), "--record"]
    command()([*words, *outputs], standalone_mode=False)
    (record,) = figures.records(results).values()
    assert tuple(record) == report.FIELDS
    assert json.loads(written.read_text()) == {**record, "details": {"each": [1]}}
    assert record["parameters"] == {"size": 3, "kinds": ["a b", "c"]}
    assert str(tmp_path) not in json.dumps(record)
    assert record["command"].endswith(
        f"test_harness --size 3 --folder {tmp_path.name} --kind 'a b' --kind c"
    )
    command()(["--record", "large"], standalone_mode=False)
    assert [path.name for path in sorted(results.iterdir())] == [
        "test_harness-large.json",
        "test_harness.json",
    ]


def test_a_run_that_fails_says_so_and_leaves_the_last_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = recorded(monkeypatch, tmp_path)
    with pytest.raises(SystemExit, match="1"):
        command(["it is broken"])(["--record"], standalone_mode=False)
    assert not results.exists()
    assert "Failed: it is broken." in capsys.readouterr().err


def test_a_figure_is_one_number_or_text(tmp_path: Path) -> None:
    words = ["--json", str(tmp_path / "out.json")]
    with pytest.raises(ValueError, match="A figure is"):
        command(value=[1, 2])(words, standalone_mode=False)
    command(value=float("nan"))(words, standalone_mode=False)
    assert json.loads((tmp_path / "out.json").read_text())["figures"] == {"rows": [{"n": None}]}


def test_marked_tables_of_a_page_are_written_from_records(tmp_path: Path) -> None:
    of = figures.records()
    page = tmp_path / "page.md"
    marked = "# A\n\n<!-- figures: {} -->\nold\n<!-- end of figures -->\n\nprose\n"
    page.write_text(marked.format("recall and promises"))
    (text,) = figures.stale(tmp_path, of).values()
    assert "old" not in text
    assert text.startswith("# A\n\n<!--")
    assert text.endswith("prose\n")
    assert "| 540 | 100 % | 94-100 % | 93 % | 100 % |  | 100 % | 100 % |" in text
    page.write_text(text)
    assert not figures.stale(tmp_path, of)
    page.write_text(marked.format("unknown"))
    with pytest.raises(KeyError):
        figures.stale(tmp_path, of)


def test_a_long_table_and_a_run_of_one_option_stay_in_the_record() -> None:
    (record,) = list(figures.records().values())[:1]
    command = "./scripts/bench a" + "".join(f" --edit e{n}" for n in range(9)) + " --trials 1"
    rows = {"short": [{"n": 123}], "long": [{"n": 456}] * 50}
    text = figures.all_records({"a": {**record, "command": command, "figures": rows}})
    assert "| 123 |" in text
    assert "| 456 |" not in text
    assert "50 rows in `benchmarks/results/a.json`" in text
    assert "--edit e0 --edit … --trials 1" in text
    assert "e1" not in text


def test_pages_have_the_figures_of_the_records() -> None:
    assert not figures.stale(), "run ./scripts/figures"


def test_brute_force_finds_what_comparing_bits_finds() -> None:
    codes = np.load(hash_sets.stored("uniform", 5000))
    asked = hash_sets.queries("uniform", codes, 40)
    asked[7] = ~codes[4999]
    distances = (np.unpackbits(asked[:, None] ^ codes[None], axis=2)).sum(axis=2)
    for most in (0, 31, 110, 256):
        assert brute_force(codes, asked, most) == [
            [(entry, int(row[entry])) for entry in np.flatnonzero(row <= most).tolist()]
            for row in distances
        ]


def test_real_hashes_are_photographs_and_blends_of_them_with_half_their_bits_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hash_sets, "MAX_REGIONS", 200)
    codes = np.concatenate(list(hash_sets.real(500, seed=1)))
    assert codes.shape == (500, 32)
    assert np.all(np.bitwise_count(codes).sum(axis=1) == 128)
    assert len(np.unique(codes, axis=0)) == 500


def test_every_tenth_query_is_planted_at_the_distance_of_its_turn() -> None:
    codes = np.load(hash_sets.stored("uniform", 2000))
    asked = hash_sets.queries("uniform", codes, 400)
    nearest = np.bitwise_count(asked[:, None] ^ codes[None]).sum(axis=-1).min(axis=1)
    assert nearest[::10].tolist() == [hash_sets.planted_bits(turn) for turn in range(40)]
    assert sorted(map(hash_sets.planted_bits, range(32))) == list(range(32))
    assert nearest.reshape(40, 10)[:, 1:].min() > 31


def test_photographs_that_every_machine_has_come_last_and_names_are_unique() -> None:
    names = [name for name, _ in photographs.photographs()]
    assert names[-6:] == ["astronaut", "chelsea", "coffee", "rocket", "china", "flower"]
    assert len(set(names)) == len(names)

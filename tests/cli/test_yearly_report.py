"""The report of a period, from a real server and from what was kept of its counts."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rig.callers.shell import Shell, typed
from rig.media.generated import picture
from rig.servers.deployment import Deployment
from rig.waiting import eventually
from tests.reports.simulated import line, year


def table(folder: Path) -> str:
    (file,) = folder.glob("*.csv")
    return file.read_text()


def test_a_server_and_its_kept_counts_make_the_same_report(
    deployment: Deployment, disrupt: Shell, tmp_path: Path
) -> None:
    key = deployment.make_key("reporter", "review")
    disrupt.registered(picture(tmp_path / "a.png", 190))
    today = datetime.now(UTC).date()
    # Over midnight, also of a new year; whole months, which doors are counted by.
    since, until = today.replace(day=1), today + timedelta(days=1)
    period = ("--since", since.isoformat(), "--until", until.isoformat())

    def is_same() -> bool:
        kept = disrupt("review", "tallies", *period, "--json", key=key)
        assert kept.code == 0
        asked = disrupt(
            "yearly-report", *period, "--language", "fr", "--output", tmp_path / "asked", key=key
        )
        assert asked.code == 3
        read = typed(
            *("yearly-report", *period, "--language", "en", "--counts", "-"),
            *("--output", tmp_path / "read"),
            stdin=kept.out,
        )
        assert read.code == 3
        return table(tmp_path / "asked") == table(tmp_path / "read")

    eventually(is_same)  # others use the server: it may count between the two
    (total,) = (
        row
        for row in csv.DictReader(io.StringIO(table(tmp_path / "asked")))
        if row["of"] == "cases_opened" and not row["by_1"]
    )
    assert int(total["most"]) > 0
    assert {file.suffix for file in (tmp_path / "read").iterdir()} == {".csv", ".html", ".pdf"}


def test_a_report_says_what_it_lacks_and_is_done_once_it_has_it(tmp_path: Path) -> None:
    counts, own = tmp_path / "counts.jsonl", tmp_path / "own.toml"
    counts.write_text("".join(f"{line(each)}\n" for each in year(1, days=3)))
    period = ("--since", "2026-01-01", "--until", "2026-01-31")
    words = ("yearly-report", *period, "--language", "fr", "--counts", counts, "--texts", own)
    own.write_text('[fr]\noperator = "x"\nintroduction = "y"\n')
    done = typed(*words, "--output", tmp_path)
    assert done.code == 3
    assert "fr.independence" in done.err
    own.write_text(own.read_text() + 'independence = "z"\n')
    done = typed(*words, "--output", tmp_path)
    assert done.code == 0
    assert "independence" not in done.err


def test_a_period_or_a_key_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    for words in (
        ("--since", "2026-01-01"),
        ("2026", "--until", "2026-02-01"),
        ("--since", "2026-01-02", "--until", "2026-01-01"),
        ("2026",),
    ):
        assert typed("yearly-report", *words, "--output", tmp_path / "new").code == 2
    assert not (tmp_path / "new").exists()


def test_a_file_that_holds_no_counts_leaves_no_report(tmp_path: Path) -> None:
    words = ("yearly-report", "2026", "--counts", "-", "--output", tmp_path / "new")
    done = typed(*words, stdin="no count")
    assert done.code == 2
    assert "line 1" in done.err
    assert not (tmp_path / "new").exists()

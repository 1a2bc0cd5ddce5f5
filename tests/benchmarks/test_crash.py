"""The crash benchmark passes, at tiny size."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from benchmarks.proofs.crash import main
from benchmarks.proofs.crash_server import crash


def test_server_that_is_killed_loses_nothing_acknowledged(tmp_path: Path) -> None:
    tally = crash(tmp_path / "data", 3, seed=3, acknowledged_per_kill=3)
    assert tally.problems == []
    assert tally.kills == 3
    assert tally.kills_of == {"writer": 2, "everything": 1}
    assert tally.acknowledged >= 9
    assert tally.least_in_flight >= 1
    assert tally.kept_in_flight + tally.dropped_in_flight >= tally.kills
    assert (tally.lost, tally.verify_failures) == (0, 0)


def test_killed_indexer_leaves_what_serves_and_no_part_of_anything_else() -> None:
    result = CliRunner().invoke(main, ["--target", "indexer", "--kills", "3", "--json", "-"])
    report = json.loads(result.stdout)
    assert (result.exit_code, report["problems"], report["disorder"]) == (0, [], [])
    assert (report["kills"], report["kills_of"]) == (3, {"rebuild": 2, "compact": 1})
    assert (report["kills_at_random"], sum(report["kills_at_calls"].values())) == (1, 2)
    assert report["loads"] > report["kills"]
    assert report["lookups"] > 21_000
    assert (report["partial_loads"], report["verify_failures"], report["wrong_lookups"]) == (
        0,
        0,
        0,
    )

"""The mutation run passes on the server as it is, and its files follow from their numbers."""

from pathlib import Path

import pytest

from benchmarks.proofs.mutate import KINDS, broken_file
from tests.benchmarks.bench import bench


@pytest.mark.usefixtures("short_tmp")
@pytest.mark.parametrize("kind", KINDS)
def test_the_server_holds_out(kind: str, tmp_path: Path) -> None:
    options = ["--count", "60", "--bomb-every", "30", "--good-every", "2"]
    done = bench("mutate", tmp_path / "report.json", "--kind", kind, *options)
    report = done.report
    assert (done.code, report["failures"]) == (0, [])
    assert sum(report["outcomes"].values()) == report["count"] == 60
    assert report["good"] >= 30
    assert report["outcomes"]["INVALID_MEDIA"] > 10
    assert 0 < report["decoder_memory"]["peak_mib"] <= report["decoder_memory"]["limit_mib"]


@pytest.mark.parametrize("name", KINDS)
def test_a_file_follows_from_its_number_and_all_kinds_occur(name: str) -> None:
    kind = KINDS[name]
    files = [broken_file(number, 1, 10**9, kind) for number in range(600)]
    assert files[7] == broken_file(7, 1, 10**9, kind)
    assert files[7] != broken_file(7, 2, 10**9, kind)
    assert {mutation for _, mutation, _ in files} == set(kind.mutations)
    assert {format_ for format_, _, _ in files} == set(kind.seeds())

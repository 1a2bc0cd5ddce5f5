"""The comparison with the reference passes, and fails on wrong bits."""

from pathlib import Path

from tests.benchmarks.bench import bench


def test_bits_are_those_of_the_reference_where_it_decides_them(tmp_path: Path) -> None:
    done = bench("reference", tmp_path / "report.json", "--photographs", "2", "--count", "60")
    assert (done.code, done.report["unexplained"], done.report["pictures"]) == (0, 0, 60)

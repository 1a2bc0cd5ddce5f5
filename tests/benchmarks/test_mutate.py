"""The mutation run passes on the server as it is, and finds each fault that it is to find."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.mutate import KINDS, SABOTAGES, broken_file

FOUND = {
    "no-memory-limit": "MiB, more than",
    "server-crash": "a process of the server died",
    "unnamed-error": "answered with INTERNAL",
    "endless-call": "answered with DEADLINE_EXCEEDED",
    "late-answer": "the good one after",
    "swallowed-crash": "decoders died of CRASH, and 0 calls were told so",
}


def mutate(tmp_path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    file = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.mutate", "--json", file, *options],
        check=False,
        timeout=110,
    )
    report: dict[str, Any] = json.loads(file.read_text())
    return done.returncode, report


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_holds_out(kind: str, tmp_path: Path) -> None:
    options = ["--count", "60", "--bomb-every", "30", "--good-every", "2"]
    code, report = mutate(tmp_path, "--kind", kind, *options)
    assert (code, report["failures"]) == (0, [])
    assert sum(report["outcomes"].values()) == report["count"] == 60
    assert report["good"] >= 30
    assert report["outcomes"]["INVALID_MEDIA"] > 10
    assert 0 < report["decoder_memory"]["peak_mib"] <= report["decoder_memory"]["limit_mib"]


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_fault_of_the_server_is_found(sabotage: str, tmp_path: Path) -> None:
    options = ["--count", "12", "--bomb-every", "100", "--good-every", "1"]
    if sabotage == "no-memory-limit":
        # file 259, a WebP of 49 megapixels, takes more than the limit
        options = ["--first", "259", "--count", "1", "--bomb-every", "20", "--good-every", "1"]
    elif sabotage == "swallowed-crash":  # a decoder's successor takes a second or two to start
        options[1] = "4"
    elif sabotage == "endless-call":
        options += ["--deadline-s", "3"]
    code, report = mutate(tmp_path, "--sabotage", sabotage, *options)
    assert code == 1
    assert report["failed"]
    assert any(FOUND[sabotage] in failure for failure in report["failures"]), report["failures"]


@pytest.mark.parametrize("sabotage", ["unnamed-error", "swallowed-crash"])
def test_a_fault_with_videos_is_found(sabotage: str, tmp_path: Path) -> None:
    options = ["--kind", "videos", "--count", "12", "--bomb-every", "100", "--good-every", "1"]
    code, report = mutate(tmp_path, "--sabotage", sabotage, *options)
    assert code == 1
    assert any(FOUND[sabotage] in failure for failure in report["failures"]), report["failures"]


@pytest.mark.parametrize("name", KINDS)
def test_a_file_follows_from_its_number_and_all_kinds_occur(name: str) -> None:
    kind = KINDS[name]
    files = [broken_file(number, 1, 10**9, kind) for number in range(600)]
    assert files[7] == broken_file(7, 1, 10**9, kind)
    assert files[7] != broken_file(7, 2, 10**9, kind)
    assert {mutation for _, mutation, _ in files} == set(kind.mutations)
    assert {format_ for format_, _, _ in files} == set(kind.seeds())

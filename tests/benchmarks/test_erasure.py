"""The check of erasure: it sees every form of a hash, and notices what is left out."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.erasure import SABOTAGE
from benchmarks.traces import traces

ROOT = Path(__file__).resolve().parents[2]
HASH = random.Random(7).randbytes(32)


def reversed_bits(value: bytes) -> bytes:
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in value)


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("raw", b"x" * 1000 + HASH + b"y"),
        ("raw", HASH[:16] + b"the end of a page" + HASH[16:20]),
        ("raw", HASH[5:16] + b"the end of a page" + HASH[16:]),
        ("bytes reversed", HASH[::-1]),
        ("bits of each byte reversed", b"1" + reversed_bits(HASH)),
        ("all bits reversed", b"1" + reversed_bits(HASH)[::-1]),
        ("hex", b'{"hash": "%s"}' % HASH.hex().encode()),
        ("HEX", HASH.hex().upper().encode()),
        *(
            (f"base64, shifted by {shift}", encode(b"\xfb" * shift + HASH + b"\xff" * after))
            for shift in range(3)
            for after in range(3)
            for encode in (base64.b64encode, base64.urlsafe_b64encode)
        ),
    ],
)
def test_every_form_of_a_hash_is_found_and_nothing_else(
    tmp_path: Path, form: str, content: bytes
) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "file").write_bytes(content)
    (tmp_path / "other").write_bytes(random.Random(8).randbytes(100_000))
    found = traces(tmp_path, HASH)
    assert list(found) == ["index/file"]
    assert form in found["index/file"]
    assert len(found["index/file"]) == 1
    assert traces(tmp_path, random.Random(9).randbytes(32)) == {}


def test_a_hash_across_two_blocks_of_a_large_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes((1 << 24) - 20) + HASH + bytes(100))
    assert traces(tmp_path, HASH) == {"large": ["raw"]}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sabotage", ["", *SABOTAGE])
def test_the_check_passes_and_fails_when_what_it_checks_is_left_out(
    tmp_path: Path, sabotage: str
) -> None:
    command = [sys.executable, "-m", "benchmarks.erasure", "--json", str(tmp_path / "out.json")]
    options = [
        "--within-s",
        "30",
        "--unattended-s",
        "8",
        *(["--sabotage", sabotage] if sabotage else []),
    ]
    done = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    result = json.loads((tmp_path / "out.json").read_text())
    failed = [one["claim"] for one in result["checks"] if not one["held"]]
    assert result["failed"] == len(failed)
    assert done.returncode == (1 if sabotage else 0), done.stderr
    assert (
        failed
        == {
            "": [],
            "erasure-skipped": ["after erasing it is in no file"],
            "journal-lost": [
                "after a restore it is in no file",
                "after a restore it matches in no worker",
            ],
            "unattended-off": ["unattended it is gone from every file in time"],
        }[sabotage]
    )

"""The erasure check sees every form of a hash, and notices what is left out."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest

from benchmarks.harness.traces import traces
from tests.benchmarks.bench import bench

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
    traced = traces(tmp_path, HASH)
    assert list(traced) == ["index/file"]
    assert form in traced["index/file"]
    assert len(traced["index/file"]) == 1
    assert traces(tmp_path, random.Random(9).randbytes(32)) == {}


def test_a_hash_across_two_blocks_of_a_large_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes((1 << 24) - 20) + HASH + bytes(100))
    assert traces(tmp_path, HASH) == {"large": ["raw"]}


@pytest.mark.usefixtures("short_tmp")
def test_the_check_passes(tmp_path: Path) -> None:
    options = ["--within-s", "120", "--unattended-s", "8"]
    done = bench("erasure", tmp_path / "out.json", *options)
    assert done.code == 0, done.output
    assert done.report["failed"] == 0
    assert done.report["checks"]
    assert all(check["held"] for check in done.report["checks"])

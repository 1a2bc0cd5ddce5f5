"""The privacy proof passes: only hashes are stored, and its search finds every form of data."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness import strace
from benchmarks.harness.windows import WINDOW_BYTES, Searched, Secret, in_all_forms
from benchmarks.proofs.privacy import privacy

needs_strace = pytest.mark.skipif(
    not strace.is_there() and not os.environ.get("CI"),
    reason="strace is not installed: scripts/system-packages",
)


@needs_strace
def test_nothing_of_a_picture_is_written_or_sent_but_its_hashes(tmp_path: Path) -> None:
    report = privacy(tmp_path, seed=1, sabotage=None)
    assert (report.unknown_files, report.leaks, report.unseen) == ([], [], [])
    assert "DATA/registry.db-wal" in report.written_files
    assert report.windows > 1_000_000


def windows(data: bytes) -> set[bytes]:
    return {data[at : at + WINDOW_BYTES] for at in range(len(data) - WINDOW_BYTES + 1)}


# Few values make runs and chance matches likely.
few = st.binary(max_size=80).map(lambda data: bytes(byte % 3 for byte in data))


@given(few, few, few, few, st.integers(1, 4))
def test_search_finds_what_comparing_all_windows_finds(
    secret: bytes, public: bytes, first: bytes, second: bytes, period: int
) -> None:
    telling = {
        window
        for window in windows(secret) - windows(public)
        if window[period:] != window[:-period]
    }
    expected = {name for name, data in (("a", first), ("b", second)) if telling & windows(data)}
    searched = Searched({"a": first, "b": second})
    assert searched.leaks(Secret("secret", secret, period, public)) == expected


@pytest.mark.parametrize("form", range(9))
def test_a_piece_of_a_secret_is_found_in_every_form(form: int) -> None:
    data, public = random.Random(1).randbytes(500), random.Random(2).randbytes(500)
    secrets = in_all_forms("x", data, public, 1)
    assert len(secrets) == 9
    piece = secrets[form].data[101 : 101 + WINDOW_BYTES]
    assert Searched({"log": b"before" + piece + b"after"}).leaks(secrets[form]) == {"log"}
    assert not Searched({"log": b"before" + piece[:-1]}).leaks(secrets[form])

"""The ordering proof passes at tiny size, and reads traces as strace writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.harness import strace
from benchmarks.harness.strace import TraceError
from benchmarks.proofs.ordering import ordering

needs_strace = pytest.mark.skipif(
    not strace.is_there() and not os.environ.get("CI"),
    reason="strace is not installed: scripts/system-packages",
)


@needs_strace
def test_everything_acknowledged_was_durable_before(tmp_path: Path) -> None:
    report = ordering(tmp_path, 10, seed=1, sabotage=None)
    assert not report.violations
    assert report.checked == report.acknowledged >= 10
    assert report.transactions >= report.checked


def read(tmp_path: Path, *lines: str) -> list[strace.Call]:
    trace = tmp_path / "trace"
    trace.write_text("".join(f"{line}\n" for line in lines))
    return strace.read(trace)


def test_trace_of_several_threads_is_read_in_the_order_of_what_began(tmp_path: Path) -> None:
    calls = read(
        tmp_path,
        r'7 pwrite64(5<\x2f\x61>, "\x41\x42", 2, 40 <unfinished ...>',
        r"8 fdatasync(6<\x2f\x62>)      = -1 EIO (Input/output error)",
        r"7 <... pwrite64 resumed>)     = 2",
        r"8 --- SIGTERM {si_signo=SIGTERM} ---",
        r'9 sendmsg(3<UNIX-STREAM:[1->2]>, {msg_iov=[{iov_base="\x43", iov_len=1}]}, 0) = 1',
        r'9 write(4<TCP:[1.2.3.4:5->6.7.8.9:10]>, "\x44", 1 <unfinished ...>',
    )
    assert [(call.name, call.began, call.ended, call.result) for call in calls] == [
        ("pwrite64", 0, 2, 2),
        ("fdatasync", 1, 1, -1),
        ("sendmsg", 4, 4, 1),
        ("write", 5, None, None),
    ]
    assert [call.target for call in calls] == [
        "/a",
        "/b",
        "UNIX-STREAM:[1->2]",
        "TCP:[1.2.3.4:5->6.7.8.9:10]",
    ]
    assert [call.data for call in calls] == [b"AB", b"", b"C", b"D"]
    assert calls[0].number(-1) == 40


@pytest.mark.parametrize(
    "line", ["nonsense", "7 pwrite64(5</a>, ", "7 <... pwrite64 resumed>) = 2"]
)
def test_trace_that_is_not_understood_proves_nothing(tmp_path: Path, line: str) -> None:
    with pytest.raises(TraceError):
        read(tmp_path, line)


def test_argument_that_was_cut_proves_nothing(tmp_path: Path) -> None:
    (call,) = read(tmp_path, r'7 write(5</a>, "\x41"..., 2) = 2')
    with pytest.raises(TraceError):
        _ = call.data

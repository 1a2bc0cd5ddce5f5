"""Prove the order of writes: nothing is acknowledged before it is durable.

The real server runs under strace while clients register and withdraw. The transactions in the
database's log are rebuilt from its system calls, page by page. The log that holds what an answer
acknowledges must be synced before the answer leaves any socket; for a withdrawal, the journal of
removals too. The database must be synced before the log that was copied to it is emptied.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rig.callers.desk import Clients, Desk
from rig.faults.sabotages import broken_by
from rig.model.write import Write
from rig.processes import strace
from rig.processes.strace import Call, TraceError
from rig.servers.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment

_WRITES = ("pwrite64", "pwritev", "pwritev2", "write", "writev")
_SENDS = ("sendmsg", "sendto", "sendmmsg", "write", "writev")
_SYNCS = ("fsync", "fdatasync")
_UNSEEN = ("copy_file_range", "sendfile", "splice", "vmsplice", "tee")
"""Calls that write, and that this check does not read: there must be none."""

_LOG_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_PAGE_BYTES = 4096
_TABLE_LEAF = 0x0D
"""First byte of a page with rows of a table (https://sqlite.org/fileformat2.html)."""


@dataclass
class Report:
    """Counts of checked events; ``violations`` count those that came too early."""

    acknowledged: int = 0
    checked: int = 0
    transactions: int = 0
    violations: Counter[str] = field(default_factory=Counter)


@dataclass(eq=False, slots=True)
class _Durable:
    """Pages written in the trace, and the place of it by which they were synced."""

    pages: list[bytes]
    synced: int | None = None

    def has(self, value: bytes) -> bool:
        return any(value in page for page in self.pages)

    def has_erased(self, item_id: bytes, fingerprint: bytes) -> bool:
        """Tell whether a row has the item's id, and its page none of its fingerprints."""
        return any(
            page[0] == _TABLE_LEAF and item_id in page and fingerprint not in page
            for page in self.pages
        )


class _Files:
    """Follow the registry's files through a trace."""

    def __init__(self) -> None:
        self.transactions: list[_Durable] = []
        self.removals: list[_Durable] = []
        self.violations: Counter[str] = Counter()
        self._frame = b""
        self._pages: list[bytes] = []
        self._database_is_dirty = False
        self._syncing: dict[int, tuple[list[_Durable], bool]] = {}

    def begin(self, call: Call) -> None:
        """Note that a call began; a sync covers what was written by then."""
        if call.name in _SYNCS:
            written = self.removals if _is_journal(call) else self.transactions
            open_ones = [durable for durable in written if durable.synced is None]
            self._syncing[call.thread] = (open_ones, self._database_is_dirty)
        elif call.name == "ftruncate" and _is_log(call):
            self._empty()

    def end(self, call: Call, at: int) -> None:
        """Note that a call ended."""
        if call.name in _SYNCS:
            written, was_dirty = self._syncing.pop(call.thread)
            if call.result != 0:
                return
            if _is_log(call) or _is_journal(call):
                for durable in written:
                    durable.synced = at
            elif _is_database(call) and was_dirty:
                self._database_is_dirty = False
        elif call.name in _WRITES:
            if _is_log(call):
                self._write_log(call)
            elif _is_journal(call):
                self.removals.append(_Durable([call.data]))
            elif _is_database(call):
                self._database_is_dirty = True

    def _write_log(self, call: Call) -> None:
        data, offset = call.data, call.number(-1)
        if call.name != "pwrite64" or call.result != len(data):
            raise TraceError(f"the log was written by {call.name} = {call.result}")
        in_frame = (offset - _LOG_HEADER_BYTES) % (_FRAME_HEADER_BYTES + _PAGE_BYTES)
        if offset == 0 and len(data) == _LOG_HEADER_BYTES:
            self._empty()
        elif in_frame == 0 and len(data) == _FRAME_HEADER_BYTES:
            if offset == _LOG_HEADER_BYTES:
                self._empty()
            self._frame = data
        elif in_frame == _FRAME_HEADER_BYTES and len(data) == _PAGE_BYTES and self._frame:
            self._pages.append(data)
            if any(self._frame[4:8]):  # size of the database: the last frame of a transaction
                self.transactions.append(_Durable(self._pages))
                self._pages = []
            self._frame = b""
        else:
            raise TraceError(f"{len(data)} bytes at {offset} are no part of a log")

    def _empty(self) -> None:
        if self._database_is_dirty:
            self.violations["the log was emptied before the database was synced"] += 1


def _is_log(call: Call) -> bool:
    return call.target.endswith("/registry.db-wal")


def _is_database(call: Call) -> bool:
    return call.target.endswith("/registry.db")


def _is_journal(call: Call) -> bool:
    return call.target.endswith("/removals.journal")


def check(calls: list[Call], writes: list[Write]) -> Report:
    """Check acknowledged writes against the trace."""
    files, sent = _Files(), list[tuple[int, bytes]]()
    for at, call, begins in _in_order(calls):
        if call.name in _UNSEEN:
            raise TraceError(f"the server used {call.name}")
        if begins:
            files.begin(call)
            if call.name in _SENDS and ":[" in call.target:
                sent.append((at, call.data))
        else:
            files.end(call, at)
    report = Report(
        acknowledged=sum(write.acknowledged for write in writes),
        transactions=len(files.transactions),
        violations=files.violations,
    )
    for write in writes:
        if write.receipt is not None:
            needed = [_first(files.transactions, item_id) for item_id in write.item_ids]
            _check_one(report, sent, "registration", write.receipt.cursor, needed)
        if write.withdrawal is not None:
            needed = [_first(files.removals, item_id) for item_id in write.item_ids] + [
                _first_without(files.transactions, item_id, blob[1:33])
                for item_id, blob in zip(write.item_ids, write.blobs, strict=True)
            ]
            _check_one(report, sent, "withdrawal", write.withdrawal.cursor, needed)
    if report.checked != report.acknowledged or not report.checked:
        report.violations["not every acknowledgement was seen to leave"] += 1
    return report


def _check_one(
    report: Report,
    sent: list[tuple[int, bytes]],
    what: str,
    cursor: str,
    needed: list[_Durable | None],
) -> None:
    """Check one answer, which is identified by its cursor: no other write has it."""
    left = next((at for at, data in sent if cursor.encode() in data), None)
    if left is None:
        return
    report.checked += 1
    if any(
        durable is None or durable.synced is None or durable.synced >= left for durable in needed
    ):
        report.violations[f"a {what} was acknowledged before it was durable"] += 1


def _first(written: list[_Durable], value: bytes) -> _Durable | None:
    return next((durable for durable in written if durable.has(value)), None)


def _first_without(written: list[_Durable], item_id: bytes, fingerprint: bytes) -> _Durable | None:
    return next((durable for durable in written if durable.has_erased(item_id, fingerprint)), None)


def _in_order(calls: list[Call]) -> Iterator[tuple[int, Call, bool]]:
    """Yield beginnings (True) and ends of calls, in the order of the trace."""
    moments = [(call.began, 0, call) for call in calls]
    moments += [(call.ended, 1, call) for call in calls if call.ended is not None]
    for at, order, call in sorted(moments, key=lambda moment: moment[:2]):
        yield at, call, order == 0


def ordering(work: Path, acknowledgements: int, *, sabotage: str | None = None) -> Report:
    """Run a server in ``work`` until it has acknowledged so many writes; check its trace."""
    trace = work / "trace"
    names = dict.fromkeys((*_WRITES, *_SENDS, *_SYNCS, "ftruncate", *_UNSEEN))
    wrapper = (*WITH_BYTECODE, *strace.tracing(trace, *names), *broken_by(sabotage))
    with Deployment.start(
        work / "data", workers=1, settings=FEW_DECODERS, wrapper=wrapper
    ) as server:
        with Desk(server.address, server.make_key("helpline", "register")).open() as desk:
            clients = Clients(desk, random.Random(1), threads=4)
            give_up_s = time.monotonic() + 600
            while clients.acknowledged < acknowledgements and time.monotonic() < give_up_s:
                time.sleep(0.02)
            clients.end()
        with strace.written_out(server.process.pid):
            server.stop()
    report = check(strace.read(trace), clients.writes)
    report.violations.update(f"a call failed: {reason}" for reason in clients.failures)
    return report


@pytest.mark.usefixtures("needs_strace")
def test_everything_acknowledged_was_durable_before(
    tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    report = ordering(tmp_path, 200 if whole else 10)
    assert not report.violations
    assert report.checked == report.acknowledged >= 10
    assert report.transactions >= report.checked
    figures(
        f"{report.checked} of {report.acknowledged} acknowledgements were durable before they left"
        f" ({report.transactions} transactions)"
    )


@pytest.mark.usefixtures("needs_strace")
def test_a_database_that_is_never_synced_is_found(tmp_path: Path) -> None:
    report = ordering(tmp_path, 4, sabotage="synchronous-off")
    assert report.violations["a registration was acknowledged before it was durable"] > 0


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

"""Prove the order of writes: nothing is acknowledged before it is durable.

The real server runs under strace while clients register and withdraw. The transactions in the
database's log are rebuilt from its system calls, page by page. The log that holds what an answer
acknowledges must be synced before the answer leaves any socket; for a withdrawal, the journal of
removals too. The database must be synced before the log that was copied to it is emptied. Exit
code 0 if that held for every answer that the clients got.

    ./scripts/bench ordering --json -
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import click

from benchmarks.harness import strace
from benchmarks.harness.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment
from benchmarks.harness.strace import Call, TraceError
from benchmarks.harness.writes import Clients, Desk, Write
from benchmarks.sabotages import broken_by

SABOTAGES = ("synchronous-off", "early-acknowledgement")

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
    """Counts of checked events; ``violations`` count those that came too early.

    Use ``vars`` for JSON; ``asdict`` would miscount the ``Counter``.
    """

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


def ordering(work: Path, acknowledgements: int, *, seed: int, sabotage: str | None) -> Report:
    """Run a server in ``work`` until it has acknowledged so many writes; check its trace."""
    trace = work / "trace"
    names = dict.fromkeys((*_WRITES, *_SENDS, *_SYNCS, "ftruncate", *_UNSEEN))
    wrapper = (*WITH_BYTECODE, *strace.tracing(trace, *names), *broken_by(sabotage))
    server = Deployment.start(work / "data", workers=1, settings=FEW_DECODERS, wrapper=wrapper)
    try:
        with Desk(server.address, server.make_key("helpline", "register")).open() as desk:
            clients = Clients(desk, random.Random(seed), threads=4)
            give_up_s = time.monotonic() + 60
            while clients.acknowledged < acknowledgements and time.monotonic() < give_up_s:
                time.sleep(0.02)
            clients.end()
        with strace.written_out(server.process.pid):
            server.stop()
    finally:
        with suppress(ProcessLookupError):
            server.kill()
    report = check(strace.read(trace), clients.writes)
    report.violations.update(f"a call failed: {reason}" for reason in clients.failures)
    return report


@click.command(help=__doc__)
@click.option(
    "--json", "json_path", required=True, help="File for the report, - for standard output."
)
@click.option("--acknowledgements", default=200, show_default=True, help="How many to check.")
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Break the server: must be found.")
@click.option("--seed", default=1, show_default=True)
def main(json_path: str, acknowledgements: int, sabotage: str | None, seed: int) -> None:
    """Check, write the report; exit with 1 where the order was broken."""
    if not strace.is_there():
        raise click.ClickException("strace is needed: run scripts/system-packages.")
    with tempfile.TemporaryDirectory(prefix="disrupt-ordering-") as work:
        report = ordering(Path(work), acknowledgements, seed=seed, sabotage=sabotage)
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps({"sabotage": sabotage} | vars(report), indent=2) + "\n")
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()

"""Find out which withdrawals are erased from every file, of this machine and of others."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass

from grpc import aio

from disrupt.admin.v1 import removals_pb2_grpc
from disrupt.audit import entries
from disrupt.core.mirrors import MirrorStatus
from disrupt.data_directory import DataDirectory, write_private
from disrupt.errors import DisruptError
from disrupt.registry.registry import RegistryWriter
from disrupt.server.config import Config
from disrupt.server.edge import internal
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.today import today
from disrupt.services import mirrors
from disrupt.upkeep import erasure
from disrupt.wire import removals as wire

_ANSWER_WITHIN_S = 20.0
_LEAVES_AT_ONCE = 1000
_MARKS_MAX = 200


@dataclass(frozen=True, slots=True)
class Mark:
    """A state of the log: leaves before ``before`` tell of removals up to a sequence.

    ``at_s`` is when that was, in seconds since 1970, or later.
    """

    before: int
    sequence: int
    at_s: float


class Clearing:
    """Notes in the log up to where all is erased that leaves tell of. Marks are kept in a file."""

    def __init__(
        self,
        config: Config,
        registry: RegistryWriter,
        directory: DataDirectory,
        pool: Pool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._registry = registry
        self._index_dir = directory.index
        self._path = directory.audit / "clearing"
        self._pool = pool
        self._clock = clock

    async def step(self) -> None:
        """Mark the present, and note the newest mark before which all is erased. DisruptError."""
        epoch, marks = await self._pool.run(self._marked)
        erased = await asyncio.gather(*(self._erased_by(node) for node in self._config.nodes))
        await self._pool.run(self._clear, epoch, marks, erased)

    def _marked(self) -> tuple[bytes, list[Mark]]:
        """Return the epoch and the marks, the present among them if removals were since the last.

        The first was noted before; the others wait.
        """
        marks, epoch = self._read()
        newest = self._registry.newest_leaf()
        head = self._registry.head()
        if epoch != head.epoch:
            marks = [Mark(0, 0, 0.0)]
        if newest and self._has_removals(marks[-1].before):
            reports = (report.reported_s for report in self._registry.mirror_reports())
            # a clock that was set back must not let an older report pass for a newer one
            at_s = max(self._clock(), marks[-1].at_s, *reports, 0.0)
            marks = [
                marks[0],
                *marks[1:][-_MARKS_MAX:],
                Mark(newest.number + 1, head.sequence, at_s),
            ]
        self._write(head.epoch, marks)
        return head.epoch, marks

    def _has_removals(self, first: int) -> bool:
        while leaves := self._registry.leaves(first, _LEAVES_AT_ONCE):
            if any(leaf.content.get("kind") in entries.REMOVALS for leaf in leaves):
                return True
            first = leaves[-1].number + 1
        return False

    async def _erased_by(self, node: str) -> tuple[bytes, int] | None:
        """Return what another machine has erased; None where it does not say."""
        async with internal.channel(node, internal.MATCH, self._config) as channel:
            stub = removals_pb2_grpc.RemovalsServiceStub(channel)
            try:
                answer = await stub.GetErased(wire.erased_request(), timeout=_ANSWER_WITHIN_S)
            except (aio.AioRpcError, DisruptError):
                return None
        return answer.epoch, answer.sequence

    def _clear(
        self, epoch: bytes, marks: list[Mark], erased: Iterable[tuple[bytes, int] | None]
    ) -> None:
        own = erasure.clean_up_to(self._registry, self._index_dir)
        machines = [own, *erased]
        if any(machine is None or machine[0] != epoch for machine in machines):
            return
        sequence = min(machine[1] for machine in machines if machine)
        now_s = self._clock()
        # a worker that is further behind serves no more
        least_s = max(self._config.stale_closes_s, self._registry.erased_within_s())
        keys, reports = self._registry.keys(), self._registry.mirror_reports()
        statuses = mirrors.statuses(keys, reports, day=today(), now_s=int(now_s))
        for place in range(len(marks) - 1, 0, -1):
            mark = marks[place]
            if mark.sequence > sequence or now_s - mark.at_s <= least_s:
                continue
            late, silent = _without(statuses, mark.at_s)
            if not late:
                of_mirrors = {"mirrors": len(statuses) - silent, "silent": silent}
                self._registry.note_cleared(mark.before, today(), **of_mirrors)
                self._write(epoch, marks[place:])
                return

    def _read(self) -> tuple[list[Mark], bytes]:
        try:
            content = json.loads(self._path.read_text(encoding="ascii"))
            return [Mark(*values) for values in content["marks"]], bytes.fromhex(content["epoch"])
        except (OSError, ValueError, TypeError, KeyError):  # begin anew: it takes a little longer
            return [], b""

    def _write(self, epoch: bytes, marks: list[Mark]) -> None:
        content = {"epoch": epoch.hex(), "marks": [astuple(mark) for mark in marks]}
        write_private(self._path, json.dumps(content))


def _without(statuses: Iterable[MirrorStatus], at_s: float) -> tuple[int, int]:
    """Count the mirrors whose files may hold what was withdrawn before a time.

    The first number is of those that report and will say when they do not; the second of those of
    which nobody will know: they never report, or their key has ended.
    """
    late = silent = 0
    for status in statuses:
        if status.report is None or (status.has_ended and status.report.clean_s < at_s):
            silent += 1
        elif status.report.clean_s < at_s:
            late += 1
    return late, silent

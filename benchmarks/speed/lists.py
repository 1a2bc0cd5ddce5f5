"""Measure how fast a partners' list is read, in processor time of reader and writer together."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from benchmarks.harness import report
from disrupt import logs
from disrupt.admin.v1 import admin_pb2
from disrupt.core.policy import BankPolicy
from disrupt.operators.lists import run_list
from disrupt.registry import sqlite
from disrupt.registry.walk import matched_items
from disrupt.server.desk import Desk
from disrupt.services.common_bank import CommonBank
from disrupt.wire import banks as wire_banks

_PROMISED_S_PER_MILLION = 200
_NAME = "partner"
_WITHDRAWN = 10
"""Part of the entries, one of so many, that the second reading withdraws."""


@dataclass(frozen=True)
class TimedDesk(Desk):
    """Keeps how long each part took, for which a registration waits at most."""

    parts_s: list[float] = field(default_factory=list)

    def ApplyList(self, request: admin_pb2.ApplyListRequest) -> admin_pb2.ApplyListResponse:  # noqa: N802
        """Apply a part of a list."""
        began_s = time.monotonic()
        answer = super().ApplyList(request)
        self.parts_s.append(time.monotonic() - began_s)
        return answer


def write(path: Path, hashes: np.ndarray) -> None:
    """Write a list of hashes, uint8 (n, 32), as JSON Lines."""
    with path.open("w") as lines:
        for at, each in enumerate(hashes):
            lines.write(json.dumps({"hash": each.tobytes().hex(), "id": str(at)}) + "\n")


def measure(work: Path, entries: int) -> list[dict[str, object]]:
    """Read a list for the first time, again as it is, and with a part withdrawn."""
    hashes = np.random.default_rng(1).integers(0, 256, (entries, 32), np.uint8)
    path = work / "list.jsonl"
    rows = list[dict[str, object]]()
    with sqlite.open_writer(work / "registry.db") as registry:
        desk = TimedDesk(registry, CommonBank(registry))
        source = json.dumps({"kind": "file", "path": str(path)})
        policy = wire_banks.create_request(_NAME, BankPolicy()).policy
        desk.AddList(admin_pb2.AddListRequest(name=_NAME, source=source, policy=policy))
        for reading, listed in (
            ("first", hashes),
            ("unchanged", hashes),
            ("a tenth withdrawn", hashes[entries // _WITHDRAWN :]),
        ):
            write(path, listed)
            desk.parts_s.clear()
            kept = desk.ListLists(admin_pb2.ListListsRequest()).lists[0]
            began_s, began = time.process_time(), time.monotonic()
            is_read = run_list(desk, kept, _no_call, now_s=int(time.time()))
            took_s, took = time.process_time() - began_s, time.monotonic() - began
            living = {
                each.tobytes()
                for items in matched_items(registry, 0, registry.head())
                for each in items.fingerprints["hash"]
            }
            right = is_read and living == {each.tobytes() for each in listed}
            rows.append(
                {
                    "reading": reading,
                    "entries": len(listed),
                    "processor_s_per_million": 1e6 * took_s / entries,
                    "s_per_million": 1e6 * took / entries,
                    "longest_part_ms": 1000 * max(desk.parts_s),
                    "right": right,
                }
            )
    return rows


def _no_call(*_: object) -> bytes:
    raise AssertionError("a list in a file asks nobody")


@click.command(help=__doc__)
@click.option("--entries", default=100_000, show_default=True)
@report.outputs(cannot_show="The socket between the command and the writer, and sources far away.")
def main(*, entries: int) -> None:
    """Measure, print, write; exit with 1 if the registry has anything else than the list."""
    logs.configure("lists", "warning")
    with tempfile.TemporaryDirectory(prefix="disrupt-lists-") as work:
        rows = measure(Path(work), entries)
    report.show(rows)
    failures = [f"{row['reading']}: not as listed" for row in rows if not row["right"]]
    if max(float(str(row["processor_s_per_million"])) for row in rows) > _PROMISED_S_PER_MILLION:
        failures.append(f"over {_PROMISED_S_PER_MILLION} s of processor time a million")
    report.publish({"readings": rows}, failures=failures)


if __name__ == "__main__":
    main()

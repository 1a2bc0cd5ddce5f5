"""Measure how fast a mirror catches up, on one core of either side."""

from __future__ import annotations

import asyncio
import random
import secrets
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np

from benchmarks.harness import report
from disrupt import logs
from disrupt.core.cases import case_number
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, Profile
from disrupt.core.policy import ADULTS, ApiKey, Right
from disrupt.data_directory import DataDirectory
from disrupt.feed.mirror import Mirror, check_role, now
from disrupt.registry import sqlite
from disrupt.registry.records import NewCase, NewItem, Registration
from disrupt.registry.registry import RegistryWriter
from disrupt.registry.walk import matched_items
from disrupt.server.config import Config
from disrupt.server.edge.interceptors import caller
from disrupt.server.worker.feed import FeedServicer
from disrupt.services.cursors import SealedCursors
from disrupt.v1 import feed_pb2
from disrupt.wire import feed as wire

_AT_ONCE = 64
_DAY = "2026-11-24"
_LEAST_PER_S = 20_000
_PAGES = 3
"""Pages that are applied together, about what a mirror does."""

_ANY: Any = None
_KEY = ApiKey("k", "m", "o", bytes(32), frozenset([Right.FEED]), frozenset([ADULTS.number]), _DAY)


def fill(registry: RegistryWriter, items: int, hashes: int) -> None:
    """Register items of random hashes, each of a version of its own, as a picture has them."""
    chance = np.random.default_rng(1)
    for at in range(0, items, _AT_ONCE):
        some = []
        for _ in range(min(_AT_ONCE, items - at)):
            fingerprints = np.zeros(hashes, FINGERPRINT)
            fingerprints["hash"] = chance.integers(0, 256, (hashes, 32), np.uint8)
            fingerprints["quality"], fingerprints["profile"] = 100, Profile.PDQ_512
            fingerprints["plan"], fingerprints["ordinal"] = 1, np.arange(hashes)
            some.append(NewItem(secrets.token_bytes(16), MediaKind.IMAGE, fingerprints))
        request = Registration(
            secrets.token_bytes(16),
            secrets.token_bytes(32),
            NewCase(case_number(random.getrandbits(40)), "pin"),
            ADULTS.number,
            Assurance.SELF_REPORTED,
            tuple(some),
        )
        registry.register(request, day=_DAY)


def measure(work: Path, items: int, hashes: int) -> list[dict[str, float]]:
    """Catch up with a registry of so many items; return processor times of both sides."""
    with ExitStack() as stack:
        registries = []
        for name in "hotline", "mirror":
            (work / name).mkdir()
            path = DataDirectory(work / name).registry
            registries.append(stack.enter_context(sqlite.open_writer(path)))
        hotline, copied = registries
        fill(hotline, items, hashes)
        check_role(copied, mirrors=True)
        state: Any = SimpleNamespace(
            ring=SimpleNamespace(bank_names={ADULTS.number: ADULTS.name}, banks=(ADULTS,))
        )
        cursors = SealedCursors(secrets.token_bytes(32))
        servicer = FeedServicer(Config(data_dir=work), hotline, state, _ANY, cursors)
        caller.set(_KEY)
        mirror = Mirror(copied, work / "mirror" / "index")
        made_s = applied_s = 0.0
        page = None
        while page is None or not page.caught_up:
            began_s, sent = time.process_time(), list[bytes]()
            cursor = mirror.cursor
            while len(sent) < _PAGES:
                request = feed_pb2.ListChangesRequest(cursor=cursor, page_size=1000)
                response = asyncio.run(servicer.ListChanges(request, _ANY))
                sent.append(response.SerializeToString())
                cursor = response.next_cursor
                if response.caught_up:
                    break
            half_s = time.process_time()
            read = [wire.read_page(feed_pb2.ListChangesResponse.FromString(each)) for each in sent]
            page = read[0]
            for later in read[1:]:
                page = page.joined(later)
            mirror.apply(page, now())
            made_s += half_s - began_s
            applied_s += time.process_time() - half_s
        total = items * hashes
        return [
            {
                "items": items,
                "hashes_per_item": hashes,
                "hotline_hashes_per_s": total / made_s,
                "mirror_hashes_per_s": total / applied_s,
                "missing": total - _hashes(copied),
            }
        ]


def _hashes(registry: RegistryWriter) -> int:
    return sum(len(some.fingerprints) for some in matched_items(registry, 0, registry.head()))


@click.command(help=__doc__)
@click.option("--items", default=2000, show_default=True)
@click.option("--hashes-per-item", default=300, show_default=True, help="A picture has so many.")
@report.outputs(cannot_show="The network between them, and workers that follow the mirror.")
def main(*, items: int, hashes_per_item: int) -> None:
    """Measure, print, write; exit with 1 if the mirror is slower than it has to be."""
    logs.configure("mirror", "warning")
    with tempfile.TemporaryDirectory(prefix="disrupt-mirror-") as work:
        rows = measure(Path(work), items, hashes_per_item)
    report.show(rows)
    rates = [row[name] for row in rows for name in ("hotline_hashes_per_s", "mirror_hashes_per_s")]
    failures = ["the mirror has not all"] * any(row["missing"] for row in rows)
    if min(rates) < _LEAST_PER_S:
        failures.append(f"under {_LEAST_PER_S} hashes a second")
    report.publish({"catch_up": rows}, failures=failures)


if __name__ == "__main__":
    main()

"""Parsers of lists refuse whatever is malformed, and a file is the whole list."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.admin.v1 import admin_pb2
from disrupt.core.changes import Addition
from disrupt.lists.pages import ListReadError
from disrupt.lists.running import READERS
from disrupt.operators.lists import run_list
from disrupt.registry import sqlite
from disrupt.server.desk import Desk
from disrupt.services.common_bank import CommonBank
from rig.media.registrations import all_changes
from rig.model.list_machine import pdq
from rig.model.list_source import ListSource

SOURCE = {"url": "https://example.org", "group": "1"}
SECRETS = dict.fromkeys(("subscription_key", "fetch_key", "user", "password", "access_token"), "x")
TE = (
    b'{"data": [{"id": "1", "type": "HASH_PDQ", "last_updated": 1500000001,'
    b' "should_delete": true}]}'
)


@pytest.mark.parametrize("kind", ["stopncii", "ncmec", "threatexchange"])
@given(body=st.binary(max_size=200), seed=st.integers(0, 99), cut=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_pages_or_refused(kind: str, body: bytes, seed: int, cut: int) -> None:
    """Bytes at random, and pages with random bytes in their midst."""
    source = ListSource("ncmec" if kind == "ncmec" else "stopncii", random.Random(seed))
    source.change("ab" * 32, "ab" * 32)

    def ask(*asked: object) -> bytes:
        if cut % 2:
            return body
        page = TE if kind == "threatexchange" else source.ask(*asked)  # type: ignore[arg-type]
        at = cut % len(page)
        return page[:at] + body + page[at:]

    with suppress(ListReadError):  # any other error fails
        for page in READERS[kind].pages(SOURCE, SECRETS, ask, "1500000000", 1_500_000_100):
            assert all(entry.source_id for entry in page.entries)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "txt"])
@given(body=st.binary(max_size=300))
@settings(max_examples=40, deadline=None)
def test_any_file_is_pages_or_refused(suffix: str, body: bytes) -> None:
    with TemporaryDirectory() as directory, suppress(ListReadError):
        path = Path(directory, f"list.{suffix}")
        path.write_bytes(body)
        for page in READERS["file"].pages({"path": str(path)}, {}, bytes, "", 1_500_000_000):
            assert all(entry.source_id for entry in page.entries)


def test_a_file_is_the_whole_list(tmp_path: Path) -> None:
    """What it has no more is withdrawn; a file cut short is refused until that is accepted."""
    path = tmp_path / "list.csv"
    with sqlite.open_writer(tmp_path / "registry.db") as registry:
        desk = Desk(registry, CommonBank(registry))
        source = json.dumps({"kind": "file", "path": str(path)})
        desk.AddList(admin_pb2.AddListRequest(name="partner", source=source))

        def read(count: int, now_s: int, *, may_shrink: bool = False) -> bool:
            rows = "".join(f"{pdq(seed)}\n" for seed in range(count))
            path.write_text(f"hash\n{rows}{'0' * 63}\n")
            options = {"now_s": now_s, "may_shrink": may_shrink}
            return run_list(desk, lists()[0], bytes, **options)  # type: ignore[arg-type]

        def lists() -> list[admin_pb2.List]:
            return list(desk.ListLists(admin_pb2.ListListsRequest()).lists)

        assert read(1200, 100)
        assert lists()[0].entries == 1200
        assert [(row.reason, row.entries) for row in lists()[0].skipped] == [("malformed", 1)]
        assert not read(500, 100)
        assert lists()[0].failure == "shrunk"
        assert lists()[0].entries == 1200
        assert read(500, 100, may_shrink=True)
        assert lists()[0].entries == 500
        while not desk.RemoveList(admin_pb2.RemoveListRequest(name="partner")).is_done:
            pass
        assert not lists()
        added = {
            change.item.item_id for change in all_changes(registry) if isinstance(change, Addition)
        }
        assert not registry.living(added)

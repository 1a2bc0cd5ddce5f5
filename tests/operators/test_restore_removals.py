"""A registry that was restored to an earlier time loses again what machines list as removed."""

from __future__ import annotations

import asyncio
import json
import random
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from disrupt.admin.v1 import removals_pb2
from disrupt.admin.v1.removals_pb2_grpc import (
    RemovalsServiceStub,
)
from disrupt.audit import entries
from disrupt.core.policy import MINORS
from disrupt.data_directory import JOURNAL, DataDirectory
from disrupt.feed.node import Node
from disrupt.feed.removals import RemovalList
from disrupt.index.generations import create_first
from disrupt.operators import removals
from disrupt.registry import journal, opening, sqlite
from disrupt.registry.records import Removed
from disrupt.registry.registry import RegistryReader
from disrupt.server.config import Config
from disrupt.server.edge import internal
from disrupt.server.edge.handlers import add_service, by_name
from disrupt.server.edge.interceptors import Errors
from disrupt.server.edge.methods import message_limit
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.receiving import Receiver
from disrupt.server.node.removals import SERVICE, RemovalsServicer
from disrupt.server.writer.clearing import Clearing
from disrupt.upkeep.erasure import erase
from disrupt.upkeep.rebuild import rebuild
from rig.callers.caller import TIMEOUT_S, outcome
from rig.callers.shell import Done, run
from rig.media.registrations import ACT, DAY, api_key, item_of, new_item, registration
from rig.servers.authority import Authority

_KEY = "a2345678"
_SILENT = "127.0.0.1:1"


class Site:
    """A machine that writes and one that follows it, ``port`` being the latter's."""

    def __init__(self, folder: Path, port: int) -> None:
        self.chance = random.Random(5)
        self.port = port
        self.authority = Authority(folder / "machines")
        self.authority.certify("writer-1", "writer")
        self.authority.certify("node-1", "match")
        self.data, self.node = DataDirectory(folder / "data"), DataDirectory(folder / "node")
        for directory in (self.data, self.node):
            directory.make()
        self.data.secrets()
        self.config = folder / "data.toml"
        self.config.write_text(
            f'nodes = ["127.0.0.1:{port}", "{_SILENT}"]\n'
            + self.authority.settings("writer-1", "127.0.0.1:1")
        )

    def follow(self) -> None:
        with sqlite.open_reader(self.data.registry) as reader:
            Node(reader, self.node, RemovalList(self.node.journal)).step()

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Answer as the machine that follows does."""
        settings = {
            f"internal_{name}": value
            for name, value in {
                "listen": f"127.0.0.1:{self.port}",
                "cert": self.authority.directory / "node-1.pem",
                "key": self.authority.directory / "node-1-key.pem",
                "ca": self.authority.directory / "ca.pem",
            }.items()
        }
        config = Config.load(None, data_dir=self.node.path, **settings)
        errors = Errors(Receiver(partial(message_limit, config=config)), 30, 30)
        first = internal.InternalCalls(internal.WRITER, (f"/{SERVICE.full_name}/",))
        server = aio.server(interceptors=[first, errors], options=internal.options(config))
        with sqlite.open_reader(self.data.registry) as reader:
            removals = RemovalList(self.node.journal)
            servicer = RemovalsServicer(removals, reader, self.node.index)
            add_service(server, SERVICE, by_name(servicer))
            internal.listen(server, config)
            await server.start()
            try:
                yield
            finally:
                await server.stop(0)

    def restore(self) -> dict[str, Any]:
        """Run the command beside the machine that answers; return what it reports.

        As the other is silent, it does not succeed whole.
        """

        async def beside() -> Done:
            async with self.answering():
                return await asyncio.to_thread(self.command, "--json")

        done = asyncio.run(beside())
        assert done.code == 3
        report: dict[str, Any] = json.loads(done.out)
        return report

    def command(self, *options: str) -> Done:
        where = ("--data-dir", self.data.path, "--config", self.config)
        return run("restore", "--removals", *where, *options)

    def to_an_earlier_time(self, act: Callable[[], None]) -> None:
        """Do something, let it be followed, and put back the registry of before, alone."""
        copied = self.data.path.with_name("copy.db")
        shutil.copy(self.data.registry, copied)
        act()
        self.follow()
        for path in self.data.path.glob("re*"):
            path.unlink()
        shutil.copy(copied, self.data.registry)


@pytest.fixture
def site(tmp_path: Path, free_port: int) -> Site:
    return Site(tmp_path, free_port)


def living(reader: RegistryReader, *item_ids: bytes) -> list[bool]:
    alive = reader.living(item_ids)
    return [item_id in alive for item_id in item_ids]


def test_what_was_removed_since_is_removed_again_from_a_list_alone(site: Site) -> None:
    kept, gone = new_item(site.chance), new_item(site.chance)
    old, new = item_of(site.chance, 1), item_of(site.chance, 1)
    with sqlite.open_writer(site.data.registry) as writer:
        case = writer.register(registration(site.chance, None, kept, gone, old), day=DAY)
        writer.add_key(api_key(_KEY), act=ACT)
        before = writer.head()
    site.follow()

    def remove() -> None:
        with sqlite.open_writer(site.data.registry) as writer:
            writer.withdraw(case.case_number, [gone.item_id], day=DAY)
            again = registration(site.chance, case.case_number, new, bank=MINORS.number)
            writer.register(again, day=DAY)
            writer.revoke_key(_KEY, day=DAY, act=ACT)

    site.to_an_earlier_time(remove)
    done = site.restore()
    assert done["answered"] == [f"127.0.0.1:{site.port}"]
    assert [*done["silent"]] == [_SILENT]
    assert (done["renewals_undone"], done["renewed_missing"]) == (1, 0)
    with sqlite.open_reader(site.data.registry) as reader:
        assert living(reader, kept.item_id, gone.item_id, old.item_id) == [True, False, True]
        (key,) = reader.keys()
        assert key.revoked_on
        assert not reader.knows(before)
        assert reader.lacks() is None
    site.follow()


def test_of_a_damaged_journal_the_rest_is_used_and_the_damage_told(site: Site) -> None:
    lost, gone = new_item(site.chance), new_item(site.chance)
    with sqlite.open_writer(site.data.registry) as writer:
        writer.register(registration(site.chance, None, lost, gone), day=DAY)
    records = [Removed(1, lost.item_id), Removed(2, gone.item_id)]
    journal.write(site.data.journal, records)
    content = bytearray(site.data.journal.read_bytes())
    content[len(content) // 2] ^= 1
    site.data.journal.write_bytes(content)
    assert JOURNAL in site.restore()["silent"]
    with sqlite.open_reader(site.data.registry) as reader:
        assert living(reader, lost.item_id, gone.item_id) == [True, False]


def test_without_any_list_nothing_is_changed(site: Site) -> None:
    with sqlite.open_writer(site.data.registry):
        pass
    site.to_an_earlier_time(lambda: None)
    content = site.data.registry.read_bytes()
    done = site.command()
    assert done.code == 1
    assert re.search(f"No machine has answered.*{_SILENT}: UNAVAIL", done.err)
    assert site.data.registry.read_bytes() == content


def test_where_no_nodes_are_named_it_is_done_and_said_that_others_may_know_more(
    site: Site,
) -> None:
    gone = new_item(site.chance)
    with sqlite.open_writer(site.data.registry) as writer:
        writer.register(registration(site.chance, None, gone), day=DAY)
    journal.write(site.data.journal, [Removed(1, gone.item_id)])
    site.config.write_text("")
    done = site.command()
    assert (done.code, "name no `nodes`" in done.out) == (3, True)
    with sqlite.open_reader(site.data.registry) as reader:
        assert living(reader, gone.item_id) == [False]


def test_where_every_list_was_read_it_succeeds() -> None:
    read = removals.Restored(("node",), {}, 1, 0, 0)
    assert read.complete
    assert "None of the 1 known removals" in removals.text(read)


def test_the_list_is_shown_to_writers_only(site: Site) -> None:
    with opening.writing(site.data):
        pass  # makes it

    async def ask(name: str) -> grpc.StatusCode:
        request = removals_pb2.ReadRemovalsRequest()
        async with site.answering():
            with site.authority.channel(site.port, name, "match") as channel:
                call = RemovalsServiceStub(channel).ReadRemovals
                return await asyncio.to_thread(
                    outcome, lambda: list(call(request, timeout=TIMEOUT_S))
                )

    assert asyncio.run(ask("writer-1")) is grpc.StatusCode.OK
    assert asyncio.run(ask("node-1")) is grpc.StatusCode.PERMISSION_DENIED


def test_a_writer_asks_a_machine_what_it_has_erased(site: Site) -> None:
    now_s = [1_800_000_000.0]
    config = Config.load(site.config, data_dir=site.data.path, nodes=(f"127.0.0.1:{site.port}",))
    with opening.writing(site.data) as registry:
        create_first(site.node.index, registry.head().epoch)
        site.data.audit.mkdir()
        chance = random.Random(5)
        number = registry.register(registration(chance, None, new_item(chance)), day=DAY)
        rebuild(registry, site.node.index)
        registry.withdraw(number.case_number, None, day=DAY)
        pool = Pool("writer", threads=1, queued=10)
        clearing = Clearing(config, registry, site.data, pool, lambda: now_s[0])

        async def look() -> bool:
            async with site.answering():
                await clearing.step()
            newest = registry.newest_leaf()
            return newest is not None and newest.content["kind"] == entries.CLEARED

        assert not asyncio.run(look())
        now_s[0] += 1000
        assert not asyncio.run(look()), "a generation of the machine holds it"
        erase(registry, site.node.index)
        assert asyncio.run(look())

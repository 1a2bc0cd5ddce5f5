"""One server that does everything, with its registry in PostgreSQL, which is replaced under it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from disrupt.data_directory import DataDirectory
from disrupt.index.generations import served
from disrupt.v1 import registration_pb2
from rig.callers import shell
from rig.callers.caller import access, calling, distinctive, items, lookup, outcome, register
from rig.processes.running import processes
from rig.servers.deployment import CommandFailedError, Deployment, Start
from rig.servers.postgresql import PostgreSql, commands
from rig.waiting import eventually

pytestmark = pytest.mark.skipif(commands() is None, reason="PostgreSQL is not installed")

_PROMOTED = "UPDATE registry SET timeline = timeline - 1"
"""What the next writer sees after the promotion of a standby."""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSql]:
    with PostgreSql.create() as server:
        yield server


class Site:
    """A server and its database."""

    def __init__(self, folder: Path, postgresql: PostgreSql, start: Start) -> None:
        self.postgresql, self._start = postgresql, start
        self.database = postgresql.new_database()
        self.data = DataDirectory(folder / "data")
        self.data.make()
        self.data.note_registry_url(postgresql.url(self.database))
        self.server = self.start()
        self.match, self.helpline = (
            self.server.make_key(right, right) for right in ("match", "register")
        )

    def start(self) -> Deployment:
        self.server = self._start(workers=1)
        return self.server

    def register(self, value: bytes) -> str:
        """Register a hash, as soon as that is possible; return the case."""
        request = register(value)
        with calling(self.server.address, self.helpline) as people:
            eventually(
                lambda: outcome(lambda: people("RegisterHashes", request)) is grpc.StatusCode.OK
            )
            case: str = people("RegisterHashes", request).receipt.case_number
        return case

    def finds(self, *values: bytes) -> bool:
        with calling(self.server.address, self.match) as platform:
            return all(items(platform("MatchHashes", lookup(value))) for value in values)


@pytest.fixture
def site(tmp_path: Path, postgresql: PostgreSql, start: Start) -> Site:
    return Site(tmp_path, postgresql, start)


def test_a_promotion_is_followed_while_the_server_runs_and_when_it_starts(site: Site) -> None:
    before, during, after = distinctive(), distinctive(), distinctive()
    site.register(before)
    eventually(lambda: site.finds(before))
    built = served(site.data.index)

    site.postgresql.sql(_PROMOTED, site.database)
    (writer,) = processes(site.server.process.pid, "writer")
    os.kill(writer, signal.SIGKILL)
    site.register(during)
    eventually(lambda: site.finds(before, during))
    eventually(lambda: served(site.data.index) > built)
    eventually(lambda: site.finds(before, during))

    assert site.server.stop() == 0
    site.postgresql.sql(_PROMOTED, site.database)
    site.start()
    assert site.finds(before, during)
    site.register(after)
    eventually(lambda: site.finds(after))


def test_a_primary_that_was_replaced_is_refused(site: Site) -> None:
    assert site.server.stop() == 0
    followed = json.loads(site.data.followed.read_text())
    newer = followed | {"timeline": followed["timeline"] + 1}
    site.data.followed.write_text(json.dumps(newer))
    with pytest.raises(CommandFailedError, match="a primary that was replaced"):
        site.start()


def test_restore_removals_leaves_it_able_to_start(site: Site) -> None:
    kept, gone = distinctive(), distinctive()
    site.register(kept)
    case = site.register(gone)
    assert site.server.stop() == 0
    site.postgresql.sql(f"CREATE DATABASE before_it TEMPLATE {site.database}")
    site.start()
    with calling(site.server.address, site.helpline) as people:
        withdrawal = registration_pb2.WithdrawCaseRequest(access=access(case))
        people("WithdrawCase", withdrawal)
    assert site.server.stop() == 0
    site.postgresql.drop(site.database)
    site.postgresql.sql(f"ALTER DATABASE before_it RENAME TO {site.database}")

    with pytest.raises(CommandFailedError, match="restore --removals"):
        site.start()
    config = site.data.path.with_suffix(".toml")
    where = ("--data-dir", site.data.path, "--config", config)
    assert shell.run("restore", "--removals", *where).code == 3  # there are no nodes
    site.start()
    assert site.finds(kept)
    assert not site.finds(gone)

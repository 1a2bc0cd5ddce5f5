"""Machines that answer lookups of a registry in PostgreSQL, beside those that write it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest

from disrupt.admin.v1 import admin_pb2
from disrupt.admin.v1.admin_pb2_grpc import AdminServiceStub
from disrupt.core.outcomes import MatchOutcome, OutcomeReport
from disrupt.data_directory import HEAD_NOTE, DataDirectory
from disrupt.doctor.data import checks
from disrupt.doctor.findings import Verdict, findings
from disrupt.feed.wakeups import wake_at_commits
from disrupt.registry import head_note, journal, opening
from disrupt.server.desk import open_desk
from disrupt.server.edge.health import REGISTRATION
from disrupt.server.edge.interceptors import CALLER_KEY
from disrupt.v1 import feed_pb2, match_pb2, registration_pb2, review_pb2
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub
from disrupt.wire import admin as wire
from rig.callers.caller import (
    TIMEOUT_S,
    Caller,
    access,
    calling,
    distinctive,
    items,
    lookup,
    near,
    outcome,
    register,
)
from rig.servers.deployment import CommandFailedError, Deployment, run
from rig.servers.loopback_fleet import USERS, Machines
from rig.servers.postgresql import PostgreSql, commands
from rig.waiting import eventually

pytestmark = pytest.mark.skipif(commands() is None, reason="PostgreSQL is not installed")

_OK, _UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSql]:
    with PostgreSql.create(wal_recycle="off") as server:
        yield server


@pytest.fixture
def machines(tmp_path: Path, postgresql: PostgreSql) -> Iterator[Machines]:
    with Machines.prepare(tmp_path, postgresql) as machines:
        yield machines


class Callers:
    """A caller for each right, of any machine."""

    def __init__(self, writer: Deployment, stack: ExitStack) -> None:
        self._secrets = {
            right: writer.make_key(right, right)
            for right in ("match", "register", "review", "feed")
        }
        self._stack = stack

    def __call__(self, machine: Deployment, right: str = "match") -> Caller:
        return self._stack.enter_context(calling(machine.address, self._secrets[right]))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def finds(caller: Caller, value: bytes) -> bool:
    return bool(items(caller("MatchHashes", lookup(value))))


def will_find(caller: Caller, value: bytes) -> bool:
    """Tell whether a hash is found, by a machine that may take up another index just now."""
    with suppress(grpc.RpcError):
        return finds(caller, value)
    return False


def test_a_node_answers_relays_and_lists_what_is_removed(
    machines: Machines, stack: ExitStack
) -> None:
    writer = machines.start("writer-1")
    callers = Callers(writer, stack)
    node = machines.start("node-1", "connection_max_age_s = 2\n")
    platform, helpline = callers(node), callers(node, "register")
    value = distinctive()
    done = helpline("RegisterHashes", register(value))
    eventually(lambda: finds(platform, value))
    found = platform("MatchHashes", lookup(value)).matches
    reported = match_pb2.ReportOutcomeRequest(
        match_id=found.match_ids[0], outcome=match_pb2.OUTCOME_BLOCKED
    )
    platform("ReportOutcome", reported)
    listed = callers(node, "review")(
        "ListItems",
        review_pb2.ListItemsRequest(conditions=review_pb2.ItemConditions(banks=["adults"])),
    )
    assert [item.item_id for item in listed.items] == items(platform("MatchHashes", lookup(value)))
    assert run("disrupt", "health", "--data-dir", node.data_dir, "--server", node.address)

    far = lookup(near(value, 20))
    disputed = platform("MatchHashes", far).matches.match_ids[0]
    outcome_of = match_pb2.OUTCOME_FALSE_POSITIVE
    platform(
        "ReportOutcome",
        match_pb2.ReportOutcomeRequest(match_id=disputed, outcome=outcome_of),
    )
    eventually(lambda: list(platform("MatchHashes", far).matches.disputed) == [True])

    case = access(done.receipt.case_number)
    helpline("WithdrawCase", registration_pb2.WithdrawCaseRequest(access=case))
    eventually(lambda: not finds(platform, value))
    listing = DataDirectory(node.data_dir).journal

    def removed() -> list[bytes]:
        contents = journal.read(listing)
        return [item.item_id for item in contents.removed] if contents else []

    eventually(lambda: removed() == [found.item_ids])
    assert run("disrupt", "erase", "--data-dir", node.data_dir)
    for machine in (writer, node):
        looked_at = findings(checks(machine.data_dir))
        # core dumps are of the machine that runs this
        wrong = [each for each in looked_at if each.verdict != Verdict.OK]
        assert [each for each in wrong if each.name != "core dumps"] == []
    run("disrupt", "reload", "--data-dir", node.data_dir)
    assert outcome(lambda: finds(platform, value)) is _OK
    assert node.stop() == 0
    assert not (node.data_dir / "registry.db").exists()


def test_a_stolen_certificate_acts_for_no_revoked_key_and_no_other_organisation(
    machines: Machines, stack: ExitStack
) -> None:
    writer = machines.start("writer-1")
    writer.make_key("register", "register")
    writer.make_key("platform", "match")
    with open_desk(writer.data_dir) as desk:
        ids = {key.name: key.key_id for key in desk.ListKeys(admin_pb2.ListKeysRequest()).keys}
    authority = machines.fleet.internal
    port = machines.place("writer-1").ports[1]
    channel = stack.enter_context(authority.channel(port, "node-1"))
    register_hashes: Any = RegistrationServiceStub(channel).RegisterHashes
    record: Any = AdminServiceStub(channel).RecordOutcome

    def call(method: Any, request: Any, key: str) -> Any:
        return method(request, metadata=((CALLER_KEY, ids[key]),), timeout=TIMEOUT_S)

    added = call(register_hashes, register(distinctive()), "register").receipt.items
    report = OutcomeReport(added[0].item_id, "another", MatchOutcome.BLOCKED, bytes(12), ())
    call(record, wire.record_request(report), "platform")
    noted = machines.postgresql.sql("SELECT organisation FROM outcomes", machines.database)
    assert noted == "platform"

    with open_desk(writer.data_dir) as desk:
        desk.RevokeKey(admin_pb2.RevokeKeyRequest(key_id=ids["register"]))
    later = register(distinctive())
    eventually(
        lambda: (
            outcome(lambda: call(register_hashes, later, "register"))
            is grpc.StatusCode.UNAUTHENTICATED
        )
    )


def test_a_writer_has_no_workers_and_is_reloaded(machines: Machines, stack: ExitStack) -> None:
    writer = machines.start("writer-1")
    assert writer.address == f"127.0.0.1:{machines.place('writer-1').ports[1]}"
    assert machines.states("writer-1") == {"writer": "serving"}
    with urllib.request.urlopen(f"http://{writer.metrics_address()}/readyz") as answer:
        assert answer.read().decode() == f"{REGISTRATION}: ready\n"
    helpline = Callers(writer, stack)(machines.start("node-1"), "register")
    run("disrupt", "reload", "--data-dir", writer.data_dir)
    assert run("disrupt", "health", "--data-dir", writer.data_dir)
    eventually(lambda: outcome(lambda: helpline("RegisterHashes", register(distinctive()))) is _OK)
    assert not (writer.data_dir / "index").exists()
    assert writer.stop() == 0


def test_nodes_come_and_go_and_answer_unchanged_while_postgresql_is_stopped(
    machines: Machines, stack: ExitStack
) -> None:
    writer = machines.start("writer-1")
    callers = Callers(writer, stack)
    first = machines.start("node-1")
    helpline, platform = callers(first, "register"), callers(first)
    value = distinctive()
    helpline("RegisterHashes", register(value))
    eventually(lambda: finds(platform, value))
    second = machines.start("node-2")
    assert finds(callers(second), value)
    second.kill()
    assert finds(platform, value)

    machines.postgresql.stop()
    try:
        later = register(distinctive())
        eventually(lambda: outcome(lambda: helpline("RegisterHashes", later)) is _UNAVAILABLE)
        assert finds(platform, value)
    finally:
        machines.postgresql.start()
    eventually(lambda: outcome(lambda: helpline("RegisterHashes", later)) is _OK)
    eventually(lambda: will_find(platform, later.items[0].fingerprints.hashes))
    third = machines.start("node-2")
    assert finds(callers(third), value)


def test_a_second_writer_takes_over(machines: Machines, stack: ExitStack) -> None:
    first = machines.start("writer-1")
    callers = Callers(first, stack)
    second = machines.start("writer-2")
    assert machines.states("writer-1") == {"writer": "serving"}
    assert machines.states("writer-2") == {"writer": "waiting"}
    assert run("disrupt", "health", "--data-dir", second.data_dir)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", machines.place("writer-2").ports[1]))
    node = machines.start("node-1")
    helpline = callers(node, "register")
    done = helpline("RegisterHashes", register(distinctive()))
    first.kill()
    shown = registration_pb2.GetCaseRequest(access=access(done.receipt.case_number))
    eventually(lambda: outcome(lambda: helpline("GetCase", shown)) is _OK)
    assert machines.states("writer-2") == {"writer": "serving"}
    noted = first.data_dir / HEAD_NOTE
    noted.unlink(missing_ok=True)
    machines.start("writer-1")
    assert machines.states("writer-1") == {"writer": "waiting"}
    eventually(lambda: head_note.read(noted) is not None)  # by which it would know an older copy


def test_a_writer_whose_connection_is_lost_begins_anew(
    machines: Machines, stack: ExitStack
) -> None:
    writer = machines.start("writer-1")
    callers = Callers(writer, stack)
    node = machines.start("node-1")
    helpline = callers(node, "register")
    helpline("RegisterHashes", register(distinctive()))
    leader = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
    machines.postgresql.sql(leader, machines.database)
    again = register(distinctive())
    eventually(lambda: outcome(lambda: helpline("RegisterHashes", again)) is _OK)
    assert "leadership" in machines.log("writer-1")


def test_a_promotion_is_followed_by_an_index_of_the_new_epoch(
    machines: Machines, stack: ExitStack
) -> None:
    writer = machines.start("writer-1")
    callers = Callers(writer, stack)
    node = machines.start("node-1")
    platform, value = callers(node), distinctive()
    callers(node, "register")("RegisterHashes", register(value))
    eventually(lambda: finds(platform, value))
    # as a promotion is seen by the writer that opens the registry next
    machines.postgresql.sql("UPDATE registry SET timeline = timeline - 1", machines.database)
    os.kill(_process(writer, "writer"), signal.SIGKILL)
    helpline, later = callers(node, "register"), register(distinctive())
    eventually(lambda: outcome(lambda: helpline("RegisterHashes", later)) is _OK)
    eventually(lambda: will_find(platform, later.items[0].fingerprints.hashes))
    assert finds(platform, value)
    assert '"node_fault"' not in machines.log("node-1")


def test_a_commit_wakes_those_who_follow(machines: Machines) -> None:
    directory = machines.data("writer-1")

    async def hear() -> None:
        with opening.writing(directory) as writer:
            woken = asyncio.Event()
            wake_at_commits(directory, woken.set)
            while not woken.is_set():  # it listens some time after it was told to
                await asyncio.to_thread(writer.note_pepper, b"")
                await asyncio.sleep(0.01)

    asyncio.run(hear())


def test_the_setting_registry_is_noted_and_binds(machines: Machines) -> None:
    directory = machines.data("writer-1")
    url = directory.registry_url
    (directory.path / "registry.url").unlink()
    with pytest.raises(CommandFailedError, match="for registries in PostgreSQL"):
        machines.start("writer-1")
    assert machines.start("writer-1", f'registry = "{url}"\n').stop() == 0
    assert directory.registry_url == url
    with pytest.raises(CommandFailedError, match="names another database"):
        machines.start("writer-1", f'registry = "{url}_of_others"\n')


def test_a_node_that_was_away_too_long_has_a_new_index_before_it_serves(
    machines: Machines, stack: ExitStack
) -> None:
    callers = Callers(machines.start("writer-1"), stack)
    node = machines.start("node-1")
    value = distinctive()
    callers(node, "register")("RegisterHashes", register(value))
    assert node.stop() == 0
    noted = machines.data("node-1").followed
    followed = json.loads(noted.read_text())
    noted.write_text(json.dumps(followed | {"level_s": followed["level_s"] - 25 * 3600}))
    assert finds(callers(machines.start("node-1")), value)
    assert "index_wiped" in machines.log("node-1")


def test_a_primary_that_was_replaced_and_not_fenced_is_followed_no_more(
    tmp_path: Path, stack: ExitStack
) -> None:
    primary = stack.enter_context(PostgreSql.create())
    standby = PostgreSql.empty()
    copying = ("--write-recovery-conf", "--checkpoint=fast", "--no-sync")
    standby.command("pg_basebackup", "--pgdata", standby.data, *copying, "--dbname", primary.url())
    stack.enter_context(standby)
    machines = stack.enter_context(Machines.prepare(tmp_path, primary))
    hosts = ",".join(
        quote(str(each.directory), safe="") + f":{each.port}" for each in (primary, standby)
    )
    # a node takes whichever answers, and the former primary first
    both = f"postgresql://{USERS['match']}@{hosts}/{machines.database}"
    machines.data("node-1").note_registry_url(both)
    machines.data("writer-2").note_registry_url(standby.url(machines.database))
    callers = Callers(machines.start("writer-1"), stack)
    node = machines.start("node-1")
    helpline, platform = callers(node, "register"), callers(node)
    gone, case = distinctive(), ""
    case = helpline("RegisterHashes", register(gone)).receipt.case_number
    eventually(lambda: finds(platform, gone))
    head = "SELECT max(sequence) FROM changes"
    eventually(lambda: standby.sql(head, machines.database) == primary.sql(head, machines.database))

    machines.running["writer-1"].kill()
    standby.command("pg_ctl", "promote", "--wait", "--pgdata", standby.data)
    machines.start("writer-2")
    withdrawal = registration_pb2.WithdrawCaseRequest(access=access(case))
    eventually(lambda: outcome(lambda: helpline("WithdrawCase", withdrawal)) is _OK)
    assert finds(platform, gone)  # the node sees the former primary alone
    primary.stop(signal.SIGQUIT)
    eventually(lambda: not finds(platform, gone))
    primary.start()
    standby.stop(signal.SIGQUIT)
    eventually(lambda: "a primary that was replaced" in machines.log("node-1"))
    assert not finds(platform, gone)


def _process(machine: Deployment, name: str) -> int:
    pid: int = _state(machine, name)["pid"]
    return pid


def _state(machine: Deployment, name: str) -> dict[str, Any]:
    states = DataDirectory(machine.data_dir).ask_supervisor("states")
    return next(child for child in states["processes"] if child["name"] == name)


def test_after_postgresql_was_restored_what_a_node_lists_is_removed_before_anybody_writes(
    machines: Machines, stack: ExitStack
) -> None:
    writer = machines.start("writer-1")
    callers = Callers(writer, stack)
    first = machines.start("node-1")
    kept, gone = register(distinctive()), register(distinctive())
    callers(first, "register")("RegisterHashes", kept)
    case = callers(first, "register")("RegisterHashes", gone).receipt.case_number
    assert writer.stop() == first.stop() == 0
    machines.postgresql.sql(f"CREATE DATABASE earlier TEMPLATE {machines.database}")

    writer = machines.start("writer-1")
    node = machines.start("node-1")
    platform, helpline = callers(node), callers(node, "register")
    partner = callers(node, "feed")
    helpline("WithdrawCase", registration_pb2.WithdrawCaseRequest(access=access(case)))
    listed = DataDirectory(node.data_dir).journal
    eventually(lambda: len(journal.parsed(listed.read_bytes(), listed.name).removed) == 1)
    assert writer.stop() == 0
    machines.postgresql.drop(machines.database)
    machines.postgresql.sql(f"ALTER DATABASE earlier RENAME TO {machines.database}")
    begin = feed_pb2.ListChangesRequest()
    eventually(lambda: outcome(lambda: partner("ListChanges", begin)) is _UNAVAILABLE)
    os.kill(_process(node, "worker 1"), signal.SIGKILL)
    eventually(
        lambda: _state(node, "worker 1").items() >= {"restarts": 1, "state": "serving"}.items()
    )
    looked_up = outcome(lambda: finds(platform, gone.items[0].fingerprints.hashes))
    assert looked_up is _UNAVAILABLE  # what it has is no index of the registry any more
    assert outcome(lambda: partner("ListChanges", begin)) is _UNAVAILABLE
    (writer.data_dir / listed.name).unlink()
    with pytest.raises(CommandFailedError, match="restore --removals"):
        machines.start("writer-1")
    config = writer.data_dir.with_suffix(".toml")
    config.write_text(f'nodes = ["{machines.place("node-1").internal}"]\n' + config.read_text())
    run("disrupt", "restore", "--removals", "--data-dir", writer.data_dir, "--config", config)
    machines.start("writer-1")
    later = register(distinctive())
    eventually(lambda: outcome(lambda: helpline("RegisterHashes", later)) is _OK)
    eventually(lambda: will_find(platform, later.items[0].fingerprints.hashes))
    assert finds(platform, kept.items[0].fingerprints.hashes)
    assert not finds(platform, gone.items[0].fingerprints.hashes)

"""Reports of what came of matches, over real sockets and through every worker."""

from __future__ import annotations

import os
import secrets as random
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import grpc
import pytest

from benchmarks import sabotages
from benchmarks.harness.deployment import Deployment
from disrupt.core.outcomes import Outcome
from disrupt.registry.sql import SqlRegistry
from disrupt.services.reports import REPORTS_PER_ITEM
from disrupt.v1 import match_pb2, registration_pb2
from tests.server.caller import (
    Caller,
    access,
    calling,
    distinctive,
    eventually,
    items,
    lookup,
    outcome,
    refusal,
    register,
)
from tests.server.running import Start, children, typed

pytestmark = pytest.mark.slow

LATER = "9999-12-31"
"""A day before which everything was reported."""

DYING = """
import os, signal
from pathlib import Path
from disrupt.registry.sql import SqlRegistryWriter

report = SqlRegistryWriter.report

def reported(*arguments, **options):
    report(*arguments, **options)
    try:
        Path({marker!r}).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

SqlRegistryWriter.report = reported
"""
"""A fault of the writer: once, while a file is there, it dies between commit and answer."""


@pytest.fixture
def platforms(server: Deployment, secrets: dict[str, str]) -> Iterator[list[Caller]]:
    """Open eight connections, which the kernel spreads over the workers."""
    with ExitStack() as stack:
        yield [stack.enter_context(calling(server.address, secrets["match"])) for _ in range(8)]


def registered(helpline: Caller, value: bytes) -> tuple[str, bytes]:
    """Register a hash; return the case number and the item id."""
    receipt = helpline("RegisterHashes", register(value)).receipt
    return receipt.case_number, receipt.items[0].item_id


def match_id(platform: Caller, value: bytes) -> bytes:
    """Return the match id of the one item near a hash, once the worker has it."""
    eventually(lambda: len(items(platform("MatchHashes", lookup(value)))) == 1)
    match_ids = platform("MatchHashes", lookup(value)).matches.match_ids
    return bytes(match_ids[0])


def report(
    match_id: bytes, said: match_pb2.Outcome.ValueType = match_pb2.OUTCOME_BLOCKED
) -> match_pb2.ReportOutcomeRequest:
    return match_pb2.ReportOutcomeRequest(match_id=match_id, outcome=said)


def recorded(data_dir: Path, case: str) -> dict[bytes, frozenset[Outcome]]:
    with SqlRegistry.open_reader(data_dir / "registry.db") as reader:
        return dict(reader.outcomes(case, before=LATER))


def rows(data_dir: Path, item_id: bytes) -> int:
    """Count what is stored of reports of an item, erased or not."""
    with closing(sqlite3.connect(data_dir / "registry.db")) as connection:
        query = "SELECT count(*) FROM outcomes JOIN items ON item = number WHERE item_id = ?"
        (count,) = connection.execute(query, (item_id,)).fetchone()
    return int(count)


def test_a_report_is_recorded_once_through_every_worker_and_corrected(
    server: Deployment, helpline: Caller, platforms: list[Caller]
) -> None:
    value = distinctive()
    case, item_id = registered(helpline, value)
    own = match_id(platforms[0], value)
    for platform in (*platforms, *platforms):
        platform("ReportOutcome", report(own))
        assert recorded(server.data_dir, case) == {item_id: {Outcome.BLOCKED}}
    assert rows(server.data_dir, item_id) == 1
    for corrected in (
        match_pb2.OUTCOME_PENDING_REVIEW,
        match_pb2.OUTCOME_FALSE_POSITIVE,
        match_pb2.OUTCOME_NOT_BLOCKED,
    ):
        platforms[0]("ReportOutcome", report(own, corrected))
        assert recorded(server.data_dir, case) == {item_id: {Outcome(corrected)}}
    assert rows(server.data_dir, item_id) == 1
    shown = helpline("GetCase", registration_pb2.GetCaseRequest(access=access(case))).case
    assert not shown.items[0].outcomes  # before tomorrow


def test_what_is_no_match_id_of_the_key_is_refused_alike(
    server: Deployment, helpline: Caller, platform: Caller
) -> None:
    value = distinctive()
    case, _ = registered(helpline, value)
    own = match_id(platform, value)
    with calling(server.address, server.make_key("another", "match")) as another:
        refused = {
            refusal(lambda caller=caller, given=given: caller("ReportOutcome", report(given)))  # type: ignore[misc]
            for caller, given in (
                (another, own),
                (platform, b""),
                (platform, bytes(len(own))),
                (platform, own[:-1]),
                (platform, own[:-1] + bytes([own[-1] ^ 1])),
                (platform, random.token_bytes(10_000)),
            )
        }
    (alike,) = refused
    assert alike.code == grpc.StatusCode.INVALID_ARGUMENT
    assert (alike.reason, alike.fields) == ("INVALID_REQUEST", ("match_id",))
    assert recorded(server.data_dir, case) == {}


@pytest.mark.parametrize("said", [0, 5, -1])
def test_an_outcome_that_says_nothing_is_refused(
    helpline: Caller, platform: Caller, said: match_pb2.Outcome.ValueType
) -> None:
    value = distinctive()
    registered(helpline, value)
    given = report(match_id(platform, value), said)
    refused = refusal(lambda: platform("ReportOutcome", given))
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.reason, refused.fields) == ("INVALID_REQUEST", ("outcome",))


def test_other_rights_do_not_report(
    server: Deployment, helpline: Caller, platform: Caller, secrets: dict[str, str]
) -> None:
    value = distinctive()
    registered(helpline, value)
    own = match_id(platform, value)
    for right, key in secrets.items():
        if right != "match":
            with calling(server.address, key) as caller:
                refused = refusal(lambda caller=caller: caller("ReportOutcome", report(own)))  # type: ignore[misc]
            assert refused.code == grpc.StatusCode.PERMISSION_DENIED
            assert refused.reason == "RIGHT_MISSING"


def test_a_match_of_a_withdrawn_item_is_refused_and_its_outcomes_are_gone(
    server: Deployment, helpline: Caller, platform: Caller
) -> None:
    value = distinctive()
    case, item_id = registered(helpline, value)
    own, other = (match_id(platform, value) for _ in range(2))
    platform("ReportOutcome", report(own))
    assert rows(server.data_dir, item_id) == 1
    helpline("WithdrawCase", registration_pb2.WithdrawCaseRequest(access=access(case)))
    assert rows(server.data_dir, item_id) == 0
    for given in (own, other):
        refused = refusal(lambda given=given: platform("ReportOutcome", report(given)))  # type: ignore[misc]
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        assert refused.retry_after_s is None


def test_a_key_fills_the_disk_with_no_more_than_its_share_of_an_item(
    server: Deployment, helpline: Caller
) -> None:
    value = distinctive()
    _, item_id = registered(helpline, value)
    with calling(server.address, server.make_key("eager", "match")) as eager:
        match_id(eager, value)
        answer = eager("MatchHashes", lookup(*[value] * (REPORTS_PER_ITEM + 1)))
        first, *more = answer.matches.match_ids
        assert len(more) == REPORTS_PER_ITEM
        for own in more:
            eager("ReportOutcome", report(own))
        refused = refusal(lambda: eager("ReportOutcome", report(first)))
        assert refused.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (refused.reason, refused.retry_after_s) == ("LIMIT_EXCEEDED", None)
        eager("ReportOutcome", report(more[0], match_pb2.OUTCOME_NOT_BLOCKED))
    assert rows(server.data_dir, item_id) == REPORTS_PER_ITEM


def test_a_report_whose_answer_a_killed_writer_never_sent_is_recorded_once(
    start: Start, tmp_path: Path
) -> None:
    marker, faults = tmp_path / "die", tmp_path / "faults"
    faults.mkdir()
    (faults / "fault.py").write_text(DYING.format(marker=str(marker)))
    path = f"PYTHONPATH={faults}:{Path(sabotages.__file__).parent}"
    server = start(wrapper=("env", path))
    match, helpline = server.make_key("p", "match"), server.make_key("h", "register")
    value = distinctive()
    with calling(server.address, helpline) as caller, calling(server.address, match) as platform:
        case, item_id = registered(caller, value)
        own = match_id(platform, value)
        (writer,) = children(server.process.pid, "writer")
        marker.touch()
        refused = refusal(lambda: platform("ReportOutcome", report(own)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
        assert refused.retry_after_s
        assert recorded(server.data_dir, case) == {item_id: {Outcome.BLOCKED}}

        def answered() -> bool:
            code = outcome(lambda: platform("ReportOutcome", report(own)))
            assert code in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
            return code == grpc.StatusCode.OK

        eventually(answered)
        assert recorded(server.data_dir, case) == {item_id: {Outcome.BLOCKED}}
        assert rows(server.data_dir, item_id) == 1
        assert children(server.process.pid, "writer") not in ([], [writer])


def test_what_was_acknowledged_outlives_a_power_cut_and_is_shown_on_the_next_day(
    start: Start,
) -> None:
    server = start()
    match, helpline = server.make_key("p", "match"), server.make_key("h", "register")
    value = distinctive()
    with calling(server.address, helpline) as caller, calling(server.address, match) as platform:
        case, item_id = registered(caller, value)
        platform("ReportOutcome", report(match_id(platform, value)))
    server.kill()
    assert recorded(server.data_dir, case) == {item_id: {Outcome.BLOCKED}}
    with closing(sqlite3.connect(server.data_dir / "registry.db")) as connection:
        connection.execute("UPDATE outcomes SET reported_on = date(reported_on, '-1 day')")
        connection.commit()
    second = start()
    with calling(second.address, helpline) as caller:
        shown = caller("GetCase", registration_pb2.GetCaseRequest(access=access(case))).case
    assert list(shown.items[0].outcomes) == [registration_pb2.ITEM_OUTCOME_BLOCKED]


def test_a_restored_registry_has_the_outcomes_of_its_backup_of_what_is_still_registered(
    start: Start, tmp_path: Path
) -> None:
    server = start(workers=1)
    match, helpline = server.make_key("p", "match"), server.make_key("h", "register")
    values = [distinctive() for _ in range(3)]
    data = ("--data-dir", server.data_dir)
    with calling(server.address, helpline) as caller, calling(server.address, match) as platform:
        (kept, kept_id), (gone, gone_id) = (registered(caller, value) for value in values[:2])
        ids = [match_id(platform, value) for value in values[:2]]
        for own in ids:
            platform("ReportOutcome", report(own))
        typed("disrupt", "backup", *data, "--to", tmp_path / "backup")
        registered(caller, values[2])
        ids.append(match_id(platform, values[2]))
        caller("WithdrawCase", registration_pb2.WithdrawCaseRequest(access=access(gone)))
        for own in (ids[0], ids[2]):
            platform("ReportOutcome", report(own, match_pb2.OUTCOME_NOT_BLOCKED))
    assert server.stop() == 0
    typed("disrupt", "restore", *data, "--from", tmp_path / "backup")
    assert recorded(server.data_dir, kept) == {kept_id: {Outcome.BLOCKED}}
    assert recorded(server.data_dir, gone) == {}
    assert rows(server.data_dir, gone_id) == 0
    second = start(workers=1)
    with calling(second.address, match) as platform:
        for own in ids[1:]:  # withdrawn since, and registered after the backup
            refused = refusal(lambda own=own: platform("ReportOutcome", report(own)))  # type: ignore[misc]
            assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        platform("ReportOutcome", report(ids[0], match_pb2.OUTCOME_NOT_BLOCKED))
    assert recorded(second.data_dir, kept) == {kept_id: {Outcome.NOT_BLOCKED}}


def test_while_the_writer_is_down_lookups_go_on_and_reports_are_to_be_retried(
    start: Start,
) -> None:
    server = start(workers=1)
    match, helpline = server.make_key("p", "match"), server.make_key("h", "register")
    value = distinctive()
    with calling(server.address, helpline) as caller, calling(server.address, match) as platform:
        registered(caller, value)
        own = match_id(platform, value)
        (writer,) = children(server.process.pid, "writer")
        server.process.send_signal(signal.SIGSTOP)  # it replaces no writer meanwhile
        os.kill(writer, signal.SIGKILL)
        refused = refusal(lambda: platform("ReportOutcome", report(own)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
        assert refused.retry_after_s
        platform("MatchHashes", lookup(value))
        server.process.send_signal(signal.SIGCONT)

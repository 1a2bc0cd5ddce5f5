"""What is blocked is reported, also where the hotline was away or the door died meanwhile."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from google.protobuf.message import Message

from disrupt.door import outcomes as module
from disrupt.door.metrics import Metrics
from disrupt.door.outcomes import Outcomes
from disrupt.errors import ConfigurationError, NotFoundError
from disrupt.v1 import match_pb2
from rig.ports import free_port
from rig.servers.door import door
from rig.servers.scripted import scripted, status_of
from rig.waiting import eventually
from tests.door.sites import Site


def waiting(path: Path) -> list[bytes]:
    with sqlite3.connect(path) as file:
        rows = [row for (row,) in file.execute("SELECT entry FROM entries ORDER BY rowid")]
    file.close()
    return rows


def test_a_blocked_upload_is_reported_to_the_server(site: Site) -> None:
    def sent() -> bool:
        text = site.door.ask("GET", "/metrics").body.decode()
        return 'disrupt_door_outcomes_total{result="sent"}' in text

    queue = site.door.log.parent / "state" / "outcomes.sqlite"
    site.door.ask("POST", "/hooks/pict-rs", site.registered.read_bytes())
    eventually(lambda: sent() and waiting(queue) == [])


def test_outcomes_outlive_the_door(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.sqlite"
    with Outcomes(path, Metrics()) as outcomes:
        outcomes.add([b"a", b"b", b"a"])
    with Outcomes(path, Metrics()) as outcomes:
        assert outcomes.waiting == 2
    assert waiting(path) == [b"b", b"a"]


def test_the_oldest_are_lost_beyond_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 3)
    metrics = Metrics()
    with Outcomes(tmp_path / "outcomes.sqlite", metrics) as outcomes:
        for number in range(5):
            outcomes.add([bytes([number])])
    assert waiting(tmp_path / "outcomes.sqlite") == [b"\2", b"\3", b"\4"]
    assert b'disrupt_door_outcomes_total{result="lost"} 2.0' in metrics.text()


def test_a_queue_that_cannot_be_written_fails_no_refusal_and_is_used_again(tmp_path: Path) -> None:
    path, metrics = tmp_path / "outcomes.sqlite", Metrics()
    with Outcomes(path, metrics) as outcomes:
        with sqlite3.connect(path) as other:
            other.execute(
                "CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT raise(FAIL, 'full'); END"
            )
        outcomes.add([b"a"])
        assert b'disrupt_door_outcomes_total{result="lost"} 1.0' in metrics.text()
        other.execute("DROP TRIGGER full")
        other.close()
        outcomes.add([b"b"])
    assert waiting(path) == [b"b"]


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "outcomes.sqlite").mkdir()
    with pytest.raises(ConfigurationError) as refused:
        Outcomes(tmp_path / "outcomes.sqlite", Metrics())
    assert refused.value.metadata == {"setting": "state_dir"}


def queued(folder: Path) -> Path:
    """Leave outcomes that a door before did not send."""
    (folder / "state").mkdir(parents=True)
    path = folder / "state" / "outcomes.sqlite"
    with Outcomes(path, Metrics()) as outcomes:
        outcomes.add([b"gone", b"kept"])
    return path


def test_what_waits_is_sent_and_what_was_withdrawn_is_dropped(tmp_path: Path) -> None:
    def answer(request: bytes) -> Message:
        if match_pb2.ReportOutcomeRequest.FromString(request).match_id == b"gone":
            return status_of(NotFoundError("It was withdrawn."))
        return match_pb2.ReportOutcomeResponse()

    path = queued(tmp_path)
    with scripted(answer) as server, door(tmp_path, server.address, "key-of-the-platform"):
        eventually(lambda: waiting(path) == [])
        sent = [match_pb2.ReportOutcomeRequest.FromString(seen.request) for seen in server.seen]
    assert [report.match_id for report in sent] == [b"gone", b"kept"]
    assert {report.outcome for report in sent} == {match_pb2.OUTCOME_BLOCKED}


def test_what_waits_stays_while_the_hotline_is_away(tmp_path: Path) -> None:
    path = queued(tmp_path)
    address = f"127.0.0.1:{free_port()}"
    with door(tmp_path, address, "key-of-the-platform", "patience_s = 0.2") as running:
        eventually(lambda: "outcomes_wait" in running.log.read_text())
        metrics = running.ask("GET", "/metrics").body.decode()
    assert "disrupt_door_outcomes_waiting 2.0" in metrics
    assert waiting(path) == [b"gone", b"kept"]

"""Processes: crashes, restarts, drains, and who may use a data directory."""

from __future__ import annotations

import os
import resource
import secrets as random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from click.testing import CliRunner
from grpc_health.v1 import health_pb2
from PIL import Image

from benchmarks.harness.deployment import CommandFailedError, Deployment
from disrupt.cli import main
from disrupt.v1 import feed_pb2, match_pb2, registration_pb2
from tests.server.caller import (
    access,
    calling,
    eventually,
    health,
    items,
    lookup,
    matches,
    outcome,
    refusal,
    refused_of,
    register,
)
from tests.server.running import Start, alive, children, typed

pytestmark = pytest.mark.slow


def test_a_killed_server_loses_nothing_and_comes_back_at_once_on_its_port(start: Start) -> None:
    first = start()
    match, helpline = first.make_key("p", "match"), first.make_key("h", "register")
    kept, gone = random.token_bytes(32), random.token_bytes(32)
    with calling(first.address, helpline) as caller:
        caller("RegisterHashes", register(kept))
        receipt = caller("RegisterHashes", register(gone)).receipt
        request = registration_pb2.WithdrawCaseRequest(access=access(receipt.case_number))
        caller("WithdrawCase", request)
    processes = children(first.process.pid)
    assert len(processes) == 3
    first.kill_supervisor()
    assert (first.data_dir / "writer.sock").exists()
    second = start(listen=first.address)
    assert second.address == first.address
    assert not any(alive(pid) for pid in processes)
    assert matches(second.address, match, kept) == 1
    assert matches(second.address, match, gone) == 0


def test_the_supervisor_has_one_thread_and_its_processes_share_what_it_loaded(
    start: Start,
) -> None:
    server = start(workers=2)
    assert len(list(Path(f"/proc/{server.process.pid}/task").iterdir())) == 1
    for role, count in (("writer", 1), ("worker", 2)):
        pids = children(server.process.pid, role)
        assert len(pids) == count
        for pid in pids:
            pages = dict(
                line.split()[:2]
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            )
            assert int(pages["Shared_Dirty:"]) > 2 * int(pages["Private_Dirty:"])


def test_the_writer_lets_workers_go_first(server: Deployment) -> None:
    (writer,) = children(server.process.pid, "writer")
    workers = children(server.process.pid, "worker")
    assert len(workers) == 2
    for worker in workers:
        assert os.getpriority(os.PRIO_PROCESS, writer) > os.getpriority(os.PRIO_PROCESS, worker)


def test_a_second_server_or_writer_is_refused_and_the_first_goes_on(
    server: Deployment, tmp_path: Path
) -> None:
    with pytest.raises(CommandFailedError, match="Another server or command uses"):
        Deployment.start(server.data_dir)
    with pytest.raises(CommandFailedError, match="Cannot listen on"):
        Deployment.start(tmp_path / "other", listen=server.address)
    assert health(server.address) == health_pb2.HealthCheckResponse.SERVING


def test_told_to_stop_it_answers_what_is_in_flight_and_exits_with_0(start: Start) -> None:
    server = start(workers=1)
    helpline = server.make_key("h", "register")
    match = server.make_key("p", "match")
    values = [random.token_bytes(32) for _ in range(12)]
    with calling(server.address, helpline) as caller:
        stub: Any = caller.channel.unary_unary(
            "/disrupt.v1.RegistrationService/RegisterHashes",
            request_serializer=registration_pb2.RegisterHashesRequest.SerializeToString,
            response_deserializer=registration_pb2.RegisterHashesResponse.FromString,
        )
        metadata = [("authorization", f"Bearer {helpline}")]
        calls = [stub.future(register(value), metadata=metadata) for value in values]
        calls[0].result()  # then the other calls, sent with it, have begun
        assert server.stop() == 0
        answered = []
        for value, call in zip(values, calls, strict=True):
            if call.exception() is None:
                answered.append(value)
            else:
                assert call.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert answered
    assert not (server.data_dir / "writer.sock").exists()
    again = start(workers=1)
    for value in answered:
        assert matches(again.address, match, value) == 1


def test_told_to_stop_it_goes_on_with_a_call_that_has_begun(start: Start) -> None:
    server = start(settings="drain_grace_s = 60\n", workers=1)
    match = server.make_key("p", "match")
    stopping = threading.Event()

    def batches() -> Iterator[match_pb2.StreamMatchHashesRequest]:
        yield match_pb2.StreamMatchHashesRequest(batch=lookup(bytes(32)), sequence=1)
        stopping.wait()
        yield match_pb2.StreamMatchHashesRequest(batch=lookup(bytes(32)), sequence=2)

    with calling(server.address, match) as caller:
        answers = caller("StreamMatchHashes", batches())
        assert next(answers).sequence == 1
        server.process.send_signal(signal.SIGTERM)
        host, port = server.address.rsplit(":", 1)
        eventually(lambda: not connects(host, int(port)))
        time.sleep(3)  # longer than anything but the call itself takes to end
        stopping.set()
        assert [answer.sequence for answer in answers] == [2]
    assert server.stop() == 0


def connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port)).close()
    except OSError:
        return False
    return True


def test_while_the_writer_is_down_lookups_go_on_and_registrations_are_to_be_retried(
    start: Start,
) -> None:
    server = start(workers=1)
    match, helpline = server.make_key("p", "match"), server.make_key("h", "register")
    request = register(random.token_bytes(32))
    with calling(server.address, helpline) as caller, calling(server.address, match) as platform:
        (writer,) = children(server.process.pid, "writer")
        server.process.send_signal(signal.SIGSTOP)  # it replaces no writer meanwhile
        os.kill(writer, signal.SIGKILL)
        refused = refusal(lambda: caller("RegisterHashes", request))
        server.process.send_signal(signal.SIGCONT)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
        assert refused.retry_after_s
        platform("MatchHashes", lookup(bytes(32)))

        def registered() -> bool:
            code = outcome(lambda: caller("RegisterHashes", request))
            assert code in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
            return code == grpc.StatusCode.OK

        eventually(registered)
        assert len(caller("RegisterHashes", request).receipt.items) == 1
    assert children(server.process.pid, "writer") != [writer]


def test_a_worker_that_dies_is_replaced(start: Start) -> None:
    server = start(workers=1)
    match = server.make_key("p", "match")
    (worker,) = children(server.process.pid, "worker")
    os.kill(worker, signal.SIGKILL)
    with calling(server.address, match) as caller:
        eventually(lambda: children(server.process.pid, "worker") not in ([], [worker]))
        caller("MatchHashes", lookup(bytes(32)))


def test_a_revoked_key_is_refused_by_every_worker(server: Deployment) -> None:
    key = server.make_key("revoked soon", "match")
    listed = typed("disrupt", "keys", "list", "--data-dir", server.data_dir).splitlines()
    (key_id,) = (line.split()[0] for line in listed if line.endswith("revoked soon"))
    assert all(matches(server.address, key, bytes(32)) == 0 for _ in range(8))
    typed("disrupt", "keys", "revoke", key_id, "--data-dir", server.data_dir)

    def seen() -> set[grpc.StatusCode]:
        return {outcome(lambda: matches(server.address, key, bytes(32))) for _ in range(8)}

    eventually(lambda: seen() == {grpc.StatusCode.UNAUTHENTICATED})


def test_a_disabled_item_is_found_in_no_worker_and_in_no_feed_until_it_is_enabled(
    server: Deployment,
) -> None:
    match, feed, helpline = (
        server.make_key(right, right) for right in ("match", "feed", "register")
    )
    value = random.token_bytes(32)
    with calling(server.address, helpline) as caller:
        (item,) = caller("RegisterHashes", register(value)).receipt.items

    def is_found(count: int) -> bool:
        return all(matches(server.address, match, value) == count for _ in range(8))

    def mirrored() -> str | None:
        with calling(server.address, feed) as caller:
            page = caller("ListChanges", feed_pb2.ListChangesRequest(page_size=1000))
        last = page.changes[-1]
        assert item.item_id in {last.added.item_id, last.removed.item_id}
        return str(last.WhichOneof("change"))

    eventually(lambda: is_found(1))
    for act, count, change in (("disable", 0, "removed"), ("enable", 1, "added")):
        typed("disrupt", "items", act, item.item_id.hex(), "--data-dir", server.data_dir)
        eventually(partial(is_found, count))
        assert mirrored() == change


def test_a_damaged_snapshot_is_refused_by_name_until_a_rebuild_is_there(start: Start) -> None:
    first = start(workers=1)
    match, helpline = first.make_key("p", "match"), first.make_key("h", "register")
    value = random.token_bytes(32)
    with calling(first.address, helpline) as caller:
        caller("RegisterHashes", register(value))
    typed("disrupt-index", "rebuild", "--data-dir", first.data_dir)
    assert first.stop() == 0
    for codes in (first.data_dir / "index").glob("*/codes.faiss"):
        codes.unlink()
    server = start(workers=1)
    with calling(server.address, match) as platform, calling(server.address, helpline) as caller:
        refused = refusal(lambda: platform("MatchHashes", lookup(value)))
        assert refused.code == grpc.StatusCode.UNAVAILABLE
        assert "codes.faiss" in refused.message
        assert "disrupt-index rebuild" in refused.message
        status = match_pb2.GetIndexStatusRequest()
        assert refusal(lambda: platform("GetIndexStatus", status)).code == refused.code
        not_serving = health_pb2.HealthCheckResponse.NOT_SERVING
        assert health(server.address) == not_serving
        assert health(server.address, "disrupt.v1.MatchService") == not_serving
        serving = health_pb2.HealthCheckResponse.SERVING
        assert health(server.address, "disrupt.v1.RegistrationService") == serving
        caller("RegisterHashes", register(random.token_bytes(32)))
        typed("disrupt-index", "rebuild", "--data-dir", server.data_dir)
        eventually(lambda: health(server.address) == serving)
        assert items(platform("MatchHashes", lookup(value)))


def test_keys_are_made_without_a_server_and_the_socket_and_files_are_the_owners_alone(
    start: Start, tmp_path: Path
) -> None:
    key_file = tmp_path / "platform.key"
    words = ("create", "p", "--right", "match", "--data-dir", tmp_path / "data")
    with pytest.raises(CommandFailedError, match="There is no data directory"):
        typed("disrupt", "keys", *words)
    (tmp_path / "data").mkdir(0o700)
    said = typed("disrupt", "keys", *words, "--secret-file", key_file)
    secret = key_file.read_text().strip()
    assert secret not in said
    assert key_file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandFailedError, match="exists already"):
        typed("disrupt", "keys", *words, "--secret-file", key_file)
    assert key_file.read_text().strip() == secret
    assert typed("disrupt", "keys", "list", "--data-dir", tmp_path / "data").count("match") == 1
    server = start(workers=1)
    assert matches(server.address, secret, bytes(32)) == 0
    assert server.data_dir.stat().st_mode & 0o777 == 0o700
    for name in ("writer.sock", "secrets.json", "registry.db", "registry.db-wal", "lock"):
        assert (server.data_dir / name).stat().st_mode & 0o077 == 0, name
    stored = (server.data_dir / "registry.db").read_bytes()
    assert secret.encode() not in stored + (server.data_dir / "registry.db-wal").read_bytes()


def test_a_server_takes_the_open_files_that_it_is_allowed(start: Start) -> None:
    few = "ulimit -Sn 512 && ulimit -Hn 2048"
    server = start(workers=1, wrapper=("sh", "-c", f'{few} && exec "$@"', "sh"))
    (worker,) = children(server.process.pid, "worker")
    assert resource.prlimit(worker, resource.RLIMIT_NOFILE) == (2048, 2048)


def test_logs_carry_neither_keys_nor_pins_nor_hashes_nor_addresses(start: Start) -> None:
    server = start(workers=1)
    helpline = server.make_key("h", "register")
    value = random.token_bytes(32)
    with calling(server.address, helpline) as caller:
        case = caller("RegisterHashes", register(value, pin="31415926")).receipt.case_number
        wrong = registration_pb2.GetCaseRequest(access=access(case, "27182818"))
        refusal(lambda: caller("GetCase", wrong))
        refusal(lambda: caller("MatchHashes", lookup(value)))
    assert server.stop() == 0
    log = server.data_dir.with_name("data.log").read_text()
    assert "snapshot_taken_up" in log
    for secret in (helpline, case, "31415926", "27182818", value.hex(), "127.0.0.1"):
        assert secret not in log


@pytest.mark.parametrize(
    ("settings", "option", "complaint"),
    [
        ("max_mesage_bytes = 1", "", "max_mesage_bytes: no such setting"),
        ("workers = 0", "", "workers"),
        ("workers =", "", "cannot be read"),
        ("", "--listen=0.0.0.0:0", "give tls_cert and tls_key"),
        ("", "--listen=example.org:0", "give tls_cert and tls_key"),
        ("", "--listen=nonsense", "not HOST:PORT"),
        ("", "--tls-cert=cert.pem", "belong together"),
        ("", "--client-listen=127.0.0.1:0", "client_listen and client_ca belong together"),
        ('client_ca = "ca.pem"', "--client-listen=127.0.0.1:0", "client_listen needs tls_cert"),
        ("hashes_per_s = 0", "--workers=1", "hashes_per_s"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused_by_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, option: str, complaint: str
) -> None:
    started = Mock()
    monkeypatch.setattr(os, "execve", started)
    file = tmp_path / "config.toml"
    file.write_text(settings)
    words = ["serve", "--data-dir", str(tmp_path / "data"), "--config", str(file)]
    done = CliRunner().invoke(main, [*words, *([option] if option else [])])
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert not (tmp_path / "data").exists()
    started.assert_not_called()


def test_a_data_directory_whose_secrets_are_gone_is_not_served_with_others(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir(0o700)
    typed("disrupt", "keys", "list", "--data-dir", tmp_path / "data")
    (tmp_path / "data" / "secrets.json").unlink()
    with pytest.raises(CommandFailedError, match=r"secrets\.json is missing"):
        start()


def test_a_path_too_long_for_a_socket_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="too long for a socket"):
        Deployment.start(tmp_path / ("x" * 120))


def test_ctrl_c_in_a_terminal_stops_it_with_0(start: Start) -> None:
    server = start(workers=1)
    os.killpg(server.process.pid, signal.SIGINT)
    assert server._ended() == 0


def test_a_crowd_of_unfinished_connections_does_not_stop_others(server: Deployment) -> None:
    match = server.make_key("p", "match")
    host, _, port = server.address.rpartition(":")
    crowd = [socket.create_connection((host, int(port))) for _ in range(200)]
    try:
        for connection in crowd[:100]:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + random.token_bytes(50))
        assert [matches(server.address, match, bytes(32)) for _ in range(8)] == [0] * 8
    finally:
        for connection in crowd:
            connection.close()


def test_more_pictures_than_fit_are_turned_away_with_a_time_to_come_back(
    start: Start, tmp_path: Path
) -> None:
    server = start(settings="hashing_queue = 1\n", workers=1)
    match = server.make_key("p", "match")
    file = tmp_path / "large.png"
    Image.effect_noise((3000, 3000), 60).save(file, compress_level=1)
    request = match_pb2.MatchImageRequest(image=file.read_bytes())
    with calling(server.address, match, large=True) as caller:
        stub: Any = caller.channel.unary_unary(
            "/disrupt.v1.MatchService/MatchImage",
            request_serializer=match_pb2.MatchImageRequest.SerializeToString,
            response_deserializer=match_pb2.MatchImageResponse.FromString,
        )
        metadata = [("authorization", f"Bearer {match}")]
        calls = [stub.future(request, metadata=metadata) for _ in range(8)]
        refused = [call.exception() for call in calls if call.exception() is not None]
        assert 0 < len(refused) < len(calls)
        for error in refused:
            details = refused_of(error)
            assert (details.code.name, details.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
            assert details.retry_after_s
        assert caller("MatchImage", request).index_cursor

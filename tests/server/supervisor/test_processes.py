"""Processes: crashes, restarts, drains, and who may use a data directory."""

from __future__ import annotations

import os
import re
import resource
import secrets as random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from disrupt.errors import ConfigurationError
from disrupt.server.config import Config
from disrupt.v1 import match_pb2, registration_pb2, types_pb2
from rig.callers.caller import (
    access,
    calling,
    health,
    items,
    lookup,
    matches,
    outcome,
    refusal,
    register,
)
from rig.processes.running import alive, processes
from rig.servers.deployment import BIN, CommandFailedError, Deployment, Start, run
from rig.waiting import eventually


def test_a_killed_server_loses_nothing_and_comes_back_at_once_on_its_port(start: Start) -> None:
    first = start()
    match, helpline = first.make_key("p", "match"), first.make_key("h", "register")
    kept, gone = random.token_bytes(32), random.token_bytes(32)
    with calling(first.address, helpline) as caller:
        caller("RegisterHashes", register(kept))
        receipt = caller("RegisterHashes", register(gone)).receipt
        request = registration_pb2.WithdrawCaseRequest(access=access(receipt.case_number))
        caller("WithdrawCase", request)
    before = processes(first.process.pid)
    assert len(before) == 3
    first.kill_supervisor()
    assert (first.data_dir / "writer.sock").exists()
    second = start(listen=first.address)
    assert second.address == first.address
    assert not any(alive(pid) for pid in before)
    assert matches(second.address, match, kept) == 1
    assert matches(second.address, match, gone) == 0


def test_processes_share_what_the_supervisor_loaded_and_stop_with_it_at_ctrl_c(
    start: Start,
) -> None:
    few = "ulimit -Sn 512 && ulimit -Hn 2048"
    server = start(workers=2, wrapper=("sh", "-c", f'{few} && exec "$@"', "sh"))
    assert len(list(Path(f"/proc/{server.process.pid}/task").iterdir())) == 1
    (writer,) = processes(server.process.pid, "writer")
    workers = processes(server.process.pid, "worker")
    assert len(workers) == 2
    for pid in (writer, *workers):
        pages = dict(
            line.split()[:2]
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        )
        assert int(pages["Shared_Dirty:"]) > 2 * int(pages["Private_Dirty:"])
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (2048, 2048)
    for worker in workers:  # so that withdrawals do not wait for lookups
        assert os.getpriority(os.PRIO_PROCESS, writer) == os.getpriority(os.PRIO_PROCESS, worker)
    os.killpg(server.process.pid, signal.SIGINT)
    assert server._ended() == 0


def test_a_second_server_or_writer_is_refused_and_the_first_goes_on(
    start: Start, tmp_path: Path
) -> None:
    server = start(workers=1)
    with pytest.raises(CommandFailedError, match="Another server or command uses"):
        start()
    with pytest.raises(CommandFailedError, match="Cannot listen on"):
        Deployment.start(tmp_path / "other", listen=server.address)
    assert health(server.address) == health_pb2.HealthCheckResponse.SERVING


def test_told_to_stop_it_goes_on_with_a_call_that_has_begun(start: Start) -> None:
    server = start(settings="drain_grace_s = 60\nvideo_stall_s = 60\n", workers=1)
    match = server.make_key("p", "match")
    sent, stopping = threading.Event(), threading.Event()

    def parts() -> Iterator[match_pb2.MatchVideoRequest]:
        yield match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions())
        sent.set()
        stopping.wait()
        yield match_pb2.MatchVideoRequest(
            frames=types_pb2.Fingerprints(
                hashes=random.token_bytes(32), qualities=bytes([90]), start_ms=[0], end_ms=[1000]
            )
        )

    with calling(server.address, match) as caller, ThreadPoolExecutor(1) as thread:
        video = thread.submit(caller, "MatchVideo", parts())
        sent.wait()
        caller("MatchHashes", lookup(bytes(32)))  # after the video, on the same connection
        server.process.send_signal(signal.SIGTERM)
        host, port = server.address.rsplit(":", 1)
        eventually(lambda: not connects(host, int(port)))
        time.sleep(3)  # longer than anything but the call itself takes to end
        stopping.set()
        assert video.result().frames_hashed == 1
    assert server.stop() == 0
    assert not (server.data_dir / "writer.sock").exists()


def connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port)).close()
    except OSError:
        return False
    return True


def test_a_process_that_dies_is_replaced_and_lookups_go_on_without_the_writer(
    start: Start,
) -> None:
    server = start(workers=1)
    match, helpline = server.make_key("p", "match"), server.make_key("h", "register")
    request = register(random.token_bytes(32))
    with calling(server.address, helpline) as caller, calling(server.address, match) as platform:
        (writer,) = processes(server.process.pid, "writer")
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
    assert processes(server.process.pid, "writer") != [writer]
    (worker,) = processes(server.process.pid, "worker")
    os.kill(worker, signal.SIGKILL)
    with calling(server.address, match) as platform:
        eventually(lambda: processes(server.process.pid, "worker") not in ([], [worker]))
        platform("MatchHashes", lookup(bytes(32)))


def test_a_damaged_snapshot_is_refused_by_name_until_a_rebuild_is_there(start: Start) -> None:
    first = start(workers=1)
    match, helpline = first.make_key("p", "match"), first.make_key("h", "register")
    value = random.token_bytes(32)
    with calling(first.address, helpline) as caller:
        caller("RegisterHashes", register(value))
    run("disrupt-index", "rebuild", "--data-dir", first.data_dir)
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
        run("disrupt-index", "rebuild", "--data-dir", server.data_dir)
        eventually(lambda: health(server.address) == serving)
        assert items(platform("MatchHashes", lookup(value)))


def test_keys_are_made_without_a_server_and_the_socket_and_files_are_the_owners_alone(
    start: Start, tmp_path: Path
) -> None:
    key_file = tmp_path / "platform.key"
    words = ("create", "p", "--right", "match", "--data-dir", tmp_path / "data")
    with pytest.raises(CommandFailedError, match="There is no data directory"):
        run("disrupt", "keys", *words)
    (tmp_path / "data").mkdir(0o700)
    said = run("disrupt", "keys", *words, "--secret-file", key_file)
    secret = key_file.read_text().strip()
    assert secret not in said
    assert key_file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandFailedError, match="exists already"):
        run("disrupt", "keys", *words, "--secret-file", key_file)
    assert key_file.read_text().strip() == secret
    assert run("disrupt", "keys", "list", "--data-dir", tmp_path / "data").count("match") == 1
    server = start(workers=1)
    assert matches(server.address, secret, bytes(32)) == 0
    assert server.data_dir.stat().st_mode & 0o777 == 0o700
    for name in ("writer.sock", "secrets.json", "registry.db", "registry.db-wal", "lock"):
        assert (server.data_dir / name).stat().st_mode & 0o077 == 0, name
    stored = (server.data_dir / "registry.db").read_bytes()
    assert secret.encode() not in stored + (server.data_dir / "registry.db-wal").read_bytes()


def test_logs_carry_neither_keys_nor_pins_nor_hashes_nor_addresses(start: Start) -> None:
    server = start(workers=1)
    helpline = server.make_key("h", "register")
    value = random.token_bytes(32)
    with calling(server.address, helpline) as caller:
        case = caller("RegisterHashes", register(value, pin="314159265358")).receipt.case_number
        wrong = registration_pb2.GetCaseRequest(access=access(case, "271828182845"))
        refusal(lambda: caller("GetCase", wrong))
        refusal(lambda: caller("MatchHashes", lookup(value)))
    assert server.stop() == 0
    log = server.data_dir.with_name("data.log").read_text()
    assert "snapshot_taken_up" in log
    for secret in (helpline, case, "314159265358", "271828182845", value.hex(), "127.0.0.1"):
        assert secret not in log


@pytest.mark.parametrize(
    ("settings", "options", "complaint"),
    [
        ("max_mesage_bytes = 1", {}, "max_mesage_bytes: no such setting"),
        ("workers = 0", {}, "workers"),
        ("workers =", {}, "cannot be read"),
        ("", {"listen": "0.0.0.0:0"}, "give tls_cert and tls_key"),
        ("", {"listen": "example.org:0"}, "give tls_cert and tls_key"),
        ("", {"listen": "nonsense"}, "not HOST:PORT"),
        ("", {"tls_cert": "cert.pem"}, "belong together"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused_by_setting(
    tmp_path: Path, settings: str, options: dict[str, str], complaint: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(settings)
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        Config.load(file, data_dir=tmp_path / "data", **options)


def test_a_refusal_does_not_name_settings_whose_default_follows_from_others(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"refused: max_call_s: [^;]*$"):
        Config.load(None, data_dir=tmp_path / "data", max_call_s=0)


def test_a_server_that_is_wrongly_configured_ends_with_2_and_makes_nothing(tmp_path: Path) -> None:
    words: list[str | Path] = [BIN / "disrupt", "serve", "--data-dir", tmp_path / "data"]
    words += ["--listen=nonsense"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert not (tmp_path / "data").exists()


def test_a_data_directory_whose_secrets_are_gone_is_not_served_with_others(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir(0o700)
    run("disrupt", "keys", "list", "--data-dir", tmp_path / "data")
    (tmp_path / "data" / "secrets.json").unlink()
    with pytest.raises(CommandFailedError, match=r"secrets\.json is missing"):
        start()


def test_a_path_too_long_for_a_socket_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="too long for a socket"):
        Deployment.start(tmp_path / ("x" * 120))

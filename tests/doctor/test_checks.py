"""Each check finds the fault it looks for, and none on a sound machine."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import shutil
import socket
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from disrupt.core.changes import Cursor
from disrupt.core.policy import ApiKey
from disrupt.data_directory import JOURNAL, DataDirectory
from disrupt.doctor import computing, data, disk, machine, network
from disrupt.doctor.commands import doctor
from disrupt.doctor.findings import Finding, Verdict, findings
from disrupt.feed.rebuild import rebuild
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.index import generations, known_answers
from disrupt.index.flat import FlatIndex
from disrupt.index.multi_index.engine import MultiIndex
from disrupt.isolation import videos
from disrupt.registry import journal, opening
from disrupt.registry.integrity import has_wal_reset_bug
from disrupt.registry.sql import SqlRegistry
from tests.doctor.certificates import Pair, pair
from tests.registry.examples import ACT, lay_out_revision_0001, registration

MIB = 2**20


def only(reported: Iterable[Finding]) -> Finding:
    (finding,) = reported
    assert (finding.advice == "") == (finding.verdict == Verdict.OK)
    return finding


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Make a data directory as a server leaves it, with one registration."""
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    with SqlRegistry.open_writer(path / "registry.db") as writer:
        writer.register(registration(random.Random(1)), day="2026-11-25")
        head = writer.head()
    generations.create_first(path / "index", head.epoch)
    secrets = path / "secrets.json"
    secrets.write_text(json.dumps({"pepper": "ab" * 32, "match_tokens": "cd" * 32}))
    secrets.chmod(0o600)
    return path


def verdicts(data_dir: Path) -> dict[str, Verdict]:
    return {finding.name: finding.verdict for finding in findings(data.checks(data_dir))}


@pytest.mark.slow
def test_this_machine_hashes_and_searches_rightly() -> None:
    reported = list(findings(computing.checks()))
    assert [finding.name for finding in reported] == [
        "hashes",
        "pdq",
        "isolation",
        "videos",
        "faiss",
        "kernels",
    ]
    assert {finding.verdict for finding in reported} == {Verdict.OK}, reported


@pytest.mark.slow
def test_a_build_that_hashes_otherwise_than_the_reference_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = hash_luma
    monkeypatch.setattr(computing, "hash_luma", lambda luma: right(luma[:, ::-1]))
    reported = {finding.name: finding.verdict for finding in findings(computing.checks())}
    assert reported["pdq"] == Verdict.FAIL


def test_a_decoder_of_videos_that_does_not_start_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no process")

    monkeypatch.setattr(videos, "_Process", fail)
    reported = {finding.name: finding.verdict for finding in findings(computing.checks())}
    assert (reported["isolation"], reported["videos"]) == (Verdict.OK, Verdict.WARN)


@pytest.mark.slow
def test_a_search_that_loses_one_neighbour_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    for searched, name in (
        (FlatIndex, "faiss"),
        (MultiIndex, "kernels"),
    ):
        right = searched.search

        def search(*arguments, right=right):  # type: ignore[no-untyped-def]
            neighbours = right(*arguments)
            return type(neighbours)(
                neighbours.query[1:], neighbours.entry[1:], neighbours.distance[1:]
            )

        with monkeypatch.context() as patched:
            patched.setattr(searched, "search", search)
            reported = {finding.name: finding.verdict for finding in findings(computing.checks())}
        assert reported[name] == Verdict.FAIL


def test_searches_that_give_known_answers_are_found_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    for search in ("check_flat_search", "check_table_search"):  # the second takes seconds
        monkeypatch.setattr(known_answers, search, lambda: None)
    checks = [check for check in computing.checks() if check.name in {"faiss", "kernels"}]
    reported = [(finding.name, finding.verdict) for finding in findings(checks)]
    assert reported == [("faiss", Verdict.OK), ("kernels", Verdict.OK)]


def test_the_report_for_programs_holds_all_findings_and_fails_with_one(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in (computing, machine, disk):  # what they find depends on this machine
        monkeypatch.setattr(room, "checks", lambda *_: ())

    def report(path: Path) -> tuple[int, bool, dict[str, str]]:
        done = CliRunner().invoke(doctor, ["--json", "--data-dir", str(path)])
        written = json.loads(done.stdout)
        verdicts = {finding["name"]: finding["verdict"] for finding in written["findings"]}
        return done.exit_code, written["ok"], verdicts

    code, is_ok, verdicts = report(data_dir)
    assert (code, is_ok) == (0, True)
    assert verdicts.keys() >= {"sqlite", "permissions", "secrets", "registry", "removals", "index"}
    code, is_ok, verdicts = report(data_dir / "elsewhere")
    assert (code, is_ok, verdicts["data directory"]) == (1, False, Verdict.FAIL)


@pytest.mark.parametrize(
    ("version", "affected"),
    [("3.6.23", False), ("3.7.0", True), ("3.46.1", True), ("3.51.2", True), ("3.51.3", False)],
)
def test_versions_of_sqlite_with_the_wal_reset_bug_are_known(version: str, affected: bool) -> None:
    assert has_wal_reset_bug(version) == affected


def test_a_sound_data_directory_is_found_sound(data_dir: Path) -> None:
    assert set(verdicts(data_dir).values()) == {Verdict.OK}


def test_a_data_directory_without_anything_yet_is_no_trouble(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert set(verdicts(tmp_path).values()) == {Verdict.OK}
    with SqlRegistry.open_writer(tmp_path / "registry.db"):
        pass  # `disrupt keys` does this before the first start
    assert set(verdicts(tmp_path).values()) == {Verdict.OK}


def test_secrets_that_others_may_read_fail(data_dir: Path) -> None:
    (data_dir / "secrets.json").chmod(0o640)
    assert verdicts(data_dir)["permissions"] == Verdict.FAIL


def test_a_directory_that_others_may_enter_warns(data_dir: Path) -> None:
    data_dir.chmod(0o755)
    assert verdicts(data_dir)["permissions"] == Verdict.WARN


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", "{}", "[]", '{"pepper": "ab"}', '{"pepper": 7, "match_tokens": 7}'),
        json.dumps({"pepper": "ab" * 32}),
    ],
)
def test_a_lost_or_damaged_pepper_fails(data_dir: Path, content: str | None) -> None:
    path = data_dir / "secrets.json"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    finding = next(
        candidate for candidate in findings(data.checks(data_dir)) if candidate.name == "secrets"
    )
    assert finding.verdict == Verdict.FAIL
    assert "backup" in finding.advice


def test_secrets_of_another_registry_fail(data_dir: Path) -> None:
    with opening.writing(DataDirectory(data_dir)):
        assert verdicts(data_dir)["secrets"] == Verdict.OK
    other = {"pepper": "12" * 32, "match_tokens": "34" * 32}
    (data_dir / "secrets.json").write_text(json.dumps(other))
    assert verdicts(data_dir)["secrets"] == Verdict.FAIL


def test_a_damaged_registry_fails(data_dir: Path) -> None:
    path = data_dir / "registry.db"
    with path.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 4096)
    assert verdicts(data_dir)["registry"] == Verdict.FAIL
    path.write_bytes(b"no database" * 1000)
    assert verdicts(data_dir)["registry"] == Verdict.FAIL


def test_a_registry_that_the_next_start_brings_up_to_date_warns_and_is_not_to_be_restored(
    data_dir: Path, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    lay_out_revision_0001(before)
    before.chmod(0o700)
    shutil.copy(data_dir / "secrets.json", before)
    reported = {finding.name: finding for finding in findings(data.checks(before))}
    assert {name: finding.verdict for name, finding in reported.items()} == {
        "permissions": Verdict.OK,
        "secrets": Verdict.OK,
        "registry": Verdict.WARN,
        "removals": Verdict.OK,
        "index": Verdict.WARN,
    }
    for name in ("registry", "index"):
        assert reported[name].advice.startswith("Start `disrupt serve` once")
    (before / JOURNAL).unlink()
    assert verdicts(before)["removals"] == Verdict.WARN
    (before / "secrets.json").unlink()
    assert verdicts(before)["secrets"] == Verdict.FAIL
    with (before / "registry.db").open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 4096)
    assert verdicts(before)["registry"] == Verdict.FAIL


def test_a_registry_that_is_gone_is_not_taken_for_the_beginning(data_dir: Path) -> None:
    (data_dir / "registry.db").unlink()
    (data_dir / JOURNAL).unlink()
    (data_dir / "secrets.json").unlink()
    gone = verdicts(data_dir)
    assert (gone["registry"], gone["secrets"], gone["index"]) == (Verdict.FAIL,) * 3
    assert gone["removals"] == Verdict.WARN


def test_a_damaged_snapshot_fails_by_name(data_dir: Path) -> None:
    codes = data_dir / "index" / "00000001" / "codes.faiss"
    codes.write_bytes(codes.read_bytes()[:-1] + b"\xff")
    finding = next(
        candidate for candidate in findings(data.checks(data_dir)) if candidate.name == "index"
    )
    assert finding.verdict == Verdict.FAIL
    assert "codes.faiss" in finding.meaning
    assert "rebuild" in finding.advice


def test_a_damaged_snapshot_warns_by_name_while_an_older_one_is_sound(data_dir: Path) -> None:
    with SqlRegistry.open_reader(data_dir / "registry.db") as reader:
        rebuild(reader, data_dir / "index")
    codes = data_dir / "index" / "00000002" / "codes.faiss"
    codes.write_bytes(codes.read_bytes()[:-1] + b"\xff")
    finding = next(check for check in findings(data.checks(data_dir)) if check.name == "index")
    assert finding.verdict == Verdict.WARN
    assert "codes.faiss" in finding.meaning
    assert "Generation 1" in finding.meaning


def test_a_snapshot_of_another_registry_fails(data_dir: Path) -> None:
    generations.publish(data_dir / "index", (), Cursor(bytes(16), 0))
    index = next(finding for finding in findings(data.checks(data_dir)) if finding.name == "index")
    assert index.verdict == Verdict.FAIL
    assert index.advice.startswith("Put the right registry.db back")  # A rebuild would refuse.


def test_an_older_registry_than_the_one_noted_fails_without_an_index_too(
    data_dir: Path,
) -> None:
    registry = data_dir / "registry.db"
    older = registry.read_bytes()
    with SqlRegistry.open_writer(registry) as writer:
        writer.register(registration(random.Random(2)), day="2026-11-26")
    registry.write_bytes(older)
    shutil.rmtree(data_dir / "index")
    assert verdicts(data_dir)["index"] == Verdict.FAIL


def test_a_removal_that_the_writer_lists_a_moment_later_warns_of_nothing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (data_dir / JOURNAL).read_bytes()
    with SqlRegistry.open_writer(data_dir / "registry.db") as writer:
        writer.add_key(
            ApiKey("0000000a", "p", bytes(32), frozenset(), frozenset(), "2026-01-01"), act=ACT
        )
        writer.revoke_key("0000000a", day="2026-01-02", act=ACT)
    after = (data_dir / JOURNAL).read_bytes()
    for unfinished in (before, after[:-10]):
        (data_dir / JOURNAL).write_bytes(unfinished)
        with monkeypatch.context() as patched:
            patched.setattr(time, "sleep", lambda _: (data_dir / JOURNAL).write_bytes(after))
            assert verdicts(data_dir)["removals"] == Verdict.OK


def test_a_missing_or_damaged_journal_of_removals_warns_and_another_file_fails(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_PATIENCE_S", 0.0)
    (data_dir / JOURNAL).unlink()
    assert verdicts(data_dir)["removals"] == Verdict.WARN
    removed = [journal.Removed(number, bytes([number]) * 16) for number in (1, 2)]
    journal.write(data_dir / JOURNAL, removed)
    assert verdicts(data_dir)["removals"] == Verdict.OK
    for damaged_at in (40, 72):  # between good records, and at the end
        with (data_dir / JOURNAL).open("r+b") as file:
            file.seek(damaged_at)
            file.write(b"\xff")
        assert verdicts(data_dir)["removals"] == Verdict.WARN
        with SqlRegistry.open_writer(data_dir / "registry.db"):
            pass  # as the next start does
        assert verdicts(data_dir)["removals"] == Verdict.OK
        journal.write(data_dir / JOURNAL, removed)
    with SqlRegistry.open_writer(data_dir / "registry.db") as writer:
        writer.add_key(
            ApiKey("0000000a", "p", bytes(32), frozenset(), frozenset(), "2026-01-01"), act=ACT
        )
        writer.revoke_key("0000000a", day="2026-01-02", act=ACT)
    assert verdicts(data_dir)["removals"] == Verdict.OK
    journal.write(data_dir / JOURNAL, [])
    assert verdicts(data_dir)["removals"] == Verdict.WARN
    (data_dir / JOURNAL).write_bytes(b"something else")
    assert verdicts(data_dir)["removals"] == Verdict.FAIL


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("ext4", Verdict.OK), ("tmpfs", Verdict.WARN), ("nfs4", Verdict.FAIL), ("cifs", Verdict.FAIL)],
)
def test_data_on_a_network_or_in_memory_is_named(
    tmp_path: Path, kind: str, verdict: Verdict
) -> None:
    mounts = (
        "1 0 8:1 / / rw - ext4 /dev/a rw\n"
        f"2 1 0:9 / {tmp_path} rw,relatime shared:1 - {kind} somewhere rw\n"
        f"3 1 0:9 / {tmp_path}-other rw - ext4 /dev/b rw"
    )
    assert only(disk.file_system(tmp_path / "data", mounts)).verdict == verdict


def test_a_disk_that_can_be_written_is_found_so_and_left_clean(tmp_path: Path) -> None:
    assert only(disk.sync(tmp_path)).verdict in (Verdict.OK, Verdict.WARN)
    assert not list(tmp_path.iterdir())
    assert only(disk.free_space(tmp_path)).verdict in (Verdict.OK, Verdict.WARN)


def test_a_disk_that_refuses_to_write_fails(data_dir: Path) -> None:
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, was[1]))
    try:
        by_name = {finding.name: finding for finding in findings(disk.checks(data_dir))}
        assert only(machine.files()).verdict == Verdict.WARN
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)
    assert by_name["fsync"].verdict == Verdict.FAIL


def test_a_full_disk_warns_as_the_server_survives_it(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "_MIN_FREE_BYTES", 2**63)
    monkeypatch.setattr(os, "fsync", full)
    by_name = {finding.name: finding for finding in findings(disk.checks(data_dir))}
    assert by_name["fsync"].verdict == by_name["free space"].verdict == Verdict.WARN
    assert "registrations are about to be refused" in by_name["free space"].meaning


def test_a_clock_that_is_wrong_or_was_set_back_is_noticed(data_dir: Path) -> None:
    assert only(machine.clock(data_dir)).verdict == Verdict.OK
    assert only(machine.clock(data_dir, now_s=0.0)).verdict == Verdict.FAIL
    assert only(machine.clock(data_dir, now_s=time.time() - 3600)).verdict == Verdict.WARN


def test_too_little_memory_for_the_index_is_noticed() -> None:
    assert only(machine.memory(100 * MIB, available_bytes=800 * MIB)).verdict == Verdict.OK
    assert only(machine.memory(100 * MIB, available_bytes=600 * MIB)).verdict == Verdict.WARN


def test_core_dumps_are_noticed() -> None:
    was = resource.getrlimit(resource.RLIMIT_CORE)
    if was[1] == 0:
        pytest.skip("core dumps cannot be switched on here")
    try:
        for limit, verdict in ((0, Verdict.OK), (1, Verdict.WARN)):
            resource.setrlimit(resource.RLIMIT_CORE, (limit, was[1]))
            assert only(machine.core_dumps()).verdict == verdict
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, was)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("tls"), "match.example.org")


def _days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


@pytest.mark.parametrize(
    ("days", "verdict"),
    [(0, Verdict.OK), (60, Verdict.OK), (80, Verdict.WARN), (91, Verdict.FAIL), (-2, Verdict.FAIL)],
)
def test_a_certificate_is_judged_by_its_days(tls: Pair, days: int, verdict: Verdict) -> None:
    given = network.Tls(tls.certificate, tls.key)
    finding = only(network.certificate(given, _days(days)))
    assert finding.verdict == verdict
    assert verdict == Verdict.FAIL or "match.example.org" in finding.meaning


def test_a_certificate_with_the_key_of_another_fails(tls: Pair, tmp_path: Path) -> None:
    other_tls = pair(tmp_path, "other.example.org")
    finding = only(network.certificate(network.Tls(tls.certificate, other_tls.key), _days(0)))
    assert finding.verdict == Verdict.FAIL
    swapped = network.Tls(tls.key, tls.certificate)
    assert only(network.certificate(swapped, _days(0))).verdict == Verdict.FAIL


def test_a_private_key_that_others_may_read_warns(tmp_path: Path) -> None:
    readable = pair(tmp_path, "match.example.org")
    readable.key.chmod(0o644)
    finding = only(network.certificate(network.Tls(readable.certificate, readable.key), _days(0)))
    assert finding.verdict == Verdict.WARN


@pytest.mark.parametrize(
    ("days", "verdict"),
    [(-2, Verdict.FAIL), (0, Verdict.OK), (85, Verdict.WARN), (91, Verdict.FAIL)],
)
def test_an_authority_of_client_certificates_is_judged_by_its_days(
    tls: Pair, days: int, verdict: Verdict
) -> None:
    assert only(network.authorities(tls.certificate, _days(days))).verdict == verdict


def test_a_file_without_authorities_fails(tls: Pair) -> None:
    assert only(network.authorities(tls.key, _days(0))).verdict == Verdict.FAIL


def test_an_address_in_the_open_needs_tls(tls: Pair) -> None:
    given = network.Tls(tls.certificate, tls.key)
    assert only(network.address("0.0.0.0:0", None)).verdict == Verdict.FAIL
    assert only(network.address("0.0.0.0:0", given)).verdict == Verdict.OK
    assert only(network.address("127.0.0.1:0", None)).verdict == Verdict.OK
    assert only(network.address("nonsense", None)).verdict == Verdict.FAIL


def test_a_port_that_is_taken_is_noticed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        here = f"127.0.0.1:{taken.getsockname()[1]}"
        assert only(network.address(here, None)).verdict == Verdict.WARN

"""Each check finds the fault it looks for, and none on a sound machine."""

from __future__ import annotations

import json
import os
import random
import resource
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from disrupt.core.changes import Cursor
from disrupt.core.policy import ApiKey
from disrupt.data_directory import JOURNAL, DataDirectory
from disrupt.doctor import data, disk, machine, private_keys
from disrupt.doctor.commands import doctor
from disrupt.doctor.findings import Finding, Verdict, findings
from disrupt.errors import DisruptError
from disrupt.index import generations
from disrupt.isolation import videos
from disrupt.registry import journal, opening, sqlite
from disrupt.registry.records import Removed
from disrupt.upkeep.rebuild import rebuild
from rig.callers.shell import typed
from rig.media.codes import rewrite_manifest
from rig.media.registrations import ACT, registration


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Make a data directory as a server leaves it, with one registration."""
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    with sqlite.open_writer(path / "registry.db") as writer:
        writer.register(registration(random.Random(1)), day="2026-11-25")
        head = writer.head()
    generations.create_first(path / "index", head.epoch)
    secrets = path / "secrets.json"
    secrets.write_text(json.dumps({"pepper": "ab" * 32, "match_tokens": "cd" * 32}))
    secrets.chmod(0o600)
    return path


def reported(data_dir: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings(data.checks(data_dir))}


def verdicts(data_dir: Path) -> dict[str, Verdict]:
    return {name: finding.verdict for name, finding in reported(data_dir).items()}


def damage(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def revoke_a_key(data_dir: Path) -> None:
    with sqlite.open_writer(data_dir / "registry.db") as writer:
        writer.add_key(
            ApiKey("0000000a", "p", "o", bytes(32), frozenset(), frozenset(), "2026-01-01"), act=ACT
        )
        writer.revoke_key("0000000a", day="2026-01-02", act=ACT)


def test_this_machine_is_fit_and_wrong_answers_or_no_video_process_are_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def of_machine() -> dict[str, Verdict]:
        return {finding.name: finding.verdict for finding in findings(machine.checks())}

    def wrong() -> None:
        raise DisruptError("wrong")

    def fail(*_: object) -> None:
        raise OSError("no process")

    sound = of_machine()
    sound.pop("core dumps")  # as the machine is set
    assert sound == dict.fromkeys(("known answers", "isolation", "videos"), Verdict.OK)
    monkeypatch.setattr(videos, "_Process", fail)
    monkeypatch.setattr(machine, "check_flat_search", wrong)
    broken = of_machine()
    assert (broken["known answers"], broken["videos"]) == (Verdict.FAIL, Verdict.WARN)
    assert broken["isolation"] == Verdict.OK


@pytest.mark.parametrize(
    ("pattern", "soft", "hard", "verdict"),
    [
        ("core", 0, 0, Verdict.OK),
        ("/var/crash/core.%p", 0, 0, Verdict.OK),
        ("core", 0, resource.RLIM_INFINITY, Verdict.WARN),
        ("core", 1, 1, Verdict.WARN),
        ("|/usr/share/apport/apport -p%p", 0, 0, Verdict.WARN),
    ],
)
def test_core_dumps_are_reported(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pattern: str,
    soft: int,
    hard: int,
    verdict: Verdict,
) -> None:
    (tmp_path / "core_pattern").write_text(f"{pattern}\n")
    monkeypatch.setattr(machine, "_CORE_PATTERN", tmp_path / "core_pattern")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    assert [finding.verdict for finding in machine.core_dumps()] == [verdict]


def test_the_report_for_programs_holds_all_findings_and_fails_with_one(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "checks", lambda: ())

    def report(path: Path) -> tuple[int, bool, dict[str, str]]:
        done = CliRunner().invoke(doctor, ["--json", "--data-dir", str(path)])
        written = json.loads(done.stdout)
        verdicts = {finding["name"]: finding["verdict"] for finding in written["findings"]}
        return done.exit_code, written["ok"], verdicts

    code, is_ok, verdicts = report(data_dir)
    assert (code, is_ok) == (0, True)
    of_disk, of_data = {"file system", "free space"}, {"permissions", "secrets", "registry"}
    assert verdicts.keys() == of_disk | of_data | {"removals", "index", "erasure", "audit log"}
    code, is_ok, verdicts = report(data_dir / "elsewhere")
    assert (code, is_ok, verdicts) == (1, False, {"data directory": Verdict.FAIL})


def test_a_sound_data_directory_is_reported_sound_and_so_is_an_empty_one(
    data_dir: Path, tmp_path: Path
) -> None:
    assert set(verdicts(data_dir).values()) == {Verdict.OK}
    empty = tmp_path / "empty"
    empty.mkdir(0o700)
    assert set(verdicts(empty).values()) == {Verdict.OK}
    with sqlite.open_writer(empty / "registry.db"):
        pass  # `disrupt keys` does this before the first start
    assert set(verdicts(empty).values()) == {Verdict.OK}


def test_what_other_users_may_read_is_reported(data_dir: Path) -> None:
    data_dir.chmod(0o755)
    assert verdicts(data_dir)["permissions"] == Verdict.WARN
    (data_dir / "secrets.json").chmod(0o640)
    assert verdicts(data_dir)["permissions"] == Verdict.FAIL


@pytest.mark.parametrize(
    "content",
    [None, "", "[]", '{"pepper": 7, "match_tokens": 7}', json.dumps({"pepper": "ab" * 32})],
)
def test_a_lost_or_damaged_pepper_fails(data_dir: Path, content: str | None) -> None:
    path = data_dir / "secrets.json"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    finding = reported(data_dir)["secrets"]
    assert finding.verdict == Verdict.FAIL
    assert "backup" in finding.advice


@pytest.mark.parametrize(
    ("mode", "uid", "verdict"),
    [
        (0o600, 0, Verdict.OK),
        (0o640, 0, Verdict.OK),
        (0o660, 0, Verdict.FAIL),
        (0o644, 0, Verdict.FAIL),
        (0o400, 1234, Verdict.OK),
        (0o640, 1234, Verdict.FAIL),
        (0o604, 1234, Verdict.FAIL),
    ],
)
def test_a_private_key_that_others_may_read_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, uid: int, verdict: Verdict
) -> None:
    config, key, other = (tmp_path / name for name in ("my.toml", "key.pem", "other.pem"))
    for file in (key, other):
        file.touch(mode=0o600)
    key.chmod(mode)
    whose = SimpleNamespace(st_uid=uid, st_mode=key.stat().st_mode)
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path: whose if path == key else stat(path))
    config.write_text(f'internal_key = "{key}"\ntls_key = "{other}"\n')
    found = [finding.verdict for finding in findings(private_keys.checks(config, None))]
    assert found == [Verdict.OK, verdict]
    found = [finding.verdict for finding in findings(private_keys.checks(config, key))]
    assert found == [verdict, verdict]


def test_the_command_looks_at_the_keys_that_its_settings_name(tmp_path: Path) -> None:
    assert private_keys.checks(None, None) == ()
    config = tmp_path / "my.toml"
    for text, verdict in (
        ("workers = 2", Verdict.OK),
        ("workers = ", Verdict.FAIL),
        (f'tls_key = "{tmp_path / "none.pem"}"', Verdict.FAIL),
    ):
        config.write_text(text)
        (finding,) = findings(private_keys.checks(config, None))
        assert finding.verdict == verdict
    done = typed("doctor", "--json", DISRUPT_CONFIG=str(config))
    assert done.code == 1
    assert {"TLS keys"} == {
        finding["name"] for finding in done.json["findings"] if finding["verdict"] == "fail"
    }


def test_secrets_of_another_registry_fail(data_dir: Path) -> None:
    with opening.writing(DataDirectory(data_dir)):
        assert verdicts(data_dir)["secrets"] == Verdict.OK
    other = {"pepper": "12" * 32, "match_tokens": "34" * 32}
    (data_dir / "secrets.json").write_text(json.dumps(other))
    assert verdicts(data_dir)["secrets"] == Verdict.FAIL


def test_a_damaged_registry_fails(data_dir: Path) -> None:
    path = data_dir / "registry.db"
    damage(path, 5 * 4096, b"\xff" * 4096)
    assert verdicts(data_dir)["registry"] == Verdict.FAIL
    path.write_bytes(b"no database" * 1000)
    assert verdicts(data_dir)["registry"] == Verdict.FAIL


def test_a_schema_that_only_a_start_would_upgrade_fails(data_dir: Path) -> None:
    with closing(sqlite3.connect(data_dir / "registry.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    found = reported(data_dir)["registry"]
    assert (found.verdict, "Start `disrupt serve` once" in found.meaning) == (Verdict.FAIL, True)
    assert found.advice.startswith("Do what this says.")


def test_a_registry_that_is_gone_is_not_taken_for_the_beginning(data_dir: Path) -> None:
    for name in ("registry.db", JOURNAL, "secrets.json"):
        (data_dir / name).unlink()
    gone = verdicts(data_dir)
    assert (gone["registry"], gone["secrets"], gone["index"]) == (Verdict.FAIL,) * 3
    assert gone["removals"] == Verdict.WARN


def test_a_damaged_snapshot_fails_and_warns_while_an_older_one_is_sound(data_dir: Path) -> None:
    with sqlite.open_reader(data_dir / "registry.db") as reader:
        rebuild(reader, data_dir / "index")
    for number, verdict in ((2, Verdict.WARN), (1, Verdict.FAIL)):
        codes = data_dir / "index" / f"{number:08}" / "codes.faiss"
        codes.write_bytes(codes.read_bytes()[:-1] + b"\xff")
        finding = reported(data_dir)["index"]
        assert finding.verdict == verdict
        assert "rebuild" in finding.advice
        assert verdict == Verdict.FAIL or "Generation 1" in finding.meaning


def test_an_index_of_another_registry_and_an_older_registry_fail(data_dir: Path) -> None:
    registry = data_dir / "registry.db"
    older = registry.read_bytes()
    with sqlite.open_writer(registry) as writer:
        writer.register(registration(random.Random(2)), day="2026-11-26")
    newer = registry.read_bytes()
    registry.write_bytes(older)
    assert verdicts(data_dir)["index"] == Verdict.FAIL
    registry.write_bytes(newer)
    assert verdicts(data_dir)["index"] == Verdict.OK
    generations.publish(data_dir / "index", (), Cursor(bytes(16), 0))
    finding = reported(data_dir)["index"]
    assert finding.verdict == Verdict.FAIL
    assert finding.advice.startswith("Put the right registry.db back")  # A rebuild would refuse.


def test_a_removal_that_the_writer_lists_a_moment_later_warns_of_nothing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (data_dir / JOURNAL).read_bytes()
    revoke_a_key(data_dir)
    after = (data_dir / JOURNAL).read_bytes()
    for unfinished in (before, after[:-10]):
        (data_dir / JOURNAL).write_bytes(unfinished)
        with monkeypatch.context() as patched:
            patched.setattr(time, "sleep", lambda _: (data_dir / JOURNAL).write_bytes(after))
            assert verdicts(data_dir)["removals"] == Verdict.OK


def test_a_missing_damaged_or_older_journal_of_removals_warns_and_another_file_fails(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_PATIENCE_S", 0.0)
    path = data_dir / JOURNAL
    path.unlink()
    assert verdicts(data_dir)["removals"] == Verdict.WARN
    removed = [Removed(number, bytes([number]) * 16) for number in (1, 2)]
    for damaged_at in (60, 108):  # between good records, and at the end
        journal.write(path, removed)
        assert verdicts(data_dir)["removals"] == Verdict.OK
        damage(path, damaged_at, b"\xff")
        assert verdicts(data_dir)["removals"] == Verdict.WARN
    with sqlite.open_writer(data_dir / "registry.db"):
        pass  # as the next start does
    revoke_a_key(data_dir)
    assert verdicts(data_dir)["removals"] == Verdict.OK
    journal.write(path, [])
    assert verdicts(data_dir)["removals"] == Verdict.WARN
    path.write_bytes(b"something else")
    assert verdicts(data_dir)["removals"] == Verdict.FAIL


def test_what_was_withdrawn_and_not_erased_in_time_fails(data_dir: Path) -> None:
    with sqlite.open_writer(data_dir / "registry.db") as writer:
        case = writer.register(registration(random.Random(2)), day="2026-11-25").case_number
        rebuild(writer, data_dir / "index")
        writer.withdraw(case, None, day="2026-11-26")
    assert verdicts(data_dir)["erasure"] == Verdict.OK
    begun_s = int(time.time()) - 25 * 3600
    rewrite_manifest(data_dir / "index/00000002", lambda body: body.update(begun_s=begun_s))
    found = reported(data_dir)["erasure"]
    assert (found.verdict, "25 hours" in found.meaning) == (Verdict.FAIL, True)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("ext4", Verdict.OK), ("tmpfs", Verdict.WARN), ("nfs4", Verdict.FAIL), ("cifs", Verdict.FAIL)],
)
def test_data_on_a_network_or_in_memory_is_reported(
    tmp_path: Path, kind: str, verdict: Verdict
) -> None:
    mounts = (
        "1 0 8:1 / / rw - ext4 /dev/a rw\n"
        f"2 1 0:9 / {tmp_path} rw,relatime shared:1 - {kind} somewhere rw\n"
        f"3 1 0:9 / {tmp_path}-other rw - ext4 /dev/b rw"
    )
    (finding,) = disk.file_system(tmp_path / "data", mounts)
    assert finding.verdict == verdict


def test_little_free_space_warns_and_a_full_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for blocks, verdict in ((2**20, Verdict.OK), (2**15, Verdict.WARN), (2**10, Verdict.FAIL)):
        status = SimpleNamespace(f_bavail=blocks, f_frsize=4096)
        monkeypatch.setattr(os, "statvfs", lambda _, status=status: status)
        (finding,) = disk.free_space(tmp_path)
        assert finding.verdict == verdict

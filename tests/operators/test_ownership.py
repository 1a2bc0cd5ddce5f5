"""Only its owner writes into a data directory, and failed erasures are reported."""

from __future__ import annotations

import asyncio
import os
import pwd
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from disrupt import ownership
from disrupt.cli import main
from disrupt.data_directory import DataDirectory
from disrupt.doctor import data
from disrupt.doctor.findings import Verdict, findings
from disrupt.errors import DataDirectoryError, DisruptError
from disrupt.index.generations import create_first, current, directory_of, generations
from disrupt.registry import sqlite
from disrupt.server.config import Config
from disrupt.server.upkeep import maintenance
from disrupt.server.upkeep.erasure import erase
from disrupt.upkeep.rebuild import rebuild
from indexer.commands import main as indexer
from rig.media.registrations import DAY, registration
from rig.servers.deployment import CommandFailedError, run

OWNER = 12345
"""A user id without a name on any machine."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


def chown(directory: Path, uid: int) -> None:
    for path in (directory, *directory.rglob("*")):
        os.chown(path, uid, -1)


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Make the data of a server that ran as OWNER; pytest's own directory is root's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    directory = DataDirectory(folder / "data")
    directory.make()
    directory.secrets()
    with sqlite.open_writer(directory.registry) as writer:
        create_first(directory.index, writer.head().epoch)
        writer.register(registration(random.Random(1)), day=DAY)
        rebuild(writer, directory.index)
    with directory.locked():
        pass
    chown(directory.path, OWNER)
    yield directory.path
    shutil.rmtree(folder)


def state(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Return user, time of writing and time of change of each file."""
    return {
        str(path): (path.stat().st_uid, path.stat().st_mtime_ns, path.stat().st_ctime_ns)
        for path in (directory, *directory.rglob("*"))
    }


COMMANDS = (
    *("disrupt-index rebuild", "disrupt-index compact", "disrupt-index verify"),
    *("disrupt-index stats", "disrupt-index gc", "disrupt-index rollback"),
    *("disrupt erase", "disrupt backup --to backup", "disrupt restore --from backup"),
    *("disrupt keys list", "disrupt keys create platform --right match"),
    "disrupt keys revoke 00000000",
)


def test_root_is_refused_in_the_directory_of_another_user_before_anything_is_written(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = state(data_dir)
    for command in COMMANDS:
        name, *words = command.split()
        program = main if name == "disrupt" else indexer
        done = CliRunner().invoke(program, [*words, "--data-dir", str(data_dir)])
        assert (done.exit_code, done.stdout) == (1, ""), command
        for fact in ("belongs to uid 12345", "runs as root (uid 0)", "sudo -u '#12345'"):
            assert fact in done.stderr, command
        assert state(data_dir) == before, command
    assert list(tmp_path.iterdir()) == []


def test_the_server_does_not_start_as_another_user_than_the_owner(data_dir: Path) -> None:
    before = state(data_dir)
    daemon = pwd.getpwnam("daemon")
    with pytest.raises(CommandFailedError, match=r"belongs to uid 12345.*runs as root \(uid 0\)"):
        run("disrupt", "serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir)
    assert state(data_dir) == before
    chown(data_dir, daemon.pw_uid)
    with pytest.raises(CommandFailedError, match="sudo -u daemon"):
        run("disrupt-index", "rebuild", "--data-dir", data_dir)


def test_a_volume_of_roots_belongs_to_whoever_made_its_lock(data_dir: Path) -> None:
    os.chown(data_dir, 0, -1)
    data_dir.chmod(0o777)
    with acting_as(OWNER):
        ownership.check(data_dir)
    with pytest.raises(DataDirectoryError, match="belongs to uid 12345"):
        ownership.check(data_dir)
    (data_dir / "lock").unlink()
    for uid in (0, OWNER):
        with acting_as(uid):
            ownership.check(data_dir)


def test_a_directory_that_this_user_may_not_see_is_refused_in_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with acting_as(OWNER), pytest.raises(DataDirectoryError, match="cannot be made"):
        DataDirectory(tmp_path / "closed" / "data").make()


@pytest.fixture
def foreign(data_dir: Path) -> Path:
    """Publish a generation that root wrote, and that holds items withdrawn since."""
    chown(data_dir, 0)
    index = data_dir / "index"
    with sqlite.open_writer(data_dir / "registry.db") as writer:
        gone = writer.register(registration(random.Random(2)), day=DAY).case_number
        rebuild(writer, index)
        foreign = directory_of(index, current(index))
        writer.withdraw(gone, None, day=DAY)
        rebuild(writer, index)
    chown(data_dir, OWNER)
    chown(foreign, 0)
    return foreign


def test_an_erasure_that_cannot_delete_a_file_says_whose_it_is(
    data_dir: Path, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = r"uid 12345 may not use .*index/00000003, which belongs to root \(uid 0\)"
    with acting_as(OWNER):
        with pytest.raises(DisruptError, match=message):
            erase(data_dir)
        done = CliRunner().invoke(main, ["erase", "--data-dir", str(data_dir)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "which belongs to root (uid 0)" in done.stderr
    monkeypatch.setattr(os, "nice", lambda _: 0)
    config = Config(data_dir=data_dir, erase_within_h=1e-9)
    with acting_as(OWNER), capture_logs() as logs, pytest.raises(SystemExit) as ended:
        asyncio.run(maintenance.run(config))
    assert ended.value.code == 1
    failures = [entry for entry in logs if entry["event"] == "erasure_failed"]
    assert [re.search(message, entry["reason"]) is not None for entry in failures] == [True]
    assert foreign.exists()
    assert generations(data_dir / "index")[1:] == [3]  # every other generation that held it is gone
    chown(foreign, OWNER)
    with acting_as(OWNER):
        erase(data_dir)
    assert not foreign.exists()


def test_the_doctor_tells_files_of_other_users_from_running_as_another(
    data_dir: Path, foreign: Path
) -> None:
    def permissions() -> list[tuple[Verdict, str]]:
        reported = findings(data.checks(data_dir))
        return [
            (finding.verdict, finding.meaning)
            for finding in reported
            if finding.name == "permissions"
        ]

    (_, meaning), (warned, run_as) = permissions()
    assert warned == Verdict.WARN
    assert "runs as root (uid 0)" in run_as
    assert "belongs to uid 12345" in run_as
    assert f"index/{foreign.name} does to root (uid 0)" in meaning
    with acting_as(OWNER):
        ((verdict, meaning),) = permissions()
    assert verdict == Verdict.WARN
    assert f"index/{foreign.name} does to root (uid 0)" in meaning
    chown(foreign, OWNER)
    with acting_as(OWNER):
        ((verdict, _),) = permissions()
    assert verdict == Verdict.OK
    (data_dir / "notes").touch()  # root owns it, and the server does not need it
    with acting_as(OWNER):
        ((verdict, meaning),) = permissions()
    assert verdict == Verdict.WARN
    assert "notes" in meaning

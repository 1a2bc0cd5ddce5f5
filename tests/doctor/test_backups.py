"""The newest backup and the copy of the journal are judged by age and content."""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from disrupt.data_directory import JOURNAL, DataDirectory
from disrupt.doctor import backups
from disrupt.doctor.findings import Verdict, findings
from disrupt.errors import DataDirectoryError
from disrupt.registry import journal, opening
from disrupt.registry.backup import CONFIG, back_up, check, copy_journal
from disrupt.registry.records import Removed
from rig.media.registrations import DAY, registration


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Make a data directory from which something was withdrawn."""
    directory = DataDirectory(tmp_path / "data")
    directory.make()
    with opening.writing(directory) as writer:
        case = writer.register(registration(random.Random(1)), day=DAY).case_number
        writer.withdraw(case, None, day=DAY)
    return directory.path


def verdicts(kept: Path, copy: Path) -> list[Verdict]:
    return [finding.verdict for finding in findings(backups.checks(kept, copy))]


def test_age_and_content_of_the_newest_copies_are_judged(data_dir: Path, tmp_path: Path) -> None:
    kept, copy, config = tmp_path / "kept", tmp_path / JOURNAL, tmp_path / "my.toml"
    kept.mkdir()
    config.write_text("workers = 2\n")
    assert verdicts(kept, copy) == [Verdict.FAIL, Verdict.FAIL]
    back_up(data_dir, kept / "monday", config)
    copy_journal(data_dir, copy)
    assert (kept / "monday" / CONFIG).read_text() == "workers = 2\n"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert verdicts(kept, copy) == [Verdict.OK, Verdict.OK]
    back_up(data_dir, kept / "without")
    manifest = kept / "without" / "backup.json"
    later = json.loads(manifest.read_text()) | {"made_s": int(time.time()) + 1}
    manifest.write_text(json.dumps(later | {"made_s": later["made_s"] - 1}))
    (kept / "monday" / "backup.json").unlink()
    assert verdicts(kept, copy)[0] == Verdict.WARN
    manifest.write_text(json.dumps(later | {"made_s": later["made_s"] - 100_000}))
    os.utime(copy, (0, time.time() - 12_000))
    assert verdicts(kept, copy) == [Verdict.FAIL, Verdict.FAIL]
    journal.write(copy, [Removed(1, bytes(16))])
    (kept / "without" / "registry.db").write_bytes(b"damaged")
    assert verdicts(kept, copy) == [Verdict.FAIL, Verdict.FAIL]


def test_a_configuration_in_a_backup_is_checked_with_it(data_dir: Path, tmp_path: Path) -> None:
    config = tmp_path / "my.toml"
    config.write_text("workers = 2\n")
    back_up(data_dir, tmp_path / "backup", config)
    check(tmp_path / "backup")
    (tmp_path / "backup" / CONFIG).write_text("workers = 3\n")
    with pytest.raises(DataDirectoryError, match="altered"):
        check(tmp_path / "backup")


def test_a_copy_of_the_journal_is_made_anew_and_never_made_worse(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("disrupt.registry.backup._PATIENCE_S", 0.0)
    copy = tmp_path / "copy"
    copy_journal(data_dir, copy)
    with opening.writing(DataDirectory(data_dir)) as writer:
        case = writer.register(registration(random.Random(2)), day=DAY).case_number
        writer.withdraw(case, None, day=DAY)
    copy_journal(data_dir, copy)
    whole = (data_dir / JOURNAL).read_bytes()
    assert copy.read_bytes() == whole
    for worse, match in ((whole[:-10], "damaged"), (whole[:48], "does not, and was kept")):
        (data_dir / JOURNAL).write_bytes(worse)
        with pytest.raises(DataDirectoryError, match=match):
            copy_journal(data_dir, copy)
        assert copy.read_bytes() == whole
    back_up(data_dir, tmp_path / "backup")
    for place in (data_dir, tmp_path / "backup"):
        with pytest.raises(DataDirectoryError, match="apart from both"):
            copy_journal(data_dir, place / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "copy", "data"]


def test_the_unit_deletes_a_backup_after_14_days_also_where_none_was_made(tmp_path: Path) -> None:
    unit = (Path(__file__).parents[2] / "deploy/disrupt-backup.service").read_text()
    (line,) = (line for line in unit.splitlines() if "=/usr/bin/find" in line)
    setting, command = line.split("=", 1)
    assert setting == "ExecStopPost"  # systemd runs it whether or not the commands before succeed
    command = command.replace("/var/backups/disrupt", str(tmp_path))
    for name, age_h in (("due", 14 * 24 + 1), ("kept", 14 * 24 - 1)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, time.time() - 3600 * age_h))
    subprocess.run(shlex.split(command), check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]

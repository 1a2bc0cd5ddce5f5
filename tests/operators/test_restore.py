"""Restoring a backup: nothing withdrawn comes back, and a kill leaves the old state or the new."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from disrupt.cli import main
from disrupt.core.acts import Act, Action
from disrupt.core.changes import Addition, Removal
from disrupt.data_directory import JOURNAL, DataDirectory
from disrupt.errors import CursorExpiredError, DataDirectoryError, DataDirectoryInUseError
from disrupt.index.generations import create_first, current, locked
from disrupt.operators.restore import Restored, restore
from disrupt.registry import journal, sqlite
from disrupt.registry.backup import back_up, check
from disrupt.registry.records import Registration
from disrupt.server.desk import open_desk
from disrupt.server.upkeep.erasure import erase
from disrupt.upkeep.rebuild import rebuild
from indexer.commands import main as index_main
from indexer.verify import verify
from rig.faults.dying import ended_at, restore_backup
from rig.media.registrations import DAY, all_changes, new_item, registration


class Site:
    """A data directory; a backup of it with ``kept`` and ``gone``; ``gone`` was withdrawn since.

    ``late`` was registered and withdrawn after the backup, ``lost`` registered after it.
    """

    def __init__(self, folder: Path) -> None:
        chance = random.Random(51)
        self.data_dir = folder / "data"
        self.backup = folder / "backup"
        directory = DataDirectory(self.data_dir)
        directory.make()
        directory.secrets()
        self.kept, self.gone, self.late, self.lost = (
            registration(chance, None, new_item(chance), new_item(chance)) for _ in range(4)
        )
        with sqlite.open_writer(directory.registry) as writer:
            create_first(directory.index, writer.head().epoch)
            writer.register(self.kept, day=DAY)
            gone = writer.register(self.gone, day=DAY).case_number
            rebuild(writer, directory.index)
            back_up(self.data_dir, self.backup)
            writer.withdraw(gone, None, day=DAY)
            writer.withdraw(writer.register(self.late, day=DAY).case_number, None, day=DAY)
            self.before = writer.register(self.lost, day=DAY).cursor

    def restore(self, *, accept: bool = False) -> Restored:
        return restore(self.backup, self.data_dir, accept_unknown_removals=accept)

    def damage(self) -> None:
        (self.data_dir / "registry.db").write_bytes(bytes(50_000))

    def state(self) -> str:
        """Tell whether the old registry or the restored one is there, whole, with its index."""
        with sqlite.open_reader(self.data_dir / "registry.db") as reader:
            changes = all_changes(reader)
            assert verify(reader, self.data_dir / "index").differences == ()
            alive = {change.item.item_id for change in changes if isinstance(change, Addition)}
            assert not alive & ids(self.gone)
            assert alive >= ids(self.kept)
            return "old" if alive >= ids(self.lost) else "restored"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def ids(request: Registration) -> set[bytes]:
    return {item.item_id for item in request.items}


def files_with(directory: Path, request: Registration) -> list[str]:
    hashes = [row["hash"].tobytes() for item in request.items for row in item.fingerprints]
    return [
        path.name
        for path in directory.rglob("*")
        if path.is_file() and any(hash_ in path.read_bytes() for hash_ in hashes)
    ]


@pytest.mark.parametrize("lost", ["nothing", "registry", "journal"])
def test_nothing_withdrawn_since_the_backup_comes_back(site: Site, lost: str) -> None:
    assert files_with(site.backup, site.gone)
    if lost == "registry":
        site.damage()
    elif lost == "journal":
        (site.data_dir / JOURNAL).unlink()
    with capture_logs() as logs:
        restored = site.restore()
    if lost != "registry":  # which is damaged
        assert {entry["log_level"] for entry in logs} <= {"info", "debug"}
    assert restored.removals_known
    assert (restored.items, restored.hashes) == (2, 4)
    assert site.state() == "restored"
    assert files_with(site.data_dir, site.gone) == []
    assert {path.name for path in site.data_dir.iterdir()} == {
        *("index", "lock", "registry.db", "registry.head"),
        *("registry.wal-owner", "registry.reserve", "removals.journal", "secrets.json"),
        *("registry.db-shm", "registry.db-wal"),  # of the reader in `state`
    }
    with sqlite.open_writer(site.data_dir / "registry.db") as writer:
        removed = {change.item_id for change in all_changes(writer) if isinstance(change, Removal)}
        assert removed == ids(site.gone)
        with pytest.raises(CursorExpiredError):
            writer.changes(site.before, 1)
        assert restored.cursor == writer.head().to_text()
        # The journal keeps what was withdrawn after the backup, for the next restore.
        contents = journal.read(site.data_dir / JOURNAL)
        assert contents is not None
        expected = ids(site.gone) if lost == "journal" else ids(site.gone) | ids(site.late)
        assert expected <= {removal.item_id for removal in contents.removed}


def test_a_refused_restore_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for target in (tmp_path / "new", empty):
        with pytest.raises(DataDirectoryError, match="is not known"):
            restore(site.backup, target, accept_unknown_removals=False)
        with pytest.raises(DataDirectoryError, match="refused"):
            restore(tmp_path / "none", target, accept_unknown_removals=False)
    assert not (tmp_path / "new").exists()
    assert list(empty.iterdir()) == []
    before = sorted(site.data_dir.rglob("*"))
    with pytest.raises(DataDirectoryError, match="refused"):
        restore(tmp_path / "none", site.data_dir, accept_unknown_removals=False)
    assert sorted(site.data_dir.rglob("*")) == before


@pytest.mark.parametrize("there", ["nothing", "another server"])
def test_where_removals_are_not_known_a_restore_needs_to_be_told_so(
    site: Site, tmp_path: Path, there: str
) -> None:
    new = tmp_path / "new"
    if there == "another server":
        directory = DataDirectory(new)
        directory.make()
        directory.secrets()
        with sqlite.open_writer(directory.registry):
            pass
    with pytest.raises(DataDirectoryError, match="--accept-unknown-removals"):
        restore(site.backup, new, accept_unknown_removals=False)
    assert not (new / "restoring").exists()
    restored = restore(site.backup, new, accept_unknown_removals=True)
    assert not restored.removals_known
    assert restored.items == 4
    assert files_with(new, site.gone)


def test_on_a_new_machine_the_journal_alone_is_enough(site: Site, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / JOURNAL).write_bytes((site.data_dir / JOURNAL).read_bytes())
    assert restore(site.backup, new, accept_unknown_removals=False).items == 2
    assert files_with(new, site.gone) == []


def test_an_accepted_restore_leaves_a_journal_that_still_does_not_know_the_removals_since(
    site: Site, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    new.mkdir()
    restore(site.backup, new, accept_unknown_removals=True)
    with sqlite.open_writer(new / "registry.db"):
        pass
    with pytest.raises(DataDirectoryError, match="older than the backup, or that of another"):
        restore(site.backup, new, accept_unknown_removals=False)


@pytest.mark.parametrize("lost", ["nothing", "journal"])
def test_a_restore_that_knows_the_removals_can_be_repeated_from_its_journal(
    site: Site, lost: str
) -> None:
    if lost == "journal":
        (site.data_dir / JOURNAL).unlink()
    for _ in range(3):
        assert site.restore().removals_known
    site.damage()
    assert site.restore().removals_known


def test_a_number_that_comes_again_after_a_second_restore_is_that_of_another_item(
    site: Site,
) -> None:
    path, chance = site.data_dir / "registry.db", random.Random(52)
    registered = list[tuple[Addition, str]]()
    content = list[bytes]()
    for _ in range(2):
        site.restore()
        with sqlite.open_writer(path) as writer:
            case_number = writer.register(registration(chance), day=DAY).case_number
            newest = all_changes(writer)[-1]
            assert isinstance(newest, Addition)
            registered.append((newest, case_number))
        content.append(path.read_bytes())
    (first, _), (second, case_number) = registered
    assert first.item.number == second.item.number
    assert first.item.item_id != second.item.item_id
    with sqlite.open_writer(path) as writer:
        writer.withdraw(case_number, None, day=DAY)
    path.write_bytes(content[0])  # the journal lists the number, and another id
    with sqlite.open_writer(path) as writer:
        changes = all_changes(writer)
        alive = {change.item.item_id for change in changes if isinstance(change, Addition)}
        assert first.item.item_id in alive


def test_a_server_started_beside_the_journal_alone_makes_nothing_and_a_restore_still_works(
    site: Site, tmp_path: Path
) -> None:
    new = DataDirectory(tmp_path / "new")
    new.make()
    (new.path / JOURNAL).write_bytes((site.data_dir / JOURNAL).read_bytes())
    with pytest.raises(DataDirectoryError, match="disrupt restore"):
        new.secrets()
    assert restore(site.backup, new.path, accept_unknown_removals=False).items == 2


def test_beside_what_an_empty_server_made_the_journal_is_refused_with_what_to_do(
    site: Site, tmp_path: Path
) -> None:
    new = DataDirectory(tmp_path / "new")
    new.make()
    new.secrets()
    with sqlite.open_writer(new.registry):
        pass
    (new.path / JOURNAL).write_bytes((site.data_dir / JOURNAL).read_bytes())
    with pytest.raises(DataDirectoryError, match="of another server: move all of it away first"):
        restore(site.backup, new.path, accept_unknown_removals=False)
    new.path.rename(tmp_path / "away")
    new.make()
    (new.path / JOURNAL).write_bytes((site.data_dir / JOURNAL).read_bytes())
    assert restore(site.backup, new.path, accept_unknown_removals=False).items == 2


def test_a_lock_that_cannot_be_taken_is_no_running_server(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(DataDirectoryError, match="cannot be used"), open_desk(tmp_path):
        pytest.fail("there is no server to ask")


def test_a_deleted_lock_lets_nobody_in(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    with directory.locked():
        (tmp_path / "lock").unlink()
        for _ in range(2):
            with pytest.raises(DataDirectoryInUseError), directory.locked():
                pytest.fail("two write at once")
    with directory.locked():
        pass


def test_a_damaged_backup_changes_nothing(site: Site) -> None:
    with (site.backup / "registry.db").open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff")
    with pytest.raises(DataDirectoryError, match=r"registry\.db refused"):
        site.restore(accept=True)
    assert site.state() == "old"


def test_a_restore_is_refused_while_a_server_or_an_indexer_is_there(site: Site) -> None:
    with (
        DataDirectory(site.data_dir).locked(),
        pytest.raises(DataDirectoryError, match="Another server"),
    ):
        site.restore()
    with (
        locked(site.data_dir / "index"),
        pytest.raises(DataDirectoryError, match="Another process"),
    ):
        site.restore()
    assert site.state() == "old"


def test_killed_at_any_step_it_leaves_the_old_state_or_the_restored_one_and_can_be_repeated(
    tmp_path: Path,
) -> None:
    states: list[str] = []
    for step in range(1, 400, 9):
        folder = tmp_path / str(step)
        folder.mkdir()
        site = Site(folder)
        code = ended_at(step, restore_backup, site.backup, site.data_dir)
        with DataDirectory(site.data_dir).locked():  # as the next command does
            states.append(site.state())
            assert not (site.data_dir / "restoring").exists()
        if code == 0:
            break
        site.restore()
        assert site.state() == "restored"
        assert files_with(site.data_dir, site.gone) == []
        assert not (site.data_dir / "restoring").exists()
    assert code == 0
    assert len(states) > 8
    assert states == sorted(states)  # first old states, then restored ones
    assert set(states) == {"old", "restored"}


def test_what_an_interrupted_restore_left_is_completed_by_an_erasure_and_read_by_nothing_before(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: DataDirectory) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(DataDirectory, "_replace_by_restored", die)
        with pytest.raises(KeyboardInterrupt):
            site.restore()
    rebuilt = CliRunner().invoke(index_main, ["rebuild", "--data-dir", str(site.data_dir)])
    assert rebuilt.exit_code == 1
    assert "is not complete" in rebuilt.output
    with pytest.raises(DataDirectoryError, match="is not complete"):
        back_up(site.data_dir, tmp_path / "mixed")
    erased = erase(site.data_dir)
    assert not erased.rebuilt
    assert site.state() == "restored"
    assert files_with(site.data_dir, site.gone) == []


def test_commands_say_what_they_did(site: Site, tmp_path: Path) -> None:
    target, data = tmp_path / "by command", ("--data-dir", site.data_dir)
    backup = disrupt("backup", "--to", target, *data)
    assert (backup.exit_code, backup.stderr) == (0, "")
    assert str(target) in backup.stdout
    again = disrupt("backup", "--to", target, *data)
    assert (again.exit_code, again.stdout) == (1, "")
    assert "exists already" in again.stderr
    erased = disrupt("erase", *data)
    assert erased.exit_code == 0, erased.stderr
    assert "no byte is left" in erased.stdout
    assert files_with(site.data_dir, site.gone) == []
    site.damage()
    restored = disrupt("restore", "--from", site.backup, *data)
    assert restored.exit_code == 4, restored.stderr
    first, *lacking = restored.stdout.splitlines()
    made = datetime.fromtimestamp(check(site.backup).made_s, UTC).strftime("%Y-%m-%d %H:%M")
    assert first == f"Restored: 2 items, 4 hashes, of the backup made {made} UTC."
    assert [line.split(":")[0] for line in lacking] == [
        "The backup has no configuration",
        "No backup has the TLS certificate and key, nor files of the proxy and of systemd.",
        "What staff and operators decided since the backup is not known, and holds no more",
    ]
    assert current(site.data_dir / "index") == 1


def test_a_restore_names_the_cases_whose_erasure_it_stops(site: Site, tmp_path: Path) -> None:
    """One that staff asked for, not one that was stopped before; also where the journal is used."""
    source, data = tmp_path / "with an erasure", ("--data-dir", site.data_dir)
    with sqlite.open_writer(site.data_dir / "registry.db") as writer:
        chance, banks = random.Random(8), {1}
        numbers = [writer.register(registration(chance), day=DAY).case_number for _ in range(2)]
        for number in numbers:
            asked = Act("key 1", "", Action.ERASE_REQUESTED, 1)
            tag = writer.ask_erasure(number, asked, partners=(), banks=banks).case_tag.hex()
        writer.stop_erasure(numbers[0], Act("", "", Action.ERASE_STOPPED, 2))
        back_up(site.data_dir, source)
    done = disrupt("restore", "--from", source, *data)
    assert done.exit_code == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("Stopped: 1 erasures"))
    assert f"Tags of these cases: {tag}." in line
    again = disrupt("restore", "--from", source, "--json", *data)
    assert json.loads(again.stdout)["erasures_stopped"] == [tag]
    assert "Stopped" not in disrupt("restore", "--from", site.backup, *data).stdout


def test_erasing_where_there_is_no_registry_makes_none(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="There is no registry"):
        erase(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def disrupt(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def make_key(data_dir: Path, name: str) -> str:
    words = ("keys", "create", name, "--right", "match", "--json", "--data-dir", data_dir)
    key_id: str = json.loads(disrupt(*words).stdout)["key_id"]
    return key_id


def valid_keys(data_dir: Path) -> set[str]:
    listed = disrupt("keys", "list", "--json", "--data-dir", data_dir)
    return {row["key_id"] for row in json.loads(listed.stdout)["keys"] if not row["revoked_on"]}


def test_on_a_new_machine_a_key_revoked_since_stays_revoked_and_an_older_journal_is_refused(
    site: Site, tmp_path: Path
) -> None:
    data_dir, source, new = site.data_dir, tmp_path / "later", tmp_path / "new"
    kept, gone = make_key(data_dir, "kept"), make_key(data_dir, "gone")
    older = (data_dir / JOURNAL).read_bytes()
    with sqlite.open_writer(data_dir / "registry.db") as writer:
        before = registration(random.Random(3))
        writer.withdraw(writer.register(before, day=DAY).case_number, None, day=DAY)
    assert disrupt("backup", "--to", source, "--data-dir", data_dir).exit_code == 0
    assert disrupt("keys", "revoke", gone, "--data-dir", data_dir).exit_code == 0
    new.mkdir()

    (new / JOURNAL).write_bytes(older)
    refused = disrupt("restore", "--from", source, "--data-dir", new)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "removals.journal is older than the backup, or" in refused.stderr
    assert f"{kept} (kept)" in refused.stderr
    assert f"{gone} (gone)" in refused.stderr
    assert {path.name for path in new.iterdir()} <= {"index", "lock", JOURNAL}
    assert (new / JOURNAL).read_bytes() == older

    (new / JOURNAL).write_bytes((data_dir / JOURNAL).read_bytes())
    restored = disrupt("restore", "--from", source, "--data-dir", new)
    assert restored.exit_code == 4, restored.stderr
    assert valid_keys(new) == {kept}

    (new / JOURNAL).write_bytes(older)
    (new / "registry.db").unlink()
    accepted = disrupt("restore", "--from", source, "--data-dir", new, "--accept-unknown-removals")
    assert accepted.exit_code == 4, accepted.stderr
    assert "may have been revoked since" in accepted.stdout
    assert gone in accepted.stdout
    contents = journal.read(new / JOURNAL)
    assert contents is not None
    assert ids(before) | ids(site.gone) | ids(site.late) <= {
        removal.item_id for removal in contents.removed
    }

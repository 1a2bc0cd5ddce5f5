"""Restoring a backup of before a renewal: the picture stays, unless it was withdrawn since."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from disrupt.cli import main
from disrupt.core.cases import CaseStatus
from disrupt.data_directory import JOURNAL, DataDirectory
from disrupt.doctor import data
from disrupt.doctor.findings import Verdict
from disrupt.feed.follower import Follower
from disrupt.index.generations import create_first
from disrupt.index.live import LiveIndex
from disrupt.operators.restore import Restored, restore
from disrupt.registry import sqlite
from disrupt.registry.backup import back_up
from disrupt.registry.records import NewItem
from rig.media.codes import search
from rig.media.registrations import DAY, OWN, item_of, new_case, registration


class Site:
    """A data directory with a case of one picture, and backups of it, by name."""

    def __init__(self, folder: Path) -> None:
        self.chance = random.Random(61)
        self.folder = folder
        self.data_dir = folder / "data"
        self.case = new_case(self.chance)
        directory = DataDirectory(self.data_dir)
        directory.make()
        directory.secrets()
        self.registry = directory.registry
        with sqlite.open_writer(self.registry) as writer:
            create_first(directory.index, writer.head().epoch)
            self.first = self.picture(1)
            writer.register(registration(self.chance, self.case, self.first), day=DAY)
        self.back_up("first")

    def picture(self, number: int, *versions: int) -> NewItem:
        rows = [(1, 0, version) for version in versions]
        return item_of(self.chance, number, OWN, *rows)

    def register(self, *versions: int, number: int = 1) -> bytes:
        """Register or renew a picture; return its item's id."""
        item = self.picture(number, *versions)
        with sqlite.open_writer(self.registry) as writer:
            writer.register(registration(self.chance, self.case.number, item), day=DAY)
        return item.item_id

    def withdraw(self, item_id: bytes) -> None:
        with sqlite.open_writer(self.registry) as writer:
            writer.withdraw(self.case.number, [item_id], day=DAY)

    def back_up(self, name: str) -> None:
        back_up(self.data_dir, self.folder / name)

    def lose(self, lost: str) -> None:
        if lost == "registry":
            self.registry.write_bytes(bytes(50_000))
        elif lost == "journal":
            (self.data_dir / JOURNAL).unlink()

    def restore(self, name: str = "first") -> Restored:
        restored = restore(self.folder / name, self.data_dir, accept_unknown_removals=False)
        with sqlite.open_writer(self.registry):
            pass  # as the next start, which reads the journal again
        return restored

    def matching(self) -> set[bytes]:
        """Return the ids that match the picture, which have to be those that the case shows."""
        with sqlite.open_reader(self.registry) as reader:
            live = LiveIndex()
            Follower(reader, live, self.data_dir / "index").step()
            hits = search(live, self.first.fingerprints["hash"], 0)
            case = reader.case(self.case.number)
            assert case is not None
            ids = {item_id.tobytes() for item_id in hits.item_id}
            assert {item.item_id for item in case.items} == ids
            assert case.status == (CaseStatus.ACTIVE if ids else CaseStatus.WITHDRAWN)
            return ids


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize(("renewals", "lost"), [(1, "nothing"), (2, "registry"), (2, "journal")])
def test_what_was_renewed_since_the_backup_is_as_it_was_before(
    site: Site, renewals: int, lost: str
) -> None:
    for version in range(renewals):
        site.register(version)
    site.lose(lost)
    restored = site.restore()
    assert (restored.renewals_undone, restored.renewed_missing) == (1, 0)
    assert site.matching() == {site.first.item_id}
    site.restore()
    assert site.matching() == {site.first.item_id}
    assert {finding.verdict for finding in data.removals(site.data_dir)} == {Verdict.OK}


@pytest.mark.parametrize(
    ("renewals", "by", "lost"),
    [
        (1, "newest", "nothing"),
        (2, "newest", "registry"),
        (2, "oldest", "registry"),
        (2, "newest", "journal"),
    ],
)
def test_what_was_renewed_and_then_withdrawn_does_not_come_back(
    site: Site, renewals: int, by: str, lost: str
) -> None:
    for version in range(renewals):
        newest = site.register(version)
    site.withdraw(site.first.item_id if by == "oldest" else newest)  # either names the picture
    site.lose(lost)
    restored = site.restore()
    assert (restored.renewals_undone, restored.renewed_missing) == (0, 0)
    assert site.matching() == set()
    content = site.registry.read_bytes()
    assert site.first.fingerprints["hash"].tobytes() not in content


def test_a_backup_of_between_two_renewals_brings_back_the_version_that_it_has(site: Site) -> None:
    between = site.register(0)
    site.back_up("between")
    site.register(1)
    for _ in range(2):
        assert site.restore("between").renewals_undone == 1
        assert site.matching() == {between}
        site.restore("first")
        assert site.matching() == {site.first.item_id}


def test_a_picture_withdrawn_after_a_restore_comes_back_in_no_version(site: Site) -> None:
    site.register(0)
    site.back_up("renewed")
    site.restore("first")
    site.withdraw(site.first.item_id)
    for name in ("renewed", "first"):
        site.lose("registry")
        assert site.restore(name).items == 0
        assert site.matching() == set()


def test_a_withdrawal_that_the_journal_missed_is_listed_for_all_versions(site: Site) -> None:
    site.register(0)
    site.restore("first")
    before = (site.data_dir / JOURNAL).read_bytes()
    site.withdraw(site.first.item_id)
    (site.data_dir / JOURNAL).write_bytes(before)  # as after a kill before the record
    with sqlite.open_writer(site.registry):
        pass
    site.lose("registry")
    site.restore("first")
    assert site.matching() == set()


def test_restore_says_what_it_could_not_bring_back(site: Site) -> None:
    site.register(0)
    site.register(number=2)
    site.register(0, number=2)
    command = ["restore", "--from", str(site.folder / "first"), "--data-dir", str(site.data_dir)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "Renewed since the backup, and restored as they were before: 1 items." in done.stdout
    assert "Renewed since, and in no version in the backup: 1 items." in done.stdout

"""A restore knows what was withdrawn and revoked since its backup, or that it may not know all."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from disrupt.data_directory import JOURNAL
from disrupt.errors import DataDirectoryError
from disrupt.registry import journal, sqlite
from disrupt.registry.backup import Known, back_up, bring_up_to_date, known, unpack
from disrupt.registry.journal import Epoch, Record
from disrupt.registry.records import Removed, Revoked
from rig.media.registrations import ACT, DAY, api_key, registration

OLDER = "removals.journal is older than the backup, or that of another server"


def lose_registry(data_dir: Path) -> None:
    for path in data_dir.glob("registry.*"):
        path.unlink()


def lose_journal(data_dir: Path) -> None:
    (data_dir / JOURNAL).unlink()


@dataclass(frozen=True)
class Since:
    """A data directory with removals and revocations before and after its backup."""

    data_dir: Path
    unpacked: Path
    before: tuple[Record, ...]
    after: tuple[Record, ...]

    def known(self) -> Known:
        return known(self.data_dir, self.unpacked)

    @property
    def epoch(self) -> Epoch:
        with sqlite.open_reader(self.unpacked / "registry.db") as registry:
            return Epoch(registry.head().epoch)


@pytest.fixture
def since(data_dir: Path, tmp_path: Path, chance: random.Random) -> Since:
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    records = list[Record]()
    with sqlite.open_writer(data_dir / "registry.db") as writer:
        for key_id in ("11111111", "22222222", "33333333"):
            writer.add_key(api_key(key_id), act=ACT)
        for number in (1, 2):
            request = registration(chance)
            writer.withdraw(writer.register(request, day=DAY).case_number, None, day=DAY)
            writer.revoke_key(f"{number}" * 8, day=DAY, act=ACT)
            records += [Removed(number, request.items[0].item_id), Revoked(f"{number}" * 8)]
            if number == 1:
                back_up(data_dir, tmp_path / "backup")
    unpack(tmp_path / "backup", unpacked)
    return Since(data_dir, unpacked, tuple(records[:2]), tuple(records[2:]))


@pytest.mark.parametrize(
    "lose", [lose_registry, lose_journal, lambda _: None], ids=["registry", "journal", "nothing"]
)
def test_withdrawals_and_revocations_are_known_from_the_journal_and_from_the_registry(
    since: Since, lose: Callable[[Path], None]
) -> None:
    lose(since.data_dir)
    removals = since.known()
    assert removals.doubt == ""
    assert set(removals.removals) == {*since.before, *since.after}
    done = bring_up_to_date(since.unpacked, removals.removals)
    assert [valid_key.key_id for valid_key in done.valid_keys] == ["33333333"]
    listed = journal.read(since.unpacked / JOURNAL)
    assert listed is not None
    assert {*listed.removed, *listed.revoked} == {*since.before, *since.after}


@pytest.mark.parametrize("lacks", [0, 1], ids=["a withdrawal", "a revocation"])
def test_a_journal_that_lacks_what_the_backup_knows_is_older_and_tells_what_it_has(
    since: Since, lacks: int
) -> None:
    lose_registry(since.data_dir)
    has = [*since.before, *since.after]
    del has[lacks]
    journal.write(since.data_dir / JOURNAL, [since.epoch, *has])
    removals = since.known()
    assert removals.doubt == OLDER
    assert set(removals.removals) == set(has)


def test_a_backup_without_removals_is_not_restored_with_the_journal_of_another_registry(
    data_dir: Path, tmp_path: Path, chance: random.Random
) -> None:
    unpacked, new = tmp_path / "unpacked", tmp_path / "new"
    unpacked.mkdir()
    new.mkdir()
    with sqlite.open_writer(data_dir / "registry.db") as writer:
        number = writer.register(registration(chance), day=DAY).case_number
        back_up(data_dir, tmp_path / "backup")
        writer.withdraw(number, None, day=DAY)
    unpack(tmp_path / "backup", unpacked)
    with sqlite.open_writer(new / "registry.db") as writer:
        assert known(new, unpacked).doubt == OLDER
        number = writer.register(registration(chance), day=DAY).case_number
        writer.withdraw(number, None, day=DAY)
    lose_registry(new)
    assert known(new, unpacked).doubt == OLDER
    shutil.copyfile(data_dir / JOURNAL, new / JOURNAL)
    assert known(new, unpacked).doubt == ""


def test_a_journal_beside_a_registry_older_than_the_backup_may_be_written_from_it(
    data_dir: Path, tmp_path: Path, chance: random.Random
) -> None:
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    with sqlite.open_writer(data_dir / "registry.db"):
        pass
    older = (data_dir / "registry.db").read_bytes()
    with sqlite.open_writer(data_dir / "registry.db") as writer:
        number = writer.register(registration(chance), day=DAY).case_number
        back_up(data_dir, tmp_path / "backup")
        writer.withdraw(number, None, day=DAY)
    unpack(tmp_path / "backup", unpacked)
    lose_registry(data_dir)
    lose_journal(data_dir)
    (data_dir / "registry.db").write_bytes(older)
    with sqlite.open_writer(data_dir / "registry.db"):
        pass
    assert "registry.db is older than the backup" in known(data_dir, unpacked).doubt


def test_a_registry_that_is_older_than_the_backup_or_foreign_does_not_complete_the_journal(
    since: Since,
) -> None:
    lose_registry(since.data_dir)
    lose_journal(since.data_dir)
    with sqlite.open_writer(since.data_dir / "registry.db"):
        pass
    assert since.known().doubt == OLDER
    lose_journal(since.data_dir)
    assert "neither" in since.known().doubt


def test_without_a_note_the_registry_completes_the_journal_only_if_newer_than_the_backup(
    since: Since, tmp_path: Path
) -> None:
    lose_journal(since.data_dir)
    (since.data_dir / "registry.head").unlink()
    assert since.known().doubt == ""
    lose_registry(since.data_dir)
    shutil.copyfile(tmp_path / "backup" / "registry.db", since.data_dir / "registry.db")
    assert "neither" in since.known().doubt


@pytest.mark.parametrize("epoch", ["the same", "a later one"])
def test_a_registry_that_lacks_the_change_noted_beside_it_does_not_complete_the_journal(
    since: Since, chance: random.Random, epoch: str
) -> None:
    path = since.data_dir / "registry.db"
    older = path.read_bytes()  # newer than the backup
    with sqlite.open_writer(path) as writer:
        if epoch == "a later one":
            writer.begin_epoch()
        receipt = writer.register(registration(chance), day=DAY)
        writer.withdraw(receipt.case_number, None, day=DAY)
        writer.revoke_key("33333333", day=DAY, act=ACT)
    path.write_bytes(older)
    assert since.known().doubt == ""
    assert Revoked("33333333") in since.known().removals
    lose_journal(since.data_dir)
    assert "neither" in since.known().doubt


def test_a_damaged_journal_is_completed_by_the_registry_alone(
    since: Since,
) -> None:
    path = since.data_dir / JOURNAL
    content = path.read_bytes()
    for spoiled, doubt in (
        (content[:60] + b"?" + content[61:], "1 records of removals.journal are damaged"),
        (content.replace(b"journal 1", b"journal 2", 1), "removals.journal cannot be read"),
        (b"something else", "removals.journal cannot be read"),
        (content[:-1] + bytes([content[-1] ^ 1]), "the end of removals.journal is"),
        (content[:-96] + bytes(96), "the end of removals.journal is"),
        (content[:-10], "the end of removals.journal is"),
    ):
        path.write_bytes(spoiled)
        removals = since.known()
        assert removals.doubt == ""
        assert set(removals.removals) == {*since.before, *since.after}
        registry = since.data_dir / "registry.db"
        elsewhere = registry.replace(since.data_dir / "elsewhere")
        assert doubt in since.known().doubt
        elsewhere.replace(registry)


def test_a_journal_that_this_user_may_not_read_is_no_doubt_to_accept_but_refused(
    since: Since, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> journal.Contents:
        why = PermissionError(13, "Permission denied", str(path))
        raise DataDirectoryError("The journal of removals cannot be read.") from why

    monkeypatch.setattr(journal, "read", denied)
    with pytest.raises(DataDirectoryError, match=r"may not use .*removals\.journal.*chown"):
        since.known()

"""A registry in PostgreSQL is backed up and restored by the commands, and so rehearsed here."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from disrupt.core.acts import Action
from disrupt.core.media import Assurance
from disrupt.core.review import ItemFilter
from disrupt.data_directory import JOURNAL, REGISTRY_URL, DataDirectory
from disrupt.doctor import backups
from disrupt.doctor.findings import Verdict, findings
from disrupt.errors import CursorExpiredError, DataDirectoryError
from disrupt.operators.restore import restore
from disrupt.registry import opening
from disrupt.registry.backup import CONFIG, COPIED_AUDIT, DUMP, back_up, check, copy_journal
from disrupt.registry.postgresql import dumping
from disrupt.registry.records import Registration
from disrupt.upkeep.audit import AuditCopy
from indexer.verify import verify
from rig.callers.shell import typed
from rig.media.registrations import ACT, DAY, api_key, new_item, registration
from rig.servers.postgresql import PostgreSql, commands

pytestmark = pytest.mark.skipif(commands() is None, reason="PostgreSQL is not installed")

PASSWORD = "nobody-sees-it"  # noqa: S105 of a server that lasts as long as the tests


class Site:
    """A data directory whose registry is in a database; a backup of it with three cases.

    Since then ``gone`` was withdrawn, the key revoked, an item confirmed, and ``lost`` registered.
    The user owns the databases and is no superuser.
    """

    def __init__(self, folder: Path, server: PostgreSql) -> None:
        self.server, chance = server, random.Random(9)
        self.data, self.backup = DataDirectory(folder / "data"), folder / "backups" / "monday"
        self.data.make()
        self.data.secrets()
        self.backup.parent.mkdir()
        self.data.note_registry_url(self.new_url())
        self.kept, self.gone, self.before, self.lost = (
            registration(chance, None, new_item(chance), new_item(chance)) for _ in range(4)
        )
        with opening.writing(self.data) as writer:
            writer.register(self.kept, day=DAY)
            number = writer.register(self.gone, day=DAY).case_number
            withdrawn = writer.register(self.before, day=DAY).case_number
            writer.withdraw(withdrawn, None, day=DAY)
            writer.add_key(api_key("a2345678"), act=ACT)
            settings = folder / "my.toml"
            settings.write_text("workers = 2\n")
            self.head = writer.head()
            back_up(self.data.path, self.backup, settings)
            writer.withdraw(number, None, day=DAY)
            writer.revoke_key("a2345678", day=DAY, act=ACT)
            writer.confirm_items(item_ids(self.kept)[:1], replace(ACT, action=Action.CONFIRM))
            AuditCopy(writer, self.data).copy()
            self.newest = writer.register(self.lost, day=DAY).cursor

    def new_url(self) -> str:
        database = self.server.new_database()
        self.server.sql(f"ALTER DATABASE {database} OWNER TO keeper")
        self.server.sql("GRANT EXECUTE ON FUNCTION pg_switch_wal TO keeper", database)
        return self.server.url(database, user="keeper")

    def tables(self, url: str) -> int:
        rows = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        return int(self.server.sql(rows, url.rpartition("/")[2]))


def item_ids(*requests: Registration) -> list[bytes]:
    return [item.item_id for request in requests for item in request.items]


@pytest.fixture
def site(tmp_path: Path, server: PostgreSql) -> Site:
    if "keeper" not in server.sql("SELECT rolname FROM pg_roles").split():
        server.sql("CREATE ROLE keeper LOGIN IN ROLE pg_checkpoint")
    return Site(tmp_path, server)


def test_what_was_withdrawn_since_the_backup_is_erased_again_and_the_rest_is_as_it_was(
    site: Site,
) -> None:
    manifest = check(site.backup)
    assert (manifest.epoch, manifest.sequence) == (site.head.epoch.hex(), site.head.sequence)
    assert {path.name: path.stat().st_mode & 0o777 for path in site.backup.iterdir()} == (
        dict.fromkeys([DUMP, "secrets.json", CONFIG, "backup.json"], 0o600)
    )
    copied = site.backup.parent / JOURNAL
    copy_journal(site.data.path, copied)
    shutil.rmtree(site.data.path)  # disk and database are lost, the copy of the journal is not
    site.data.make()
    shutil.copy(copied, site.data.journal)
    shutil.copytree(f"{copied}{COPIED_AUDIT}", site.data.audit)
    url = site.new_url()
    words = ("--from", site.backup, "--data-dir", site.data.path)
    refused = typed("restore", *words)
    assert (refused.code, "with --to" in refused.err) == (1, True)
    done = typed("restore", *words, "--to", url)
    assert (done.code, done.err) == (0, "")
    assert "Restored: 2 items, 4 hashes" in done.out
    with opening.writing(site.data) as writer:
        living = writer.living(item_ids(site.kept, site.gone, site.before, site.lost))
        assert set(living) == set(item_ids(site.kept))
        with pytest.raises(CursorExpiredError):
            writer.changes(site.newest, 1)
        (key,) = writer.keys()
        assert key.revoked_on
        kept = writer.items_for_review(ItemFilter(frozenset({1, 2})), 9).items
        confirmed = [item.item_id for item in kept if item.assurance == Assurance.REVIEWED]
        assert confirmed == item_ids(site.kept)[:1]
        assert verify(writer, site.data.index).differences == ()
        again = writer.register(site.lost, day=DAY)
        assert set(item_ids(site.lost)) <= set(writer.living(item_ids(site.lost)))
        writer.withdraw(again.case_number, None, day=DAY)
        assert writer.checkpoint()


def test_an_old_database_says_what_was_withdrawn_and_one_that_is_in_use_is_refused(
    site: Site,
) -> None:
    site.data.journal.unlink()
    before = (site.data.path / REGISTRY_URL).read_text()
    with pytest.raises(DataDirectoryError, match="is not empty"):
        restore(site.backup, site.data.path, accept_unknown_removals=False)
    url = site.new_url()
    restored = restore(site.backup, site.data.path, accept_unknown_removals=False, url=url)
    assert (restored.items, restored.removals_known) == (2, True)
    assert (site.data.path / REGISTRY_URL).read_text() == f"{url}\n" != before


def test_a_backup_is_restored_to_an_empty_database_of_the_old_ones_name(site: Site) -> None:
    url = (site.data.path / REGISTRY_URL).read_text()
    name = url.strip().rpartition("/")[2]
    site.server.sql(f"ALTER DATABASE {name} RENAME TO {name}_old")
    site.server.sql(f"CREATE DATABASE {name} OWNER keeper")
    site.server.sql("GRANT EXECUTE ON FUNCTION pg_switch_wal TO keeper", name)
    restored = restore(site.backup, site.data.path, accept_unknown_removals=False)
    assert (restored.items, restored.removals_known) == (2, True)
    assert (site.data.path / REGISTRY_URL).read_text() == url
    with opening.writing(site.data) as writer:
        assert set(writer.living(item_ids(site.kept, site.gone))) == set(item_ids(site.kept))


def test_a_refused_restore_leaves_neither_the_directory_nor_the_database_changed(
    site: Site, tmp_path: Path
) -> None:
    url, new = site.new_url(), tmp_path / "new"
    with pytest.raises(DataDirectoryError, match="is not known"):
        restore(site.backup, new, accept_unknown_removals=False, url=url)
    assert (new.exists(), site.tables(url)) == (False, 0)
    accepted = restore(site.backup, new, accept_unknown_removals=True, url=url)
    assert (accepted.items, accepted.unsure_keys) == (4, ("a2345678",))
    content = bytearray((site.backup / DUMP).read_bytes())
    content[len(content) // 2] ^= 1
    (site.backup / DUMP).write_bytes(content)
    with pytest.raises(DataDirectoryError, match=r"registry\.dump refused: altered"):
        restore(site.backup, site.data.path, accept_unknown_removals=True, url=site.new_url())


def test_a_backup_of_sqlite_does_not_replace_a_database(site: Site, tmp_path: Path) -> None:
    other = DataDirectory(tmp_path / "other")
    other.make()
    with opening.writing(other):
        pass
    back_up(other.path, tmp_path / "of sqlite")
    with pytest.raises(DataDirectoryError, match="disrupt registry copy"):
        restore(tmp_path / "of sqlite", site.data.path, accept_unknown_removals=True)


def test_a_dump_is_of_the_moment_that_its_manifest_names(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, begin = registration(random.Random(10)), dumping._run

    def register(name: str, session: psycopg.Connection[Any], *options: str) -> None:
        with opening.writing(site.data) as writer:
            writer.register(late, day=DAY)
        begin(name, session, *options)

    with monkeypatch.context() as patched:
        patched.setattr(dumping, "_run", register)
        manifest = back_up(site.data.path, tmp_path / "moment")
    assert manifest.sequence == site.newest.sequence
    url = site.new_url()
    restore(tmp_path / "moment", site.data.path, accept_unknown_removals=False, url=url)
    with opening.reading(site.data) as reader:
        assert set(reader.living(item_ids(site.lost, late))) == set(item_ids(site.lost))


def test_the_doctor_reads_dumps_and_the_command_says_what_is_missing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = [finding.verdict for finding in findings(backups.checks(site.backup.parent, None))]
    assert verdicts == [Verdict.OK]
    (site.backup / DUMP).write_bytes(b"damaged")
    verdicts = [finding.verdict for finding in findings(backups.checks(site.backup.parent, None))]
    assert verdicts == [Verdict.FAIL]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataDirectoryError, match="postgresql-client"):
        back_up(site.data.path, tmp_path / "none")
    assert not list(tmp_path.glob("none*"))


def test_no_password_is_among_the_words_of_a_command(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "pg_dump"
    tool.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/words; echo "$PGPASSWORD" > {tmp_path}/given; exit 7\n'
    )
    tool.chmod(0o755)
    site.data.note_registry_url(site.new_url().replace("keeper@", f"keeper:{PASSWORD}@"))
    with opening.writing(site.data):
        pass
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(DataDirectoryError, match="was not copied: 7"):
        back_up(site.data.path, tmp_path / "none")
    assert (tmp_path / "given").read_text() == f"{PASSWORD}\n"
    assert PASSWORD not in (tmp_path / "words").read_text()

"""Schema migrations make what the code expects, and are part of the package."""

import os
import random
import re
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from disrupt.core.cases import CaseStatus
from disrupt.core.policy import ADULTS, MINORS
from disrupt.core.registrations import Outcome
from disrupt.data_directory import JOURNAL
from disrupt.registry import journal, schema
from disrupt.registry.contract import Place
from disrupt.registry.sql import SqlRegistry
from tests.registry.examples import DAY, NEXT_DAY, OWN, all_changes, item_of, registration

ROOT = Path(__file__).resolve().parents[2]


def definitions(path: Path) -> dict[str, list[str]]:
    """Return SQLite's definition of each table and index, its parts sorted."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
    return {
        name: sorted(re.split(r",\s*|\n", re.sub(r"[ \t]+", " ", sql)))
        for name, sql in rows
        if name != "alembic_version"
    }


def test_migrated_schema_is_that_of_the_tables(tmp_path: Path) -> None:
    migrated, created = tmp_path / "migrated.db", tmp_path / "made.db"
    with SqlRegistry.open_writer(migrated) as writer, writer._reader.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    engine = create_engine(f"sqlite:///{created}")
    schema.metadata.create_all(engine)
    engine.dispose()
    # Alembic does not compare checks, AUTOINCREMENT and deferred keys; this does.
    assert definitions(migrated) == definitions(created)


def test_wheel_brings_its_migrations_along(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    # "%" has a meaning in the syntax of configuration files.
    installed = tmp_path / "100% of it"
    zipfile.ZipFile(wheel).extractall(installed)
    program = (
        "from pathlib import Path; from disrupt.registry import sql\n"
        f"assert sql.__file__.startswith({str(installed)!r}), sql.__file__\n"
        f"with sql.SqlRegistry.open_writer(Path({str(tmp_path / 'registry.db')!r})) as writer:\n"
        "    print(writer.head().sequence)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(installed)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout == "0\n"


def test_items_of_the_first_schema_keep_the_banks_of_their_cases(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            (ROOT / "tests" / "registry" / "revision_0001.sql").read_text("utf-8")
        )
        before = connection.execute("SELECT * FROM items").fetchall()
    with SqlRegistry.open_writer(path) as writer:
        cases = [writer.case(number) for number in ("PTCV-Y2ZA-M5G", "KKV8-GMXD-2XJ")]
        assert [{item.bank for item in case.items} for case in cases if case] == [
            {ADULTS.number},
            {MINORS.number},
        ]
        withdrawn = writer.case("EH4A-8VVA-2EC")
        assert withdrawn is not None
        assert (withdrawn.status, withdrawn.closed_on) == (CaseStatus.WITHDRAWN, "2026-11-25")
        replayed = writer.registered(bytes.fromhex("DF64A0D8A5B4DFF0C5475A81BCD2B264"))
        assert replayed is not None
        assert replayed[1].case_number == "PTCV-Y2ZA-M5G"
        young = registration(random.Random(1), "PTCV-Y2ZA-M5G", bank=MINORS.number)
        writer.register(young, day=DAY)
        mixed = writer.case("PTCV-Y2ZA-M5G")
        assert mixed is not None
        assert [item.bank for item in mixed.items] == [1, 1, 2]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("SELECT * FROM items").fetchall()[: len(before)] == before


def test_copies_that_a_case_has_from_earlier_become_one(tmp_path: Path) -> None:
    path, chance = tmp_path / "registry.db", random.Random(2)
    minor = [item_of(chance, 1), item_of(chance, 1, OWN, (1, 0, 0))]
    adult = item_of(chance, 1, OWN, (1, 0, 0))
    with SqlRegistry.open_writer(path) as writer:
        numbers = [
            writer.register(registration(chance, None, item, bank=bank), day=DAY).case_number
            for item, bank in ((minor[0], 2), (adult, 1), (minor[1], 2))
        ]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE items SET case_id = 1")
        connection.execute("DELETE FROM identities")
        connection.commit()
    with SqlRegistry.open_writer(path) as writer:
        again = registration(chance, numbers[0], item_of(chance, 1), bank=MINORS.number)
        result = writer.register(again, day=NEXT_DAY, items_per_case=1)
        assert result.items == (Place(minor[1].item_id, 2, Outcome.KEPT),)
        record = writer.case(numbers[0])
        assert record is not None
        assert [item.item_id for item in record.items] == [minor[1].item_id]
        assert len(all_changes(writer)) == 5
        assert writer.register(again, day=DAY) == result
    contents = journal.read(tmp_path / JOURNAL)
    assert contents is not None
    assert {item.item_id for item in contents.removed} == {minor[0].item_id, adult.item_id}

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

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from disrupt.core.cases import CaseStatus
from disrupt.core.policy import ADULTS, MINORS
from disrupt.core.registrations import Outcome
from disrupt.data_directory import JOURNAL
from disrupt.errors import RequestIdReusedError
from disrupt.registry import journal, schema
from disrupt.registry.contract import Place
from disrupt.registry.sql import SqlRegistry
from tests.registry.examples import (
    DAY,
    NEXT_DAY,
    OWN,
    all_changes,
    item_of,
    new_case,
    registration,
)

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
        young = registration(random.Random(1), "PTCV-Y2ZA-M5G", bank=MINORS.number)
        writer.register(young, day=DAY)
        mixed = writer.case("PTCV-Y2ZA-M5G")
        assert mixed is not None
        assert [item.bank for item in mixed.items] == [1, 1, 2]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("SELECT * FROM items").fetchall()[: len(before)] == before


def test_digests_that_say_something_of_pins_are_cleared_and_their_requests_not_repeated(
    tmp_path: Path,
) -> None:
    path, chance = tmp_path / "registry.db", random.Random(3)
    case, items = new_case(chance), [item_of(chance, 1), item_of(chance, 1, OWN, (1, 0, 0))]
    opening = registration(chance, case, item_of(chance, 2))
    adding = [registration(chance, case.number, item) for item in (items[0], items[0], items[1])]
    with SqlRegistry.open_writer(path) as writer:
        for request in (opening, *adding):
            writer.register(request, day=DAY)
        writer.checkpoint()
        before, head = writer.case(case.number), writer.head()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM places").fetchone()[0]
        connection.execute("UPDATE alembic_version SET version_num = '0005'")
        connection.commit()
    with SqlRegistry.open_writer(path) as writer:
        for request in (opening, *adding):
            assert writer.registered(request.request_id) is None
            with pytest.raises(RequestIdReusedError):
                writer.register(request, day=DAY)
        assert (writer.case(case.number), writer.head()) == (before, head)
        writer.checkpoint()
        content = path.read_bytes()
        assert not [request for request in (opening, *adding) if request.request_digest in content]
        # What is registered from then on is as ever, beside items from before.
        last = registration(chance, case.number, item_of(chance, 2), item_of(chance, 3))
        result = writer.register(last, day=DAY)
        assert writer.register(last, day=DAY) == result
        writer.withdraw(case.number, [place.item_id for place in result.items], day=DAY)
        assert writer.registered(last.request_id) is None
        writer.withdraw(case.number, None, day=DAY)


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

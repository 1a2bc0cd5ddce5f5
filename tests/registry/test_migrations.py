"""Schema migrations make what the code expects, and are part of the package."""

import os
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

from disrupt.errors import DataDirectoryError
from disrupt.registry import sqlite
from disrupt.registry.sql import migrations, schema

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


def test_revisions_make_the_schema_of_the_tables(tmp_path: Path) -> None:
    migrated, created = tmp_path / "migrated.db", tmp_path / "created.db"
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.begin() as connection:
        migrations.apply_revisions(connection)
        assert migrations.revision(connection) == schema.REVISION
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    engine.dispose()
    with sqlite.open_writer(created):
        pass
    # Alembic does not compare checks, AUTOINCREMENT and deferred keys; this does.
    assert definitions(migrated) == definitions(created)


def test_a_registry_of_an_unknown_revision_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with sqlite.open_writer(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'later'")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(DataDirectoryError, match="newer version"), sqlite.open_writer(path):
        pass
    with (
        pytest.raises(DataDirectoryError, match="revision later"),
        sqlite.open_reader(path),
    ):
        pass
    assert path.read_bytes() == before


def test_opening_a_registry_does_not_import_alembic(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from disrupt.registry import sqlite\n"
        "for _ in range(2):\n"
        f"    with sqlite.open_writer(Path({str(tmp_path / 'registry.db')!r})):\n"
        "        pass\n"
        "assert not {'alembic', 'mako', 'sqlalchemy.orm'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_wheel_brings_its_migrations_along(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    # "%" has a meaning in the syntax of configuration files.
    installed = tmp_path / "100% of it"
    zipfile.ZipFile(wheel).extractall(installed)
    program = (
        "from sqlalchemy import create_engine; from disrupt.registry.sql import migrations\n"
        f"assert migrations.__file__.startswith({str(installed)!r}), migrations.__file__\n"
        "with create_engine('sqlite://').begin() as connection:\n"
        "    migrations.apply_revisions(connection)\n"
        "    print(migrations.revision(connection))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(installed)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout == f"{schema.REVISION}\n"

"""Schema migrations make what the code expects, and are part of the package."""

import os
import random
import re
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from disrupt.core.cases import CaseStatus
from disrupt.core.media import ItemState
from disrupt.core.organisations import Kind, Organisation
from disrupt.core.outcomes import Outcome as MatchOutcome
from disrupt.core.outcomes import Report
from disrupt.core.policy import ADULTS, MINORS, ApiKey, BankPolicy, Right
from disrupt.core.registrations import Outcome
from disrupt.core.waiting import ReportPolicy
from disrupt.data_directory import JOURNAL
from disrupt.errors import OlderSchemaError, RequestIdReusedError
from disrupt.registry import journal, migrations, schema
from disrupt.registry.contract import Place
from disrupt.registry.sql import SqlRegistry
from tests.registry.case_erasures import AT_S, REVIEWERS, by
from tests.registry.examples import (
    ACT,
    DAY,
    NEXT_DAY,
    OWN,
    all_changes,
    item_of,
    new_case,
    plain,
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


UNDONE = {
    "0014": ("DROP TABLE organisations",),
    "0013": ("DROP TABLE case_erasure_items", "DROP TABLE case_erasures"),
    "0012": (
        "DROP TABLE waits",
        "DROP TABLE negatives",
        "ALTER TABLE outcomes DROP COLUMN counts",
    ),
    "0011": tuple(
        f"ALTER TABLE banks DROP COLUMN {column}"
        for column in ("waiting", "visible_to", "share_percent")
    ),
    "0010": (
        "DROP TABLE acts",
        "ALTER TABLE items DROP COLUMN registered_on",
        "ALTER TABLE states DROP COLUMN reason",
        "ALTER TABLE changes DROP COLUMN bank",
    ),
    "0009": ("DROP TABLE states",),
    "0008": ("DROP TABLE outcomes",),
    "0007": tuple(
        f"ALTER TABLE keys DROP COLUMN {column}"
        for column in ("organisation", "expires_on", "used_on")
    ),
}
"""What undoes each of the newest revisions, newest first."""


def to_revision(connection: sqlite3.Connection, revision: str) -> None:
    """Make the schema that of an earlier revision."""
    for newer, statements in UNDONE.items():
        if newer > revision:
            for statement in statements:
                connection.execute(statement)
    connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.commit()


def test_migrated_schema_is_that_of_the_tables(tmp_path: Path) -> None:
    migrated, created = tmp_path / "migrated.db", tmp_path / "made.db"
    with SqlRegistry.open_writer(migrated) as writer, writer._reader.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    engine = create_engine(f"sqlite:///{created}")
    schema.metadata.create_all(engine)
    engine.dispose()
    # Alembic does not compare checks, AUTOINCREMENT and deferred keys; this does.
    assert definitions(migrated) == definitions(created)


def test_revisions_are_those_of_alembic_in_its_order() -> None:
    scripts = ScriptDirectory(Path(migrations.__file__).parent)
    known = [script.revision for script in scripts.walk_revisions()]
    assert migrations.known_revisions() == known[::-1]


def test_a_registry_that_is_up_to_date_opens_without_alembic(tmp_path: Path) -> None:
    with SqlRegistry.open_writer(tmp_path / "registry.db"):
        pass
    program = (
        "import sys; from pathlib import Path; from disrupt.registry.sql import SqlRegistry\n"
        f"path = Path({str(tmp_path / 'registry.db')!r})\n"
        "with SqlRegistry.open_writer(path): pass\n"
        "with SqlRegistry.open_reader(path): pass\n"
        "print('alembic' in sys.modules, 'sqlalchemy' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False True\n"


@pytest.mark.slow
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
        after = connection.execute("SELECT * FROM items").fetchall()[: len(before)]
        assert [row[: len(before[0])] for row in after] == before


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
        to_revision(connection, "0005")
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


def test_keys_from_before_belong_to_the_organisation_that_they_are_named_after(
    tmp_path: Path,
) -> None:
    path = tmp_path / "registry.db"
    keys = [
        ApiKey(
            f"0000000{at}",
            f"platform {at}",
            bytes([at]) * 32,
            frozenset([Right.MATCH]),
            frozenset([ADULTS.number]),
            DAY,
            revoked_on=revoked_on,
        )
        for at, revoked_on in enumerate(("", NEXT_DAY))
    ]
    with SqlRegistry.open_writer(path) as writer:
        for key in keys:
            writer.add_key(key, act=ACT)
    with closing(sqlite3.connect(path)) as connection:
        to_revision(connection, "0006")
    with pytest.raises(OlderSchemaError), SqlRegistry.open_reader(path):
        pass
    with SqlRegistry.open_writer(path) as writer:
        assert writer.keys() == tuple(replace(key, organisation=key.name) for key in keys)


def test_a_registry_from_before_outcomes_opens_and_takes_reports(tmp_path: Path) -> None:
    path, chance = tmp_path / "registry.db", random.Random(4)
    request = registration(chance)
    with SqlRegistry.open_writer(path) as writer:
        number = writer.register(request, day=DAY).case_number
        before = writer.case(number), writer.head(), writer.registered(request.request_id)
    with closing(sqlite3.connect(path)) as connection:
        to_revision(connection, "0007")
    with SqlRegistry.open_writer(path) as writer:
        assert before == (writer.case(number), writer.head(), writer.registered(request.request_id))
        assert writer.outcomes(number, before=NEXT_DAY) == {}
        item_id = request.items[0].item_id
        writer.report(Report(item_id, "key", bytes(16), MatchOutcome.BLOCKED), day=DAY)
        reported = {item_id: {MatchOutcome.BLOCKED}}
        assert writer.outcomes(number, before=NEXT_DAY) == reported


def test_banks_from_before_are_live_whole_and_seen_by_all(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with SqlRegistry.open_writer(path) as writer:
        writer.change_bank("minors", BankPolicy(20), act=ACT)
    with closing(sqlite3.connect(path)) as connection:
        to_revision(connection, "0010")
    with pytest.raises(OlderSchemaError), SqlRegistry.open_reader(path):
        pass
    with SqlRegistry.open_writer(path) as writer:
        assert writer.banks() == (ADULTS, replace(MINORS, max_distance_bits=20))
        done = writer.register(registration(random.Random(4)), day=DAY)
        assert [place.state for place in done.items] == [ItemState.LIVE]
        waiting = writer.change_bank("adults", BankPolicy(waiting=True), act=ACT)
        assert writer.banks()[0] == waiting == replace(ADULTS, waiting=True)


def test_a_registry_from_before_acts_opens_and_keeps_them_from_then_on(tmp_path: Path) -> None:
    path, chance = tmp_path / "registry.db", random.Random(4)
    request = registration(chance)
    (item,) = request.items
    with SqlRegistry.open_writer(path) as writer:
        number = writer.register(request, day=DAY).case_number
        before = writer.case(number), writer.head(), [*map(plain, all_changes(writer))]
    with closing(sqlite3.connect(path)) as connection:
        to_revision(connection, "0009")
        connection.execute("INSERT INTO states VALUES (1, 3, 1, ?)", (NEXT_DAY,))
        connection.execute("UPDATE states SET state = 1")
        connection.commit()
    with SqlRegistry.open_writer(path) as writer:
        read = writer.case(number), writer.head(), [*map(plain, all_changes(writer))]
        assert read == before
        assert writer.acts(0, 1) == []
        # The day of an item from before is that of its case.
        (reviewed,) = writer.reviewed([item.item_id])
        assert (reviewed.registered_on, reviewed.reason) == (DAY, None)
        writer.set_states([item.item_id], ItemState.DISABLED, day=DAY, act=ACT)
        writer.move_items([item.item_id], MINORS.number, act=ACT)
        assert [act.number for act in writer.acts(0, 9)] == [1, 2]


def test_items_from_before_there_were_states_are_live(tmp_path: Path) -> None:
    path, request = tmp_path / "registry.db", registration(random.Random(4))
    (item,) = request.items
    with SqlRegistry.open_writer(path) as writer:
        done = writer.register(request, day=DAY)
        before = [*map(plain, all_changes(writer))]
    with closing(sqlite3.connect(path)) as connection:
        to_revision(connection, "0008")
    with SqlRegistry.open_writer(path) as writer:
        assert writer.knows(done.cursor)
        assert writer.registered(request.request_id) == (request.request_digest, done)
        assert [*map(plain, all_changes(writer))] == before
        assert [record.state for record in writer.states([item.item_id])] == [ItemState.LIVE]
        writer.set_states([item.item_id], ItemState.DISABLED, day=DAY, act=ACT)
        assert [change.item for change in all_changes(writer)] == [None, None]
        writer.set_states([item.item_id], ItemState.LIVE, day=DAY, act=ACT)
        assert plain(all_changes(writer)[-1]) == before[0]


def test_what_was_reported_before_there_was_a_policy_counts_against_no_item(
    tmp_path: Path,
) -> None:
    path, request = tmp_path / "registry.db", registration(random.Random(4))
    item_id = request.items[0].item_id
    false_positives = [
        Report(item_id, by, by.encode() * 4, MatchOutcome.FALSE_POSITIVE, is_far=True)
        for by in ("west", "east")
    ]
    policy = ReportPolicy()
    with SqlRegistry.open_writer(path) as writer:
        number = writer.register(request, day=DAY).case_number
        writer.report(false_positives[0], day=DAY)
        before = writer.case(number), writer.head(), writer.outcomes(number, before=NEXT_DAY)
    with closing(sqlite3.connect(path)) as connection:
        to_revision(connection, "0011")
    with SqlRegistry.open_writer(path) as writer:
        reported = writer.outcomes(number, before=NEXT_DAY)
        assert (writer.case(number), writer.head(), reported) == before
        assert writer.release(0, day=DAY, at_s=0, limit=1) == ()
        assert not len(writer.negatives().hashes)
        for report in (*false_positives, false_positives[0]):
            assert not writer.report(report, day=DAY, policy=policy, at_s=0)
        anew = replace(false_positives[0], match_digest=b"anew" * 4)
        assert writer.report(anew, day=DAY, policy=policy, at_s=0)


def test_organisations_from_before_have_the_quotas_of_everybody(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    rights, banks = frozenset([Right.MATCH]), frozenset([ADULTS.number])
    key = ApiKey("0a", "p", bytes(32), rights, banks, DAY, organisation="platform")
    with SqlRegistry.open_writer(path) as writer:
        writer.add_key(key, act=ACT)
        acts = writer.acts(0, 9)
    with closing(sqlite3.connect(path)) as connection:
        to_revision(connection, "0010")
    with SqlRegistry.open_writer(path) as writer:
        assert (writer.keys(), writer.organisations(), writer.acts(0, 9)) == ((key,), (), acts)
        own = Organisation("platform", {Kind.HASHES: 1.0})
        writer.set_organisation(own, act=ACT)
        assert writer.organisations() == (own,)


def test_a_registry_from_before_erasures_without_a_pin_opens_and_takes_them(
    tmp_path: Path,
) -> None:
    path, request = tmp_path / "registry.db", registration(random.Random(4))
    with SqlRegistry.open_writer(path) as writer:
        number = writer.register(request, day=DAY).case_number
        for key in REVIEWERS:
            writer.add_key(key, act=ACT)
        before = writer.case(number), writer.head(), writer.registered(request.request_id)
    with closing(sqlite3.connect(path)) as connection:
        to_revision(connection, "0010")
    with pytest.raises(OlderSchemaError), SqlRegistry.open_reader(path):
        pass
    with SqlRegistry.open_writer(path) as writer:
        assert before == (writer.case(number), writer.head(), writer.registered(request.request_id))
        assert writer.due_erasures(AT_S) == ()
        writer.request_erasure(number, act=by(REVIEWERS[0], AT_S))
        confirmed = writer.confirm_erasure(number, day=DAY, act=by(REVIEWERS[1], AT_S))
        record = writer.case(number)
        assert record is not None
        assert record.erasure == confirmed


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((ItemState.LIVE, ItemState.DISABLED), ItemState.DISABLED),
        ((ItemState.WAITING, ItemState.LIVE), ItemState.WAITING),
        ((ItemState.LIVE, ItemState.LIVE), ItemState.LIVE),
    ],
)
def test_what_replaces_copies_from_earlier_is_in_the_state_that_is_farthest_from_live(
    tmp_path: Path, states: tuple[ItemState, ItemState], expected: ItemState
) -> None:
    path, chance = tmp_path / "registry.db", random.Random(6)
    copies = [item_of(chance, 1), item_of(chance, 1)]
    with SqlRegistry.open_writer(path) as writer:
        number, _ = (
            writer.register(registration(chance, None, item), day=DAY).case_number
            for item in copies
        )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE items SET case_id = 1")
        connection.execute("DELETE FROM identities")
        connection.commit()
    with SqlRegistry.open_writer(path) as writer:
        # One of them has a row of its state even where it is LIVE.
        writer.set_states([copies[0].item_id], ItemState.DISABLED, day=DAY, act=ACT)
        for item, state in zip(copies, states, strict=True):
            writer.set_states([item.item_id], state, day=DAY, act=ACT)
        better = item_of(chance, 1, OWN, (1, 0, 0))
        (place,) = writer.register(registration(chance, number, better), day=NEXT_DAY).items
        assert place.outcome == Outcome.RENEWED
        assert [record.state for record in writer.states([place.item_id])] == [expected]


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

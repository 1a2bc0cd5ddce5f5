"""Each change of the audit log, and of the acts that it tells of, is found: by byte and by row.

Half of the changes are of bytes of the log's copy, half of rows of the database. Without
``--proofs`` there are fewer. The sabotage puts a changed entry's own leaf in place, in database and
copy alike, and keeps no checkpoint: that nobody can find, and the count has to say so.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from disrupt.audit import entries, files
from disrupt.audit.entries import Leaf
from disrupt.core.states import ItemState
from disrupt.data_directory import REGISTRY, DataDirectory
from disrupt.errors import DisruptError
from disrupt.registry import opening
from disrupt.upkeep.audit import AuditCopy, doubts
from rig.media.registrations import ACT, DAY, api_key, new_item, registration

_SEED = 48
_TEXTS = ("actor", "organisation", "reason")
_NUMBERS = ("at_s", "action")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a data directory whose log has all kinds of leaves, and two checkpoints."""
    directory = DataDirectory(tmp_path / "house")
    directory.path.mkdir()
    chance = random.Random(_SEED)
    with opening.writing(directory) as registry:
        copy = AuditCopy(registry, directory)
        for number in range(12):
            registry.add_key(api_key(f"{number:08}"), act=ACT)
            item = new_item(chance)
            case = registry.register(registration(chance, None, item), day=DAY).case_number
            registry.set_states([item.item_id], ItemState.DISABLED, ACT)
            if number % 3 == 0:
                registry.withdraw(case, None, day=DAY)
            if number == 6:
                copy.copy()
                copy.sign()
        copy.copy()
        copy.sign()
    return directory.path


def of_a_byte(data_dir: Path, chance: random.Random) -> None:
    path = data_dir / "audit" / files.LEAVES
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
    path.write_bytes(content)


def of_a_row(data_dir: Path, chance: random.Random) -> None:
    with closing(sqlite3.connect(data_dir / REGISTRY)) as database, database:
        execute = database.execute
        execute("PRAGMA foreign_keys = OFF")
        execute("PRAGMA ignore_check_constraints = ON")
        table = chance.choice(("audit", "acts"))
        numbers = [row[0] for row in execute(f"SELECT number FROM {table}")]  # noqa: S608
        number = chance.choice(numbers)
        if table == "audit":
            change = chance.choice(("leaf", "salt", "entry", "gone", "swapped", "erased", "added"))
            other = chance.choice([other for other in numbers if other != number])
        else:
            change, other = chance.choice((*_TEXTS, *_NUMBERS, "gone")), 0
        match change:
            case "leaf" | "salt":
                execute(
                    f"UPDATE audit SET {change} = ? WHERE number = ?",  # noqa: S608
                    (chance.randbytes(32 if change == "leaf" else 16), number),
                )
            case "entry":
                execute(
                    "UPDATE audit SET entry = replace(entry, '}', ',\"x\":1}') WHERE number = ?",
                    (number,),
                )
            case "gone":
                execute(f"DELETE FROM {table} WHERE number = ?", (number,))  # noqa: S608
            case "added":
                execute(
                    "INSERT INTO audit SELECT ?, leaf, salt, entry FROM audit WHERE number = ?",
                    (max(numbers) + 2, number),
                )
            case "erased":
                execute("UPDATE audit SET salt = NULL, entry = NULL WHERE number = ?", (number,))
            case "swapped":
                for old, new in ((number, -1), (other, number), (-1, other)):
                    execute("UPDATE audit SET number = ? WHERE number = ?", (new, old))
            case _:
                value = "another" if change in _TEXTS else 1 + chance.randrange(10_000) * 7919
                execute(
                    f"UPDATE acts SET {change} = ? WHERE number = ?",  # noqa: S608
                    (value, number),
                )


def unseen(data_dir: Path, _chance: random.Random) -> None:
    """Change an entry that is no act, with all that tells of it: the sabotage."""
    path = data_dir / "audit" / files.LEAVES
    leaves = list(entries.read(path))
    number = next(leaf.number for leaf in leaves if leaf.content["kind"] == entries.WITHDRAWAL)
    changed = Leaf.of(number, {"kind": entries.WITHDRAWAL, "items": 9})
    leaves[number] = changed
    path.write_text("".join(leaf.line() for leaf in leaves), encoding="ascii")
    with closing(sqlite3.connect(data_dir / REGISTRY)) as database, database:
        database.execute(
            "UPDATE audit SET leaf = ?, salt = ?, entry = ? WHERE number = ?",
            (changed.leaf, changed.salt, changed.entry, changed.number),
        )
    shutil.rmtree(data_dir / "audit" / files.CHECKPOINTS)


def is_found(house: Path, change: Callable[[Path, random.Random], None], seed: int) -> bool:
    """Change a copy of a data directory; tell whether somebody who looks is told."""
    changed = house.with_name("changed")
    shutil.rmtree(changed, ignore_errors=True)
    shutil.copytree(house, changed)
    change(changed, random.Random(seed))
    directory = DataDirectory(changed)
    try:
        with opening.reading(directory) as registry:
            return bool(doubts(registry, directory))
    except DisruptError:
        return True


def test_each_change_is_found(house: Path, *, whole: bool, figures: Callable[[str], None]) -> None:
    directory = DataDirectory(house)
    with opening.reading(directory) as registry:
        assert doubts(registry, directory) == []
    count = 500 if whole else 30
    found = {
        change.__name__: sum(is_found(house, change, seed) for seed in range(count))
        for change in (of_a_byte, of_a_row)
    }
    figures(f"changes found, of {count} each: {found}")
    assert found == {"of_a_byte": count, "of_a_row": count}
    assert not is_found(house, unseen, 0)


def cut_off(data_dir: Path, _chance: random.Random) -> None:
    """Drop the newest line of the copy."""
    path = data_dir / "audit" / files.LEAVES
    lines = path.read_text(encoding="ascii").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="ascii")


def added_to(data_dir: Path, _chance: random.Random) -> None:
    """Add a leaf to the copy that the database never had."""
    path = data_dir / "audit" / files.LEAVES
    number = len(path.read_text(encoding="ascii").splitlines())
    with path.open("a", encoding="ascii") as file:
        file.write(Leaf.of(number, {"kind": entries.CLEARED, "before": 1}).line())


@pytest.mark.parametrize("change", [cut_off, added_to])
def test_a_copy_longer_or_shorter_than_the_database_is_found(
    house: Path, change: Callable[[Path, random.Random], None]
) -> None:
    assert is_found(house, change, 0)

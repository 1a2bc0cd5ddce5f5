"""No file of the registry holds what was withdrawn."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from disrupt.core.media import MediaKind
from disrupt.core.renewals import identity_of
from disrupt.registry import sqlite
from disrupt.registry.records import Registration
from disrupt.registry.registry import RegistryWriter
from rig.media.registrations import DAY, OWN, all_changes, item_of, new_case, new_item, registration


@pytest.fixture
def writer(path: Path) -> Iterator[RegistryWriter]:
    with sqlite.open_writer(path) as writer:
        yield writer


def secrets_of(request: Registration) -> list[bytes]:
    """Return all data made from hashes: each hash of each item, and the request's digest."""
    hashes = [row["hash"].tobytes() for item in request.items for row in item.fingerprints]
    return [*hashes, request.request_digest]


def files_with(path: Path, secrets: list[bytes]) -> list[set[str]]:
    """List, for each secret, files with half of it.

    Where a secret crosses the end of a page, one half is whole. Empty pages are left out: the
    reserve has thousands of them.
    """
    empty = bytes(4096)
    files = {
        file.name: file.read_bytes().replace(empty, b"")
        for file in path.parent.rglob("*")
        if file.is_file()
    }
    return [
        {
            name
            for name, content in files.items()
            if secret[:16] in content or (secret[16:] or secret) in content
        }
        for secret in secrets
    ]


def all_in(path: Path, secrets: list[bytes], files: set[str]) -> bool:
    """Tell whether each secret is in these files and in no other."""
    return all(where == files for where in files_with(path, secrets))


def example(chance: random.Random) -> Registration:
    # Blobs within a page, and over several pages.
    items = (new_item(chance, 1), new_item(chance, 12), new_item(chance, 700, MediaKind.VIDEO))
    return registration(chance, new_case(chance), *items)


@pytest.mark.parametrize("in_log_only", [True, False])
def test_erased_bytes_are_found_before_withdrawal_and_nowhere_after(
    writer: RegistryWriter, path: Path, *, in_log_only: bool
) -> None:
    chance = random.Random(1)
    kept, gone = example(chance), example(chance)
    writer.register(kept, day=DAY)
    assert writer.checkpoint()
    number = writer.register(gone, day=DAY).case_number
    if not in_log_only:
        assert writer.checkpoint()
    where = {"registry.db-wal"} if in_log_only else {"registry.db"}
    assert all_in(path, secrets_of(gone), where)

    writer.withdraw(number, None, day=DAY)

    assert not any(files_with(path, secrets_of(gone)))
    assert all_in(path, secrets_of(kept), {"registry.db"})


def test_what_a_renewed_item_had_alone_is_found_nowhere_after(
    writer: RegistryWriter, path: Path
) -> None:
    chance = random.Random(5)
    crops = [(1, ordinal, 0) for ordinal in range(300)]
    first = registration(chance, None, item_of(chance, 1, OWN, *crops))
    own, *gone, digest = secrets_of(first)
    number = writer.register(first, day=DAY).case_number
    assert all_in(path, [own, *gone, digest], {"registry.db-wal"})
    writer.register(registration(chance, number, item_of(chance, 1, OWN, (2, 0, 0))), day=DAY)
    assert not any(files_with(path, [*gone, digest]))
    assert all_in(path, [own], {"registry.db"})


def test_digest_goes_with_the_first_withdrawn_item_and_the_other_items_stay(
    writer: RegistryWriter, path: Path
) -> None:
    request = example(random.Random(2))
    number = writer.register(request, day=DAY).case_number
    assert any(files_with(path, [request.request_digest]))
    writer.withdraw(number, [request.items[0].item_id], day=DAY)
    first, *rest, digest = secrets_of(request)
    assert not any(files_with(path, [digest, first]))
    assert all_in(path, rest, {"registry.db"})


def test_erasure_held_up_by_a_reader_is_finished_by_the_next_checkpoint(
    writer: RegistryWriter, path: Path
) -> None:
    request = example(random.Random(3))
    number = writer.register(request, day=DAY).case_number
    with sqlite.open_reader(path) as reader:
        with reader.database.reader.begin() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM items").scalar_one()
            writer.withdraw(number, None, day=DAY)  # the reader does not delay the withdrawal
            assert not writer.checkpoint()
            assert all(files_with(path, secrets_of(request)))
        assert len(all_changes(reader)) == 2 * len(request.items)
        assert writer.checkpoint()
    assert not any(files_with(path, secrets_of(request)))


def test_withdrawn_rows_link_nothing_to_the_case(writer: RegistryWriter) -> None:
    chance = random.Random(4)
    request = registration(chance, None, item_of(chance, 1), item_of(chance, 2))
    number = writer.register(request, day=DAY).case_number
    renewed = registration(chance, number, item_of(chance, 1, OWN, (1, 0, 0)))
    writer.register(renewed, day=DAY)
    writer.withdraw(number, None, day=DAY)
    with writer.database.reader.begin() as connection:
        items = connection.exec_driver_sql("SELECT * FROM items").mappings().all()
        requests = connection.exec_driver_sql("SELECT * FROM requests").mappings().all()
        case = connection.exec_driver_sql("SELECT * FROM cases").mappings().one()
    kept = [{name for name, value in row.items() if value is not None} for row in items]
    assert kept == [{"number", "item_id", "bank"}] * 3
    assert [{name for name, value in row.items() if value is not None} for row in requests] == [
        {"request_id"}
    ] * 2
    assert case["numbers_given"] == 0
    assert {name for name, value in case.items() if value is not None} == {
        "id",
        "number",
        "pin_hash",
        "status",
        "opened_on",
        "closed_on",
        "numbers_given",
        "tag",  # by which staff tell cases, for 30 days
        "tagged_on",
    }


def test_an_answer_that_named_an_item_is_erased_with_it_and_what_identifies_it(
    writer: RegistryWriter, path: Path
) -> None:
    chance = random.Random(6)
    first = registration(chance, None, item_of(chance, 1), item_of(chance, 2))
    number = writer.register(first, day=DAY).case_number
    again = registration(chance, number, item_of(chance, 1), item_of(chance, 3))
    writer.register(again, day=DAY)
    identities = [identity_of(item.kind, item.fingerprints) for item in first.items]
    assert all(files_with(path, identities))
    writer.withdraw(number, [first.items[0].item_id], day=DAY)
    assert [bool(files) for files in files_with(path, identities)] == [False, True]
    with writer.database.reader.begin() as connection:
        requests = connection.exec_driver_sql("SELECT digest, sequence FROM requests").all()
        answers = connection.exec_driver_sql("SELECT * FROM answers").all()
        linked = connection.exec_driver_sql("SELECT request_id FROM items").scalars().all()
    assert requests == [(None, None)] * 2
    assert answers == []
    assert linked == [None] * 3

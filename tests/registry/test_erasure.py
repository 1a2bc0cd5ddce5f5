"""No file of the registry holds what was withdrawn."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from disrupt.core.media import MediaKind
from disrupt.registry.contract import Registration
from disrupt.registry.sql import SqlRegistry, SqlRegistryWriter
from tests.registry.examples import DAY, all_changes, new_case, new_item, registration


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def writer(path: Path) -> Iterator[SqlRegistryWriter]:
    with SqlRegistry.open_writer(path) as writer:
        yield writer


def secrets_of(request: Registration) -> list[bytes]:
    """Return all data made from hashes: each hash of each item, and the request's digest."""
    hashes = [row["hash"].tobytes() for item in request.items for row in item.fingerprints]
    return [*hashes, request.request_digest]


def files_with(path: Path, secret: bytes) -> set[str]:
    """List files with half of a secret: where it crosses the end of a page, one half is whole."""
    files = {file.name: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()}
    halves = secret[:16], secret[16:]
    return {name for name, content in files.items() if any(half in content for half in halves)}


def example(chance: random.Random) -> Registration:
    # Blobs within a page, and over several pages.
    items = (new_item(chance, 1), new_item(chance, 12), new_item(chance, 700, MediaKind.VIDEO))
    return registration(chance, new_case(chance), *items)


@pytest.mark.parametrize("in_log_only", [True, False])
def test_erased_bytes_are_found_before_withdrawal_and_nowhere_after(
    writer: SqlRegistryWriter, path: Path, *, in_log_only: bool
) -> None:
    chance = random.Random(1)
    kept, gone = example(chance), example(chance)
    writer.register(kept, day=DAY)
    assert writer.checkpoint()
    number = writer.register(gone, day=DAY).case_number
    if not in_log_only:
        assert writer.checkpoint()
    where = {"registry.db-wal"} if in_log_only else {"registry.db"}
    assert all(files_with(path, secret) == where for secret in secrets_of(gone))

    writer.withdraw(number, None, day=DAY)

    assert not any(files_with(path, secret) for secret in secrets_of(gone))
    assert all(files_with(path, secret) == {"registry.db"} for secret in secrets_of(kept))


def test_digest_goes_with_the_first_withdrawn_item_and_the_other_items_stay(
    writer: SqlRegistryWriter, path: Path
) -> None:
    request = example(random.Random(2))
    number = writer.register(request, day=DAY).case_number
    assert files_with(path, request.request_digest)
    writer.withdraw(number, [request.items[0].item_id], day=DAY)
    first, *rest, digest = secrets_of(request)
    assert not files_with(path, digest)
    assert not files_with(path, first)
    assert all(files_with(path, secret) == {"registry.db"} for secret in rest)


def test_erasure_held_up_by_a_reader_is_finished_by_the_next_checkpoint(
    writer: SqlRegistryWriter, path: Path
) -> None:
    request = example(random.Random(3))
    number = writer.register(request, day=DAY).case_number
    with SqlRegistry.open_reader(path) as reader:
        with reader._reader.begin() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM items").scalar_one()
            writer.withdraw(number, None, day=DAY)  # the reader does not delay the withdrawal
            assert not writer.checkpoint()
            assert all(files_with(path, secret) for secret in secrets_of(request))
        assert len(all_changes(reader)) == 2 * len(request.items)
        assert writer.checkpoint()
    assert not any(files_with(path, secret) for secret in secrets_of(request))


def test_withdrawn_rows_link_nothing_to_the_case(writer: SqlRegistryWriter) -> None:
    request = example(random.Random(4))
    number = writer.register(request, day=DAY).case_number
    writer.withdraw(number, None, day=DAY)
    with writer._reader.begin() as connection:
        items = connection.exec_driver_sql("SELECT * FROM items").mappings().all()
        requests = connection.exec_driver_sql("SELECT * FROM requests").mappings().all()
        case = connection.exec_driver_sql("SELECT * FROM cases").mappings().one()
    kept = [{name for name, value in row.items() if value is not None} for row in items]
    assert kept == [{"number", "item_id", "bank"}] * len(request.items)
    assert [{name for name, value in row.items() if value is not None} for row in requests] == [
        {"request_id"}
    ]
    assert {name for name, value in case.items() if value is not None} == {
        "id",
        "number",
        "pin_hash",
        "status",
        "opened_on",
        "closed_on",
    }

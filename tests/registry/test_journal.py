"""The journal holds every acknowledged removal, and distinguishes torn ends from damage."""

import errno
import hashlib
import os
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.errors import DataDirectoryError, StorageFullError, UnavailableError
from disrupt.registry import journal
from disrupt.registry.journal import Epoch, Journal, Record
from disrupt.registry.records import Removed, Revoked

RECORD_BYTES = 48

records = st.lists(
    st.builds(
        Removed,
        st.integers(0, 2**56 - 1),
        st.binary(min_size=16, max_size=16),
        st.just(b"") | st.binary(min_size=16, max_size=16).filter(any),
    )
    | st.builds(Revoked, st.text("0123456789abcdef", min_size=8, max_size=16))
    | st.builds(Epoch, st.binary(min_size=16, max_size=16)),
    max_size=8,
)


def some(count: int, first: int = 1) -> list[Removed]:
    return [Removed(number, bytes([number]) * 16) for number in range(first, first + count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "removals.journal"


def read(path: Path) -> tuple[tuple[Record, ...], bool, int]:
    """Return the records of a journal, whether it is torn, and its number of damaged records."""
    contents = journal.read(path)
    assert contents is not None
    return contents.records, contents.torn, contents.damaged_records


@given(records, st.lists(records, max_size=4))
@settings(max_examples=50)
def test_what_was_added_is_read_in_order(
    tmp_path_factory: pytest.TempPathFactory, first: list[Record], later: list[list[Record]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "removals.journal"
    journal.write(path, first)
    with closing(Journal.open(path)) as opened:
        for batch in later:
            opened.add(batch)
            first = first + batch
            assert read(path) == (tuple(first), False, 0)


@pytest.mark.parametrize("left", range(1, 2 * RECORD_BYTES))
def test_a_torn_end_is_recognised_wherever_it_is_torn(path: Path, left: int) -> None:
    journal.write(path, some(4))
    os.truncate(path, 3 * RECORD_BYTES + left)
    assert read(path) == (tuple(some(2 + left // RECORD_BYTES)), left % RECORD_BYTES != 0, 0)


def test_an_end_that_was_given_room_but_not_written_is_torn(path: Path) -> None:
    journal.write(path, some(2))
    with path.open("ab") as file:
        file.write(bytes(5 * RECORD_BYTES))
    assert read(path) == (tuple(some(2)), True, 0)


@pytest.mark.parametrize("bit", range(0, RECORD_BYTES * 8, 7))
def test_any_altered_bit_of_a_record_before_good_ones_is_damage(path: Path, bit: int) -> None:
    journal.write(path, some(3))
    content = bytearray(path.read_bytes())
    content[2 * RECORD_BYTES + bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    first, _, third = some(3)
    assert read(path) == ((first, third), False, 1)


@pytest.mark.parametrize(
    "first",
    [bytes(7) + b"\3", b"\1" + bytes(6) + b"\1", b"\1" + bytes(6) + b"\2"],
    ids=["kind", "number of a key", "number of an epoch"],
)
def test_what_no_version_wrote_is_damage_whatever_its_check(path: Path, first: bytes) -> None:
    journal.write(path, some(2))
    content = path.read_bytes()
    body = first + bytes(32)
    strange = body + hashlib.sha256(body).digest()[:8]
    path.write_bytes(content[: 2 * RECORD_BYTES] + strange + content[2 * RECORD_BYTES :])
    assert read(path) == (tuple(some(2)), False, 1)


@pytest.mark.parametrize(
    "content", [b"", b"disrupt removals journal 4\n".ljust(48, b"\0"), bytes(96), b"\n" * 48]
)
def test_another_file_is_refused_and_kept(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DataDirectoryError, match=r"removals\.journal"):
        journal.read(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("exchange", ["replaced", "deleted"])
def test_a_journal_whose_file_is_exchanged_is_not_added_to(path: Path, exchange: str) -> None:
    journal.write(path, some(1))
    with closing(Journal.open(path)) as opened:
        if exchange == "replaced":
            journal.write(path, some(1))
        else:
            path.unlink()
        for batch in (some(2, 2), []):
            with pytest.raises(UnavailableError, match="replaced or deleted"):
                opened.add(batch)


def test_it_is_the_owners_alone(path: Path) -> None:
    journal.write(path, some(1))
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


class ShortWrites:
    """``os.pwrite`` of a disk that takes one byte a call, and none after ``room_bytes``."""

    def __init__(self, room_bytes: int) -> None:
        self.room_bytes = room_bytes

    def __call__(self, descriptor: int, content: bytes, offset: int) -> int:
        if not self.room_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room_bytes -= 1
        return _PWRITE(descriptor, content[:1], offset)


_PWRITE = os.pwrite


@pytest.mark.parametrize("room_bytes", [0, 1, 47, 48, 70, 95])
def test_a_disk_that_fills_between_short_writes_is_an_error_and_leaves_no_part(
    path: Path, monkeypatch: pytest.MonkeyPatch, room_bytes: int
) -> None:
    journal.write(path, some(1))
    with closing(Journal.open(path)) as opened:
        monkeypatch.setattr(os, "pwrite", ShortWrites(room_bytes))
        with pytest.raises(StorageFullError):
            opened.add(some(2, 2))
        assert read(path) == (tuple(some(1)), False, 0)
        monkeypatch.setattr(os, "pwrite", ShortWrites(2 * RECORD_BYTES))
        opened.add([])
    assert read(path) == (tuple(some(3)), False, 0)

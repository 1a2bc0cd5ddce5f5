"""The directory that results go to: a Parquet file for each unit that is done, and two of JSON.

A file is written aside and renamed, so that one that exists is whole: its unit is not done again.
Names that begin with ``_`` or ``.`` are left out by whoever reads the directory as one data set.
"""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from disrupt.core.changes import Cursor
from disrupt.data_directory import sync, write_private
from disrupt.errors import DisruptError, InvalidRequestError, StorageFullError, Violation

_SETTINGS = "_settings.json"
_SUMMARY = "_summary.json"
_NOTES = b"disrupt"
_EXAMPLES = 20


class Numbered(Protocol):
    """A unit of any kind; ``number`` names its results."""

    @property
    def number(self) -> int:
        """Number, counted from 0."""


_Unit = TypeVar("_Unit", bound=Numbered)


@dataclass(frozen=True, slots=True)
class Notes:
    """Counts of a unit, or of all; they are in the metadata of its file.

    ``refused`` counts what was left out by reason, ``examples`` names the first of it. ``cursor``
    is the state of the registry that was matched against, as text; empty where nothing was.
    """

    counts: dict[str, int]
    refused: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """A directory of results. Any number of processes may write units of it."""

    path: Path

    def begin(self, settings: dict[str, Any]) -> None:
        """Make the directory, or check that it was begun with the same settings.

        InvalidRequestError if it was not: its results would be of two kinds.
        """
        file = self.path / _SETTINGS
        text = json.dumps(settings, indent=1, sort_keys=True)
        with _storage_errors(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            used = any(self.path.glob("[!._]*"))  # asked first: another shard may begin now
            if not file.exists():
                if used:
                    raise _other(f"{self.path} holds other files.")
                write_private(file, text)
            begun = file.read_text("utf-8")
        if begun != text:
            before = json.loads(begun)
            changed = [name for name in settings if settings[name] != before.get(name)]
            raise _other(f"{self.path} was begun with other {', '.join(changed) or 'settings'}.")

    def file(self, number: int) -> Path:
        """Return the path of the results of a unit."""
        return self.path / f"{number:06d}.parquet"

    def write(self, number: int, table: Any, notes: Notes) -> None:  # noqa: ANN401 of pyarrow
        """Write the results of a unit, durably and at once, in place of any there are.

        StorageFullError if the disk is full; then there is nothing of this unit.
        """
        content = BytesIO()
        table = table.replace_schema_metadata({_NOTES: json.dumps(asdict(notes))})
        pq.write_table(table, content, row_group_size=max(len(table), 1))
        aside = self.path / f".{number:06d}-{uuid.uuid4().hex}"
        with _storage_errors(self.path):
            try:
                with aside.open("wb") as file:
                    file.write(content.getbuffer())
                    file.flush()
                    os.fsync(file.fileno())
                aside.rename(self.file(number))
            finally:
                aside.unlink(missing_ok=True)
            sync(self.path)

    def summarize(self, units: int) -> dict[str, Any]:
        """Write and return the summary of the units that are done, of so many in all.

        ``cursor`` is the oldest of theirs.
        """
        counts, refused = Counter[str](), Counter[str]()
        examples: list[str] = []
        cursors: list[Cursor] = []
        done = [file for file in map(self.file, range(units)) if file.exists()]
        for aside in self.path.glob(".[0-9]*-*"):  # of writers that were killed
            if self.file(int(aside.name[1:].partition("-")[0])).exists():
                aside.unlink(missing_ok=True)
        for notes in map(_notes, done):
            counts.update(notes.counts)
            refused.update(notes.refused)
            examples.extend(notes.examples)
            if notes.cursor:
                cursors.append(Cursor.from_text(notes.cursor))
        summary = {
            "units": units,
            "units_done": len(done),
            **counts,
            "refused": dict(refused.most_common()),
            "examples": examples[:_EXAMPLES],
        }
        if cursors:
            oldest = min(cursors, key=lambda cursor: cursor.sequence)
            summary["cursor"] = oldest.to_text()
        with _storage_errors(self.path):
            write_private(self.path / _SUMMARY, json.dumps(summary, indent=1))
        return summary

    def to_do(self, units: Iterable[_Unit]) -> list[_Unit]:
        """Return the units of which there are no results yet."""
        return [unit for unit in units if not self.file(unit.number).exists()]


def _notes(file: Path) -> Notes:
    try:
        return Notes(**json.loads(pq.read_schema(file).metadata[_NOTES]))
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise DisruptError(
            f"{file} is damaged, or not a result of this command. Delete it, and run the command"
            " again: it does that part anew."
        ) from error


def _other(why: str) -> InvalidRequestError:
    return InvalidRequestError.of(
        Violation(
            "--out", f"{why} Nothing was done. Give a new directory, or the same inputs and options"
        )
    )


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Turn OSError into a DisruptError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFullError(
                f"The disk of {path} is full. What was written stays: free space, and run the same"
                " command again."
            ) from error
        raise DisruptError(f"{path} cannot be written: {error}.") from error

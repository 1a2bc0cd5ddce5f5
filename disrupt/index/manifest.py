"""The manifest of a snapshot: what it holds, how far it goes, a checksum of every file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from disrupt.core.changes import Cursor
from disrupt.errors import SnapshotRefusedError, UnavailableError

FORMAT_VERSION: Final = 3
MANIFEST = "manifest.json"
CODES = "codes.faiss"
ENTRIES = "entries.npy"
ITEMS = "items.npy"
FILES = (CODES, ENTRIES, ITEMS)
TABLES = ("search-starts.npy", "search-tags.npy", "search-low.npy", "search-high.npy")

REMEDY = "Run `disrupt-index rebuild`."
"""Advice about any refusal."""

_MAX_MANIFEST_BYTES = 64 * 1024
_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=2**63)]


class FileSum(BaseModel):
    """Size and SHA-256 of one file, and its inode and time of modification at that moment.

    ``inode`` and ``modified_ns`` spare reading a file again that is still the same. They guard
    against damage, not against processes that may write here: these could write a manifest that
    fits.
    """

    model_config = _STRICT

    size_bytes: Count
    sha256: Sha256
    inode: Annotated[int, Field(ge=0, lt=2**64)]
    modified_ns: Count

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a file whole."""
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(
            size_bytes=status.st_size,
            sha256=sha256,
            inode=status.st_ino,
            modified_ns=status.st_mtime_ns,
        )

    def is_of(self, status: os.stat_result) -> bool:
        """Tell whether a file with this status is still the one that was read."""
        return (self.size_bytes, self.inode, self.modified_ns) == (
            status.st_size,
            status.st_ino,
            status.st_mtime_ns,
        )


class FlatParameters(BaseModel):
    """Every code is compared; there are no tables."""

    model_config = _STRICT

    name: Literal["flat"] = "flat"
    code_bits: Literal[256] = 256

    @property
    def files(self) -> tuple[str, ...]:
        """All files of such a snapshot."""
        return FILES


class MultiIndexParameters(BaseModel):
    """Tables as ``tables.Tables`` says; another layout is another version.

    Version 1 is ``tables.NARROW``, version 2 ``tables.WIDE``.
    """

    model_config = _STRICT

    name: Literal["multi_index"] = "multi_index"
    code_bits: Literal[256] = 256
    chunks: Literal[16, 12] = 16
    tables_version: Literal[1, 2] = 1

    @property
    def files(self) -> tuple[str, ...]:
        """All files of such a snapshot."""
        return (*FILES, *TABLES)


NARROW_TABLES = MultiIndexParameters()
WIDE_TABLES = MultiIndexParameters(chunks=12, tables_version=2)

Engine = Annotated[FlatParameters | MultiIndexParameters, Field(discriminator="name")]
"""Parameters of the search; a build without this engine refuses the snapshot."""


class Manifest(BaseModel):
    """Contents of manifest.json.

    ``epoch`` (hex), ``sequence`` and ``mark`` (hex) are the cursor: every change up to it is
    included. ``begun_s`` is when the writing began, in seconds since 1970.
    """

    model_config = _STRICT

    format_version: Literal[3] = FORMAT_VERSION
    engine: Engine
    epoch: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    sequence: Count
    mark: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    begun_s: Count
    items: Count
    hashes: Count
    files: dict[str, FileSum]

    @property
    def cursor(self) -> Cursor:
        """Return the state of the registry that the snapshot is of."""
        return Cursor(bytes.fromhex(self.epoch), self.sequence, bytes.fromhex(self.mark))

    def to_bytes(self) -> bytes:
        """Return the file. There is only one encoding, so any altered byte shows."""
        body = self.model_dump(mode="json")
        text = json.dumps(body | {"checksum": _checksum(body)}, indent=2)
        return text.encode() + b"\n"


def read(directory: Path) -> Manifest:
    """Read the manifest of a snapshot directory.

    SnapshotRefusedError if it is missing, damaged or of another format; UnavailableError as of
    ``reading``.
    """
    path = directory / MANIFEST
    with reading(path), path.open("rb") as file:
        raw = file.read(_MAX_MANIFEST_BYTES + 1)
    try:
        body = json.loads(raw) if len(raw) <= _MAX_MANIFEST_BYTES else None
    except (ValueError, RecursionError) as error:
        raise refused(path, "not JSON") from error
    if not isinstance(body, dict):
        raise refused(path, "not a manifest")
    _check_format(path, body)
    body.pop("checksum", None)
    try:
        manifest = Manifest.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise refused(path, f"{at}: {first['msg']}") from error
    if set(manifest.files) != set(manifest.engine.files):
        # This refuses a name with .. in it, too: a manifest's names never choose a file to open.
        raise refused(path, f"lists other files than {', '.join(manifest.engine.files)}")
    if manifest.to_bytes() != raw:
        raise refused(path, "altered: its checksum does not fit")
    return manifest


def refused(path: Path, reason: str) -> SnapshotRefusedError:
    """Make the error that names a file of a snapshot and why it is refused."""
    return SnapshotRefusedError(
        f"Snapshot file {path.parent.name}/{path.name} refused: {reason}. {REMEDY}"
    )


def unreadable(path: Path, reason: str | None) -> UnavailableError:
    """Make the error that names a file of a snapshot that cannot be read now, but may be good."""
    return UnavailableError(
        f"Snapshot file {path.parent.name}/{path.name} cannot be read now: {reason}."
    )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Translate the system's errors about a file of a snapshot.

    SnapshotRefusedError where it is missing. UnavailableError for everything else, which may pass:
    no descriptor or memory is free, the call was interrupted, permissions are set wrong.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise refused(path, "missing") from error
    except OSError as error:
        raise unreadable(path, error.strerror) from error


def _check_format(path: Path, body: dict[str, Any]) -> None:
    version = body.get("format_version")
    if version != FORMAT_VERSION:
        raise refused(path, f"format version {version!r}, this build reads {FORMAT_VERSION}")
    engines = [
        parameters.model_dump() for parameters in (FlatParameters(), NARROW_TABLES, WIDE_TABLES)
    ]
    if body.get("engine") not in engines:
        raise refused(
            path,
            f"engine parameters {body.get('engine')!r}, this build serves {engines!r}",
        )


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

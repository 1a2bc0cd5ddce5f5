"""Lists in files: CSV, JSON Lines, and directories of videos in vPDQ's text form.

A file is the whole list: what it has no more is withdrawn.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from disrupt.core.hashes import MIN_QUALITY
from disrupt.core.lists import SOURCE_ID_BYTES_MAX, ListEntry, Skipped
from disrupt.core.media import FINGERPRINT, MediaKind, Profile
from disrupt.core.vpdq import parse_vpdq
from disrupt.errors import InvalidRequestError
from disrupt.lists.pages import Ask, ListReadError, Page, Reader, digest, picture

_PAGE_ENTRIES = 5_000
_LINE_CHARACTERS = 10_000
_VIDEO_BYTES_MAX = 64 * 2**20
_QUALITY_MAX = 100


def _pages(
    source: Mapping[str, Any], _secrets: Mapping[str, str], _ask: Ask, checkpoint: str, now_s: int
) -> Iterator[Page]:
    path = Path(source["path"])
    before, _, read_s = checkpoint.partition(" ")
    try:
        contents = _contents(path)
        if contents == before:
            yield Page(checkpoint=checkpoint)
            return
        changed_s = max(now_s, int(read_s or 0) + 1)
        yield from _read(path, changed_s)
        if _contents(path) != contents:
            raise ListReadError("malformed", "The file changed while it was read.")
    except (OSError, UnicodeError, csv.Error) as error:
        raise ListReadError("malformed", f"{path} cannot be read.") from error
    yield Page(checkpoint=f"{contents} {changed_s}", withdrawn_before_s=changed_s)


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.txt")) if path.is_dir() else [path]


def _contents(path: Path) -> str:
    """Return a digest of all that a list says."""
    total = hashlib.sha256()
    for file in _files(path):
        total.update(file.name.encode(errors="replace"))
        with file.open("rb") as opened:
            total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def _read(path: Path, changed_s: int) -> Iterator[Page]:
    page = Page()
    if path.suffix == ".txt" or path.is_dir():
        for file in _files(path):
            _add_video(page, file, changed_s)
            yield page
            page = Page()
        return
    with path.open(encoding="utf-8-sig", newline="") as opened:
        rows = _csv_rows(opened) if path.suffix == ".csv" else _json_rows(opened)
        for row in rows:
            _add_picture(page, row, changed_s)
            if len(page.entries) == _PAGE_ENTRIES:
                yield page
                page = Page()
    yield page


def _csv_rows(opened: TextIO) -> Iterator[Mapping[str, Any] | None]:
    rows = csv.DictReader(opened)
    if "hash" not in (rows.fieldnames or ()):
        raise ListReadError("malformed", "The first line of a CSV file names a column `hash`.")
    yield from rows


def _json_rows(opened: TextIO) -> Iterator[Mapping[str, Any] | None]:
    while line := opened.readline(_LINE_CHARACTERS):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield row if isinstance(row, dict) else None


def _add_picture(page: Page, row: Mapping[str, Any] | None, changed_s: int) -> None:
    hexadecimal = str((row or {}).get("hash") or "").strip().lower()
    source_id = str((row or {}).get("id") or "").strip().encode(errors="replace")
    try:
        quality = int((row or {}).get("quality") or MIN_QUALITY)
    except (TypeError, ValueError, OverflowError):
        quality = -1
    fingerprints = picture(hexadecimal, quality) if 0 <= quality <= _QUALITY_MAX else None
    if fingerprints is None or len(source_id) > SOURCE_ID_BYTES_MAX:
        page.skipped[Skipped.MALFORMED] += 1
        return
    source_id = source_id or digest(hexadecimal)
    page.entries.append(ListEntry(source_id, changed_s, MediaKind.IMAGE, fingerprints))


def _add_video(page: Page, file: Path, changed_s: int) -> None:
    """Add a video, whose id is the name of its file."""
    try:
        if file.stat().st_size > _VIDEO_BYTES_MAX:
            raise InvalidRequestError("A video is too large.")  # noqa: TRY301
        frames = parse_vpdq(file.read_text(encoding="ascii"))
    except (UnicodeError, InvalidRequestError):
        frames = np.zeros(0, FINGERPRINT)
    if not len(frames):
        page.skipped[Skipped.MALFORMED] += 1
        return
    rows = np.zeros(len(frames), FINGERPRINT)
    for name in ("hash", "quality", "start_ms", "end_ms"):
        rows[name] = frames[name]
    rows["profile"] = Profile.UNKNOWN
    page.entries.append(ListEntry(digest(file.name), changed_s, MediaKind.VIDEO, rows))


FILE = Reader(_pages, options=("path",))

"""The files of the page, read once: nothing that a caller writes becomes a path."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from disrupt import texts
from disrupt.errors import ConfigurationError

PAGE = Path(__file__).with_name("page")
"""The page that ships with the package."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".bin": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/vnd.microsoft.icon",
}
"""Kinds of files that are served, by suffix."""

_LICENCE = "text/plain; charset=utf-8"
"""Licences, whose names start with LICENSE, go where the code goes."""

_FRONT = "index.html"

_CATALOGUES = ("shared", "page")
"""Catalogues of texts that the page reads."""


class File(NamedTuple):
    """A file as it is served."""

    body: bytes
    media_type: str


def read_page(directory: Path) -> dict[str, File]:
    """Return the files of a directory by path, as in ``/worker.js``; ``/`` is index.html.

    Leaves out files of other kinds, hidden ones and symbolic links. Raises ConfigurationError for a
    directory without index.html, or that cannot be read.
    """
    try:
        files = {
            f"/{path.relative_to(directory).as_posix()}": _read(path)
            for path in sorted(directory.rglob("*"))
            if _is_served(path, directory)
        }
    except OSError as error:
        raise ConfigurationError(
            f"The page in {directory} cannot be read: {error.strerror}.", setting="page"
        ) from error
    if f"/{_FRONT}" not in files:
        raise ConfigurationError(
            f"There is no {_FRONT} in {directory}: name the directory of a page.", setting="page"
        )
    return {"/": files.pop(f"/{_FRONT}"), **files}


def read_texts() -> dict[str, File]:
    """Return the catalogues of the page by path, as in ``/texts/page.fr.json``."""
    return {
        f"/texts/{path.name}": _read(path)
        for name in _CATALOGUES
        for path in texts.DIRECTORY.glob(f"{name}.*.json")
    }


def _read(path: Path) -> File:
    return File(path.read_bytes(), str(_media_type(path)))


def _media_type(path: Path) -> str | None:
    return _LICENCE if path.name.startswith("LICENSE") else _TYPES.get(path.suffix)


def _is_served(path: Path, directory: Path) -> bool:
    within = path.relative_to(directory)
    places = [path, *(directory / parent for parent in list(within.parents)[:-1])]
    return (
        _media_type(path) is not None
        and path.is_file()
        and not any(part.startswith(".") for part in within.parts)
        and not any(place.is_symlink() for place in places)
    )

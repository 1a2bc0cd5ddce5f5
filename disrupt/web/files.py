"""The files of the page, read once: nothing that a caller writes becomes a path."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path

from disrupt.errors import ConfigurationError

_DISRUPT = Path(__file__).parents[1]
_PAGE = _DISRUPT / "web" / "page"
_SHARED = {
    "/hashing/shapes.npy": _DISRUPT / "distinctiveness" / "shapes.npy",
    **{
        f"/texts/{name}.{language}.json": _DISRUPT / "texts" / f"{name}.{language}.json"
        for name in ("shared", "page")
        for language in ("fr", "en")
    },
}
"""Files that the page shares with other rooms."""

LIBRARIES = (
    "altcha-lib/LICENSE",
    "altcha-lib/dist/esm/v2/algorithms/web/pbkdf2.js",
    "altcha-lib/dist/esm/v2/helpers.js",
    "altcha-lib/dist/esm/v2/pow.js",
    "altcha-lib/dist/esm/v2/types.js",
    "libheif-js/LICENSE",
    "libheif-js/libheif-wasm/LICENSE",
    "libheif-js/libheif-wasm/libheif-bundle.mjs",
    "mediabunny/LICENSE",
    "mediabunny/dist/bundles/mediabunny.min.mjs",
)
"""Files of the packages of npm, by their path in ``page/libraries``, which scripts/page-libraries
fills."""

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".npy": "application/octet-stream",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",
}
"""Kinds of files that are served, by suffix. Licences have none."""

_NAME_CHARACTERS_MAX = 80
_NOTICE = re.compile(r"https://[\w.-]{1,253}(:[0-9]{1,5})?([/?][!-~]{0,500})?")


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is served; ``compressed`` is the gzip of ``body``."""

    body: bytes
    compressed: bytes
    media_type: str


def read_page(directory: Path = _PAGE) -> dict[str, File]:
    """Return the files of the page by their path, as in ``/flow/main.js``; ``/`` is index.html.

    Raises ConfigurationError where one is missing.
    """
    paths = {
        f"/{path.relative_to(directory).as_posix()}": path
        for path in directory.rglob("*")
        if path.suffix in _TYPES and path.is_file() and "libraries" not in path.parts
    }
    paths |= {f"/libraries/{name}": directory / "libraries" / name for name in LIBRARIES}
    try:
        files = {name: _read(path) for name, path in (paths | _SHARED).items()}
        return {"/": files.pop("/index.html"), **files, **operator_file()}
    except (OSError, KeyError) as error:
        missing = error.filename if isinstance(error, OSError) else directory / "index.html"
        raise ConfigurationError(
            f"The page is not whole: {missing} cannot be read. In a clone, run"
            " scripts/page-libraries; elsewhere, install the package again.",
            setting="page",
        ) from error


def operator_file(name: str = "", notice: str = "") -> dict[str, File]:
    """Return, by its path, the file that says who runs the page; empty texts say nothing.

    ``notice`` is the https address of their legal notice. Raises ConfigurationError for others.
    """
    if not name.isprintable() or len(name) > _NAME_CHARACTERS_MAX:
        message = f"--operator takes a line of at most {_NAME_CHARACTERS_MAX} characters."
        raise ConfigurationError(message, setting="operator")
    if notice and not _NOTICE.fullmatch(notice):
        message = f"--notice takes an address that begins with https://, not {notice!r}."
        raise ConfigurationError(message, setting="notice")
    body = json.dumps({"name": name.strip(), "notice": notice}).encode()
    return {"/operator.json": _file(body, ".json")}


def _read(path: Path) -> File:
    return _file(path.read_bytes(), path.suffix)


def _file(body: bytes, suffix: str) -> File:
    return File(body, gzip.compress(body, mtime=0), _TYPES[suffix])

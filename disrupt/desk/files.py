"""The files of the desk's page, read once: nothing that a caller writes becomes a path."""

from __future__ import annotations

import json
from pathlib import Path

from starlette.responses import Response

from disrupt.errors import ConfigurationError
from disrupt.texts import DIRECTORY, Phrase, read_texts

_PAGE = Path(__file__).parent / "page"
_WEB = _PAGE.parents[1] / "web" / "page"
_SHARED = ("style.css", "flow/elements.js")
"""Files of the page for people affected, at the same path below that of both."""
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Kinds of files that are served, by suffix."""


def read_files(directory: Path = _PAGE, texts: Path = DIRECTORY) -> dict[str, Response]:
    """Return the answers of the page by their path; ``/`` is index.html.

    Raises ConfigurationError where a file is missing, or a catalogue has a hole.
    """
    try:
        files = {
            f"/{path.relative_to(directory).as_posix()}": Response(
                path.read_bytes(), media_type=_TYPES[path.suffix]
            )
            for path in directory.rglob("*")
            if path.suffix in _TYPES
        } | {
            f"/web/page/{name}": Response(
                (_WEB / name).read_bytes(), media_type=_TYPES[Path(name).suffix]
            )
            for name in _SHARED
        }
        for language in Phrase._fields:
            phrases = dict(read_texts("desk", language, texts))
            files[f"/texts/{language}.json"] = Response(
                json.dumps(phrases, ensure_ascii=False), media_type="application/json"
            )
        return {"/": files.pop("/index.html"), **files}
    except (OSError, KeyError, ValueError) as error:
        raise ConfigurationError(
            f"The desk's page is not whole: {error}. Install the package again.", setting="page"
        ) from error

"""The files of the page, read once: nothing that a caller writes becomes a path."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from disrupt.core.partners import is_https
from disrupt.errors import ConfigurationError
from disrupt.texts import LANGUAGES, read_texts

_DISRUPT = Path(__file__).parents[1]
_PAGE = _DISRUPT / "web" / "page"
_TEXTS = _DISRUPT / "texts"
_SHARED = {"/hashing/shapes.npy": _DISRUPT / "distinctiveness" / "shapes.npy"}
"""Files that the page shares with other rooms."""

ALWAYS = ("fr", "en")
"""Languages that every installation offers."""

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
    ".png": "image/png",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",
}
"""Kinds of files that are served, by suffix. Licences have none."""

_NAME_CHARACTERS_MAX = 80
_LOGO_BYTES_MAX = 256 * 1024
"""Most bytes of a logo, which each visitor loads."""
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63}){1,8}", re.ASCII)
_TELEPHONE = re.compile(r"\+?[0-9]([ .-]?[0-9]){2,14}")


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is served; ``compressed`` is the gzip of ``body``."""

    body: bytes
    compressed: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Operator:
    """Who runs the page. ``contact`` is an e-mail or https address, or a telephone number.

    ``notice`` is the https address of their legal and privacy notice, ``logo`` a file, PNG or SVG.
    Each is empty where an installation does not say it.
    """

    name: str = ""
    contact: str = ""
    notice: str = ""
    logo: Path | None = None

    @property
    def lacking(self) -> list[str]:
        """Return the names of what is not said."""
        return [name for name in self.__slots__ if not getattr(self, name)]


def read_page(directory: Path = _PAGE) -> dict[str, File]:
    """Return the files of the page by their path, as in ``/flow/main.js``; ``/`` is index.html.

    It has no texts and says nothing of its operator: see ``text_files`` and ``operator_files``.
    Raises ConfigurationError where a file is missing.
    """
    paths = {
        f"/{path.relative_to(directory).as_posix()}": path
        for path in directory.rglob("*")
        if path.suffix in _TYPES and path.is_file() and "libraries" not in path.parts
    }
    paths |= {f"/libraries/{name}": directory / "libraries" / name for name in LIBRARIES}
    try:
        files = {name: _read(path) for name, path in (paths | _SHARED).items()}
        return {"/": files.pop("/index.html"), **files}
    except (OSError, KeyError) as error:
        missing = error.filename if isinstance(error, OSError) else directory / "index.html"
        raise ConfigurationError(
            f"The page is not whole: {missing} cannot be read. In a clone, run"
            " scripts/page-libraries; elsewhere, install the package again.",
            setting="page",
        ) from error


def text_files(languages: Sequence[str] = (), directory: Path = _TEXTS) -> dict[str, File]:
    """Return, by their path, the texts in the languages that the page offers, and their list.

    French and English are always among them. Raises ConfigurationError for a language that the
    page does not have, and for a catalogue with a hole.
    """
    offered = dict.fromkeys((*ALWAYS, *languages))
    for unknown in (tag for tag in offered if tag not in LANGUAGES):
        raise ConfigurationError(
            f"The page has no language {unknown!r} (--language). It has: {', '.join(LANGUAGES)}.",
            setting="language",
        )
    rows = [
        {
            "tag": tag,
            "name": LANGUAGES[tag].name,
            "direction": LANGUAGES[tag].direction,
            "isRead": LANGUAGES[tag].is_read,
        }
        for tag in offered
    ]
    files = {"/languages.json": json_file(rows)}
    try:
        for tag in offered:
            for name in ("shared", "page"):
                files[f"/texts/{name}.{tag}.json"] = json_file(
                    dict(read_texts(name, tag, directory))
                )
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The page cannot be shown in {tag!r} (--language): {error}. Mend the catalogue in"
            f" {directory}, or leave this language out.",
            setting="language",
        ) from error
    return files


def operator_files(operator: Operator) -> dict[str, File]:
    """Return, by their path, the files that say who runs the page.

    Raises ConfigurationError for what cannot be shown or linked.
    """
    name, contact, notice = operator.name, operator.contact, operator.notice
    if not name.isprintable() or len(name) > _NAME_CHARACTERS_MAX:
        message = f"--operator takes a line of at most {_NAME_CHARACTERS_MAX} characters."
        raise ConfigurationError(message, setting="operator")
    if notice and not is_https(notice):
        message = f"--notice takes an address that begins with https://, not {notice!r}."
        raise ConfigurationError(message, setting="notice")
    files = {} if operator.logo is None else _logo(operator.logo)
    body = {
        "name": name,
        "contact": {"text": contact.removeprefix("https://"), "href": _href(contact)},
        "notice": notice,
        "logo": "".join(files),
    }
    return {"/operator.json": json_file(body), **files}


def _href(contact: str) -> str:
    if not contact or is_https(contact):
        return contact
    if _MAIL.fullmatch(contact):
        return f"mailto:{contact}"
    if _TELEPHONE.fullmatch(contact):
        return "tel:" + re.sub("[ .-]", "", contact)
    raise ConfigurationError(
        "--contact takes an e-mail address, a telephone number, or an address that begins with"
        f" https://, not {contact!r}.",
        setting="contact",
    )


def _logo(path: Path) -> dict[str, File]:
    """Return the file of a logo by its path. Raises ConfigurationError for one that is none."""
    try:
        with path.open("rb") as file:
            body = file.read(_LOGO_BYTES_MAX + 1)
    except OSError as error:
        message = f"The logo {path} (--logo) cannot be read: {error.strerror}."
        raise ConfigurationError(message, setting="logo") from error
    if len(body) > _LOGO_BYTES_MAX:
        raise ConfigurationError(
            f"The logo {path} (--logo) is too large: at most {_LOGO_BYTES_MAX // 1024} KiB, since"
            " every visitor loads it. Make it smaller.",
            setting="logo",
        )
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return {"/logo.png": _file(body, ".png")}
    if _root(body) == "svg":
        return {"/logo.svg": _file(body, ".svg")}
    message = f"The logo {path} (--logo) is neither PNG nor SVG."
    raise ConfigurationError(message, setting="logo")


def _root(xml: bytes) -> str:
    """Return the name of the root of an XML document; empty for what is none."""
    names: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, _: names.append(name)
    with suppress(expat.ExpatError):
        parser.Parse(xml)
    return names[0].rpartition(" ")[2] if names else ""


def json_file(content: object) -> File:
    """Return a file of JSON."""
    return _file(json.dumps(content, ensure_ascii=False).encode(), ".json")


def _read(path: Path) -> File:
    return _file(path.read_bytes(), path.suffix)


def _file(body: bytes, suffix: str) -> File:
    return File(body, gzip.compress(body, mtime=0), _TYPES[suffix])

"""Refuse a site that loads anything from elsewhere, or whose links lead nowhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

_LOADED_BY_CSS = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")
_FOLLOWED = ("a", "area")


class _Page(HTMLParser):
    """The links of a page, what it loads, and the places in it that links can name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded = _LOADED_BY_CSS.findall(text)
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.anchors.update(values[name] for name in ("id", "name") if name in values)
        targets = [values[name] for name in ("href", "src", "data") if name in values]
        (self.links if tag in _FOLLOWED else self.loaded).extend(targets)


def problems(site: Path) -> list[str]:
    """Return a sentence for each outside file that is loaded, and for each broken link."""
    pages = {path: _Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    sentences = [
        f"{path.relative_to(site)} loads {target}"
        for path in site.rglob("*.css")
        for target in _LOADED_BY_CSS.findall(path.read_text("utf-8"))
    ]
    for path, page in sorted(pages.items()):
        for target in page.loaded + page.links:
            scheme, host, file, _, anchor = urlsplit(target)
            place = (path.parent / unquote(file)).resolve() if file else path
            if scheme == "data" or (target in page.links and (scheme or host)):
                continue
            if scheme or host:
                sentences.append(f"{path.relative_to(site)} loads {target}")
            elif not place.exists() or (
                anchor and place in pages and unquote(anchor) not in pages[place].anchors
            ):
                sentences.append(f"{path.relative_to(site)} names {target}, which is not there")
    return sentences


def _check(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for sentence in problems(Path(app.outdir).resolve()):
            logging.getLogger(__name__).warning(sentence)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Fit pages that are read beside the code into the site: its contents, and links to the code."""

from __future__ import annotations

import re

from sphinx.application import Sphinx


def contents(text: str) -> str:
    """Return hidden toctrees of an index page: one for each heading with a list of pages.

    Each page is listed once, where it comes first.
    """
    trees, listed = [], set[str]()
    heading, *sections = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    for caption, section in zip(["", *sections[::2]], [heading, *sections[1::2]], strict=True):
        items = re.split(r"^(?:- |\| )", section.split("\n\n[")[0], flags=re.MULTILINE)[1:]
        pages = re.findall(r"\]\(([\w./-]+)\.md(?:#[^)]*)?\)", "".join(items))
        pages = [page for page in dict.fromkeys(pages) if page not in listed]
        listed.update(pages)
        if pages:
            options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
            trees.append("\n".join(["```{toctree}", *options, "", *pages, "```"]))
    return "\n\n".join(trees)


def without_outside_links(text: str, depth: int) -> str:
    """Return a page without its links to files outside docs/, which the site does not have.

    ``depth`` is the number of folders between docs/ and the page.
    """
    return re.sub(rf"\[([^\]]+)\]\((?:\.\./){{{depth + 1}}}[^)]*\)", r"\1", text)


def _change(_app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = without_outside_links(source[0], page.count("/"))
    if page.rpartition("/")[2] == "index":
        source[0] += "\n\n" + contents(source[0]) + "\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", _change)
    return {"parallel_read_safe": True}

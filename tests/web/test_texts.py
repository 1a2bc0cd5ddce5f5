"""The page says no text that is missing, and says each text of its catalogues."""

from __future__ import annotations

import re
from pathlib import Path

from disrupt.texts import read_catalogue

_PAGE = Path(__file__).parents[2] / "disrupt/web/page"
_CODE = "\n".join(path.read_text("utf-8") for path in sorted((_PAGE / "flow").rglob("*.js")))
_WORKER = "\n".join(
    path.read_text("utf-8")
    for path in sorted(_PAGE.rglob("*.js"))
    if not {"flow", "libraries"} & set(path.relative_to(_PAGE).parts)
)
_TEXTS = {**read_catalogue("shared"), **read_catalogue("page")}
_LITERALS = set(re.findall(r"'([\w.]+)'", _CODE))
_MADE = re.compile(r"(?:\.(?:one|hint|child|other|\d))+$")
"""Ends of keys that the code adds to others."""


def test_the_page_says_no_text_that_is_missing() -> None:
    said = set(re.findall(r"\b(?:text|dialable|field)\(\s*'([\w.]+)'", _CODE))
    counted = set(re.findall(r"\bcounted\('([\w.]+)'", _CODE))
    assert len(said) > 100
    assert said - _TEXTS.keys() == set()
    assert {f"{key}.{end}" for key in counted for end in ("one", "other")} - _TEXTS.keys() == set()


def test_each_text_of_the_page_is_said() -> None:
    by_reason = ("error.", "item.", "refused.", "status.", "wait.")
    sections = set(re.findall(r"(\w+): \d", _CODE))

    def is_said(key: str) -> bool:
        base = _MADE.sub("", key)
        section = re.fullmatch(r"help\.(\w+?)(?:\.title)?", base)
        return bool({key, base} & _LITERALS) or bool(section and section[1] in sections)

    assert [key for key in _TEXTS if not key.startswith(by_reason) and not is_said(key)] == []


def test_each_reason_for_which_a_file_is_refused_has_a_text() -> None:
    aliases = dict(re.findall(r"\['([\w-]+)', '(\w+)'\]", _CODE))
    reasons = set(re.findall(r"Refusal\(\s*'([a-z-]+)'", _WORKER))
    assert len(reasons) > 3
    names = {aliases.get(reason, reason.upper().replace("-", "_")) for reason in reasons}
    assert {f"refused.{name}" for name in names} - _TEXTS.keys() == set()


def test_the_french_of_the_page_has_typographic_spaces_that_the_page_makes() -> None:
    """The page puts no-break spaces where the texts have spaces; none stands without one."""
    for key, phrase in _TEXTS.items():
        assert not re.search(r"[^\s\w/][?!;]|\w[?!;»]", phrase.fr), key


def test_the_page_has_one_kind_of_apostrophe() -> None:
    front = (_PAGE / "index.html").read_text("utf-8")
    for words in (front, *(phrase.fr + phrase.en for phrase in _TEXTS.values())):
        assert "\N{RIGHT SINGLE QUOTATION MARK}" not in words, words


def test_the_style_is_of_no_direction() -> None:
    """What begins at the left begins at the right where words go from right to left."""
    assert not re.findall(r"\b(?:left|right)\b", (_PAGE / "style.css").read_text("utf-8"))

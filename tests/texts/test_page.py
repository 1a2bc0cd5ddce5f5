"""The page and its catalogues: it says no text that is missing, and each text is said."""

from __future__ import annotations

import re

from disrupt.texts import read_catalogue
from disrupt.web.files import PAGE

_CODE = "\n".join(
    path.read_text("utf-8")
    for path in sorted(PAGE.rglob("*.js"))
    if "vendor" not in path.relative_to(PAGE).parts
)
_LITERALS = set(re.findall(r"'([\w.]+)'", _CODE))
_CATALOGUE = {**read_catalogue("shared"), **read_catalogue("page")}

_MADE = re.compile(r"\.(?:one|many|hint|bad|\d)$")
"""Ends of keys that the code adds to others."""

_BY_REASON = ("refused", "error", "wait")
"""Beginnings of keys that end in a cause or reason."""


def _is_said(key: str) -> bool:
    first, _, reason = key.partition(".")
    if first in _BY_REASON and (reason in _LITERALS or f"{reason}:" in _CODE):
        return True
    base = _MADE.sub("", key)
    section = re.fullmatch(r"help\.(\w+)(?:\.title)?", base)
    return base in _LITERALS or key in _LITERALS or bool(section and f"{section[1]}: " in _CODE)


def test_the_page_says_no_text_that_is_missing() -> None:
    said = set(re.findall(r"\b(?:text|counted|choice|fact|entry|field)\(\s*'([\w.]+)'", _CODE))
    assert len(said) > 100
    counted = set(re.findall(r"\bcounted\('([\w.]+)'", _CODE))
    known = {*_CATALOGUE, *(key.removesuffix(".one") for key in _CATALOGUE if key[-4:] == ".one")}
    assert said - known == set()
    assert {f"{key}.many" for key in counted} <= _CATALOGUE.keys()


def test_each_text_of_the_page_is_said() -> None:
    assert [key for key in _CATALOGUE if not _is_said(key)] == []


def test_each_cause_for_which_the_worker_refuses_a_file_has_a_text() -> None:
    causes = re.findall(r"Refusal\(\s*'([A-Z_]+)'", _CODE)
    assert causes
    assert {f"refused.{cause}" for cause in causes} <= _CATALOGUE.keys()


def test_the_french_of_the_page_has_typographic_spaces_that_the_page_makes() -> None:
    """The page puts no-break spaces where the texts have spaces; none stands without one."""
    for key, phrase in _CATALOGUE.items():
        assert not re.search(r"[^\s\w/][?!;]|\w[?!;»]", phrase.fr), key


def test_the_limits_of_files_that_the_page_says_are_those_that_it_has() -> None:
    limits = [
        *re.findall(r"MAX_MEGAPIXELS = (\d+);", _CODE),
        *re.findall(r"MAX_DURATION_S = (\d+) \* 3600;", _CODE),
        *re.findall(r"MAX_PIXELS = (\d+) \* \d+;", _CODE),
        *re.findall(r"MAX_PIXELS = \d+ \* (\d+);", _CODE),
    ]
    said = _CATALOGUE["refused.TOO_LARGE"]
    for words in (said.fr, said.en):
        assert sorted(re.findall(r"\d+", words)) == sorted(limits)


def test_the_page_has_one_kind_of_apostrophe() -> None:
    front = (PAGE / "index.html").read_text("utf-8")
    assert "\N{RIGHT SINGLE QUOTATION MARK}" not in front
    for key, phrase in _CATALOGUE.items():
        assert "\N{RIGHT SINGLE QUOTATION MARK}" not in phrase.fr + phrase.en, key

"""Read the catalogues of texts for people affected, and for the hotline's staff.

A catalogue is a file for each language, as in ``NAME.fr.json``: one object of texts by key. French
says which keys there are, and which ``{fields}`` each text has. ``shared`` is of the commands and
the page, ``commands`` and ``page`` of one each, ``review`` of the staff's commands, ``desk`` of
their page, and ``report`` of the report of a year; all but ``shared`` and ``page`` are in French
and English alone.

A text that counts has a key for each plural form of its language, as in ``KEY.one`` and
``KEY.other``; the forms are categories of CLDR's plural rules, and all but ``other`` may leave out
the number.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

DIRECTORY = Path(__file__).parent
"""Where the catalogues are."""

_PLURAL_FORMS = ("zero", "one", "two", "few", "many", "other")


class Language(NamedTuple):
    """A language of the page, by its own name.

    ``plural_forms`` are those of whole numbers that the page counts: not of millions, for which
    some languages have a further one. ``is_read`` says that a native speaker has read its texts.
    """

    name: str
    direction: str = "ltr"
    plural_forms: tuple[str, ...] = ("one", "other")
    is_read: bool = False


LANGUAGES: Mapping[str, Language] = MappingProxyType(
    {
        "fr": Language("Français", is_read=True),
        "en": Language("English", is_read=True),
        "es": Language("Español"),
        "pt": Language("Português"),
        "tr": Language("Türkçe"),
        "ar": Language("العربية", "rtl", _PLURAL_FORMS),
        "fr-simple": Language("Français facile"),
    }
)
"""The languages of the page, by their tag of BCP 47."""


class Phrase(NamedTuple):
    """One text in French and English; ``{}`` fields are filled by ``format``."""

    fr: str
    en: str

    def format(self, **values: object) -> Phrase:
        """Return the phrase with its fields filled in."""
        return Phrase(self.fr.format(**values), self.en.format(**values))

    def then(self, other: Phrase) -> Phrase:
        """Return both phrases, one after the other."""
        return Phrase(f"{self.fr} {other.fr}", f"{self.en} {other.en}")

    def typeset(self) -> Phrase:
        """Add the no-break spaces of French: before ``:`` or ``?``, and between number and unit."""
        unbreakable = re.sub(
            r" (?=[:;?!»])|(?<=«) |(?<=\d) (?=[hs]\b)", "\N{NO-BREAK SPACE}", self.fr
        )
        return Phrase(unbreakable, self.en)


def read_catalogue(name: str, directory: Path = DIRECTORY) -> Mapping[str, Phrase]:
    """Return the phrases of a catalogue by key. Raises ValueError as ``read_texts``."""
    french, english = (read_texts(name, language, directory) for language in Phrase._fields)
    return MappingProxyType({key: Phrase(french[key], english[key]) for key in french})


def read_texts(name: str, language: str, directory: Path = DIRECTORY) -> Mapping[str, str]:
    """Return the texts of a catalogue in a language, by key.

    Raises ValueError where it has a hole, or what French does not have: a key, or a field.
    """
    french, texts = _read(name, "fr", directory), _read(name, language, directory)
    wanted: dict[str, set[str]] = {}
    for key, text in french.items():
        base, _, form = key.rpartition(".")
        if form not in _PLURAL_FORMS or f"{base}.one" not in french:
            wanted[key] = _fields(text)
        elif form == "other":
            wanted |= {f"{base}.{each}": _fields(text) for each in LANGUAGES[language].plural_forms}
    differing = wanted.keys() ^ texts.keys() or {
        key for key, text in texts.items() if not text.strip() or _differ(key, text, wanted[key])
    }
    if differing:
        raise ValueError(
            f"{name}.{language}.json: missing, or not as in French: {', '.join(sorted(differing))}"
        )
    return MappingProxyType(texts)


def _read(name: str, language: str, directory: Path) -> dict[str, str]:
    texts = json.loads((directory / f"{name}.{language}.json").read_text("utf-8"))
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError(f"{name}.{language}.json: no object of texts")
    return texts


def _differ(key: str, text: str, wanted: set[str]) -> bool:
    """Tell whether a text has other fields than wanted; plural forms may lack ``count``."""
    has_count = key.rpartition(".")[2] not in _PLURAL_FORMS or key.endswith(".other")
    return bool((_fields(text) ^ wanted) - (set() if has_count else {"count"}))


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

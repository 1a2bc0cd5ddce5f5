"""Read the catalogues of texts for people affected, in French and English.

A catalogue is a file for each language, ``NAME.fr.json`` and ``NAME.en.json``: one object of texts
by key. Both have the same keys, and the same ``{fields}`` in each text. ``shared`` is of both,
``commands`` and ``page`` of one each.
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


class Phrase(NamedTuple):
    """One text in both languages; ``{}`` fields are filled by ``format``."""

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
    """Return the phrases of a catalogue by key.

    Raises ValueError where a key, or a field of a text, is missing in one of the languages.
    """
    french, english = (
        json.loads((directory / f"{name}.{language}.json").read_text("utf-8"))
        for language in Phrase._fields
    )
    differing = french.keys() ^ english.keys() or {
        key for key in french if _fields(french[key]) != _fields(english[key])
    }
    if differing:
        raise ValueError(f"{name}: not the same in both languages: {', '.join(sorted(differing))}")
    return MappingProxyType({key: Phrase(french[key], english[key]) for key in french})


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

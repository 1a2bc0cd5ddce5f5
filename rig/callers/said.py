"""Tell by their keys which texts of the catalogues a command has printed."""

from __future__ import annotations

import functools
import re

from disrupt.texts import read_catalogue

_FIELD = re.compile(r"\\\{\w+\\\}")


def said(*outputs: str) -> set[str]:
    """Return the keys of the texts in the outputs: each whole, in French and after it in English.

    Line breaks and the kinds of spaces do not count.
    """
    keys = set[str]()
    for output in outputs:
        flat = " ".join(output.split())
        for key, (french, english) in _patterns().items():
            if (found := french.search(flat)) and english.search(flat, found.end()):
                keys.add(key)
    return keys


@functools.cache
def _patterns() -> dict[str, tuple[re.Pattern[str], re.Pattern[str]]]:
    texts = {**read_catalogue("shared"), **read_catalogue("commands")}
    return {key: (_pattern(phrase.fr), _pattern(phrase.en)) for key, phrase in texts.items()}


def _pattern(text: str) -> re.Pattern[str]:
    words = _FIELD.sub(".+?", re.escape(text))
    return re.compile(rf"(?<!\w){words}(?!\w)")

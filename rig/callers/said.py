"""Tell by their keys which texts of the catalogues a command has printed."""

from __future__ import annotations

import functools
import re

from disrupt.texts import Phrase, read_catalogue

_FIELD = re.compile(r"\\\{\w+\\\}")


def said(*outputs: str) -> set[str]:
    """Return the keys of the texts in the outputs, each of which is in one language.

    That is the one of which it has more texts. Line breaks and the kinds of spaces do not count.
    """
    keys = set[str]()
    for output in outputs:
        flat = " ".join(output.split())
        in_each = (
            {key for key, pattern in patterns.items() if pattern.search(flat)}
            for patterns in _patterns()
        )
        keys |= max(in_each, key=len)
    return keys


@functools.cache
def _patterns() -> tuple[dict[str, re.Pattern[str]], ...]:
    texts = {**read_catalogue("shared"), **read_catalogue("commands")}
    return tuple(
        {key: _pattern(getattr(phrase, language)) for key, phrase in texts.items()}
        for language in Phrase._fields
    )


def _pattern(text: str) -> re.Pattern[str]:
    words = _FIELD.sub(".+?", re.escape(text))
    return re.compile(rf"(?<!\w){words}(?!\w)")

"""The phrases that ``disrupt review`` says to the hotline's staff."""

from __future__ import annotations

from disrupt.texts import Phrase, read_catalogue

TEXTS = read_catalogue("review")


def text(key: str) -> Phrase:
    """Return a phrase."""
    return TEXTS[key]

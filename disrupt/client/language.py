"""Speak one language in a command: that of ``--lang``, else the system's, else French.

Where no command has begun, as when its name is mistyped, both are spoken.
"""

from __future__ import annotations

import locale
import os

import click

from disrupt.texts import Phrase

LANGUAGES = Phrase._fields

LANGUAGE = f"{__name__}.language"
"""Key of the language in the ``meta`` of a command's context."""


def of_system() -> str:
    """Return the system's language, of those there are; French if it is none of them."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    said = next(filter(None, map(os.environ.get, names)), None) or locale.getlocale()[0] or ""
    return next((name for name in LANGUAGES if said.lower().startswith(name)), LANGUAGES[0])


lang = click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=of_system,
    expose_value=False,
    is_eager=True,
    callback=lambda context, _, value: context.meta.update({LANGUAGE: value}),
    help="Langue ; sinon celle du système, sinon le français · Language; else the system's, else "
    "French.",
)
"""Option of a command, whose context then has the language."""


def spoken(phrase: Phrase) -> tuple[str, ...]:
    """Return a phrase as it is said: in the command's language, or where none is known in each."""
    context = click.get_current_context(silent=True)
    language = context.meta.get(LANGUAGE) if context else None
    return phrase if language is None else (getattr(phrase, language),)


def in_line(phrase: Phrase) -> str:
    """Return a phrase on one line."""
    return " · ".join(spoken(phrase))

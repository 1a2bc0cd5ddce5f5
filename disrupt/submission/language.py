"""Speak one language in a command: that of ``--lang``, else the system's, else French.

Where no command has begun, as when its name is mistyped, both are spoken.
"""

from __future__ import annotations

import locale
import os
from collections.abc import Callable
from typing import Any

import click

from disrupt.texts import Phrase

LANGUAGES = Phrase._fields

_LANGUAGE = f"{__name__}.language"
_HELPING = f"{__name__}.helping"


def of_system() -> str:
    """Return the system's language, of those there are; French if it is none of them."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    said = next(filter(None, map(os.environ.get, names)), None) or locale.getlocale()[0] or ""
    return next((name for name in LANGUAGES if said.lower().startswith(name)), LANGUAGES[0])


_lang = click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=of_system,
    expose_value=False,
    is_eager=True,
    callback=lambda context, _, value: context.meta.update({_LANGUAGE: value}),
    help="Langue ; sinon celle du système, sinon le français · Language; else the system's, else "
    "French.",
)
_helping = click.option(
    "--helping",
    is_flag=True,
    envvar="DISRUPT_HELPING",
    expose_value=False,
    callback=lambda context, _, value: context.meta.update({_HELPING: value}),
    help="J'aide quelqu'un : les conseils sont dits à qui aide · I help somebody: advice is for "
    "who helps.  [DISRUPT_HELPING=1]",
)


def speaking(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--lang`` and ``--helping`` to a command, which finds them in its context."""
    return _lang(_helping(command))


def is_helping() -> bool:
    """Tell whether the command is typed by somebody who helps the person affected."""
    return bool(_meta().get(_HELPING))


def spoken(phrase: Phrase) -> tuple[str, ...]:
    """Return a phrase as it is said: in the command's language, or where none is known in each."""
    language = _meta().get(_LANGUAGE)
    return phrase if language is None else (getattr(phrase, language),)


def in_line(phrase: Phrase) -> str:
    """Return a phrase on one line."""
    return " · ".join(spoken(phrase))


def given_options(context: click.Context) -> str:
    """Return these options as they were typed, for the next command."""
    typed = click.core.ParameterSource.COMMANDLINE
    options = ""
    if context.get_parameter_source("lang") == typed:
        options += f" --lang {context.meta[_LANGUAGE]}"
    if context.get_parameter_source("helping") == typed:
        options += " --helping"
    return options


def _meta() -> dict[str, Any]:
    context = click.get_current_context(silent=True)
    return context.meta if context else {}

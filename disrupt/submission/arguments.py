"""Case number and PIN of a command, from its arguments, files, or whoever can answer."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from disrupt.client.language import in_line
from disrupt.core.cases import parse_case_number, parse_pin
from disrupt.errors import InvalidRequestError
from disrupt.submission import texts
from disrupt.texts import Phrase


def usage(phrase: Phrase) -> NoReturn:
    """End the command: it is used wrongly."""
    raise click.UsageError(f"{phrase.fr}\n{phrase.en}")


def can_ask() -> bool:
    """Tell whether somebody at a terminal can answer; without standard input nobody can."""
    return sys.stdin is not None and sys.stdin.isatty()


def read_case_number(text: str) -> str:
    """Return a case number in canonical form; end the command if it is none."""
    try:
        return parse_case_number(text)
    except InvalidRequestError:
        usage(texts.BAD_CASE_NUMBER)


def read_pin(file: str | None) -> str:
    """Read the PIN from a file, the environment or a prompt; others could see an argument."""
    if file is not None:
        try:
            if file != "-":
                text = Path(file).read_text("utf-8")
            elif sys.stdin is None:
                usage(texts.NO_PIN)
            else:
                text = sys.stdin.readline()
        except (OSError, UnicodeDecodeError):
            usage(texts.NO_PIN)
    elif "DISRUPT_PIN" in os.environ:
        text = os.environ["DISRUPT_PIN"]
    elif can_ask():
        # Nothing is an answer, too: whoever has lost the PIN reads what can be done.
        asked = in_line(texts.ASK_PIN)
        text = click.prompt(asked, default="", show_default=False, hide_input=True, err=True)
    else:
        usage(texts.NO_PIN)
    try:
        return parse_pin(text.strip())
    except InvalidRequestError:
        usage(texts.BAD_PIN)

"""Say in French first how a command is mistyped, where click would say it in English."""

from __future__ import annotations

from contextlib import nullcontext
from typing import IO, Any

import click
from rich.console import Console

from disrupt.client import terminal
from disrupt.client.language import in_line
from disrupt.submission import texts
from disrupt.submission.showing import say
from disrupt.texts import Phrase


class Mistyped(click.UsageError):
    """Wrong usage, said in French and English, or in the language of a command that has begun.

    The message is two lines, the French first.
    """

    def show(self, _file: IO[Any] | None = None) -> None:
        """Print what is wrong, and where help is."""
        fr, _, en = self.message.partition("\n")
        phrase = Phrase(f"{texts.ERROR.fr} : {fr}", f"{texts.ERROR.en}: {terminal.clean(en)}")
        with self.ctx.scope(cleanup=False) if self.ctx else nullcontext():
            say(Console(stderr=True, highlight=False), phrase, style="bold")
            if self.ctx is not None:
                path = self.ctx.command_path
                click.echo(f"{in_line(texts.HELP_OPTION)}: {path} --help", err=True)


def mistyped(error: click.UsageError, context: click.Context, command: str = "") -> Mistyped:
    """Return click's error with what it says in French; ``command`` is one that does not exist."""
    fr = f"La commande « {command} » n'existe pas." if command else _in_french(error)
    en = f"{texts.USAGE.en} {error.format_message()}"
    return Mistyped(f"{texts.USAGE.fr} {terminal.clean(fr)}\n{en}", context)


def _in_french(error: click.UsageError) -> str:
    match error:
        case click.NoSuchOption():
            return f"L'option « {error.option_name} » n'existe pas."
        case click.BadOptionUsage():
            return f"L'option « {error.option_name} » est mal employée."
        case click.MissingParameter():
            return f"Il manque : {_parameter(error)}."
        case click.BadParameter():
            return f"Cette valeur ne convient pas : {_parameter(error)}.{_choices(error)}"
    return "Il y a un mot de trop, ou il en manque un."


def _choices(error: click.BadParameter) -> str:
    if error.param is None or not isinstance(error.param.type, click.Choice):
        return ""
    return f" Choisissez parmi : {', '.join(map(str, error.param.type.choices))}."


def _parameter(error: click.BadParameter) -> str:
    if error.param is None or error.ctx is None:
        return str(error.param_hint or "?")
    return error.param.get_error_hint(error.ctx).strip("'")

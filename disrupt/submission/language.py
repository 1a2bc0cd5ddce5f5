"""Options of the commands for people affected: the language, and for whom advice is."""

from __future__ import annotations

from collections.abc import Callable

import click

from disrupt.client.language import LANGUAGE, lang

_HELPING = f"{__name__}.helping"

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
    return lang(_helping(command))


def is_helping() -> bool:
    """Tell whether the command is typed by somebody who helps the person affected."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(_HELPING))


def given_options(context: click.Context) -> str:
    """Return these options as they were typed, for the next command."""
    typed = click.core.ParameterSource.COMMANDLINE
    options = ""
    if context.get_parameter_source("lang") == typed:
        options += f" --lang {context.meta[LANGUAGE]}"
    if context.get_parameter_source("helping") == typed:
        options += " --helping"
    return options

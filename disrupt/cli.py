"""The ``disrupt`` command, which joins the commands of all rooms."""

from __future__ import annotations

import codecs
import importlib
import io
import os
import sys
import unicodedata
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from disrupt.errors import DisruptError
from disrupt.extras import lacking_server, lacking_web


class _Command(NamedTuple):
    """Module and attribute of a command, and what the list of commands says of it."""

    place: str
    summary: str


_COMMANDS = {
    "submit": _Command(
        "disrupt.submission.commands:submit",
        "Enregistrer des images et vidéos à bloquer.",
    ),
    "status": _Command("disrupt.submission.commands:status", "Voir où en est un dossier."),
    "keep": _Command(
        "disrupt.submission.commands:keep",
        "Garder un dossier qui doit être effacé sans son code PIN.",
    ),
    "withdraw": _Command(
        "disrupt.submission.commands:withdraw",
        "Retirer un dossier, ou certaines de ses images avec --item.",
    ),
    "match": _Command(
        "disrupt.client.commands:match",
        "Look pictures and videos up: is this a registered one?",
    ),
    "report": _Command(
        "disrupt.client.report_command:report",
        "Tell the hotline what came of a match.",
    ),
    "review": _Command(
        "disrupt.client.review_commands:review",
        "Review items and cases, for staff.",
    ),
    "serve": _Command(
        "disrupt.server.commands.serve:serve",
        "Run the server until SIGTERM or Ctrl-C.",
    ),
    "config": _Command("disrupt.server.commands.config:config", "Show the settings of the server."),
    "top": _Command("disrupt.server.commands.top:top", "Watch a server, live."),
    "web": _Command(
        "disrupt.web.commands:web",
        "Serve the page for people affected, until SIGTERM or Ctrl-C.",
    ),
    "keys": _Command(
        "disrupt.server.commands.keys:keys",
        "Make, list, change and revoke the keys of callers.",
    ),
    "banks": _Command("disrupt.server.commands.banks:banks", "Make, list and change banks."),
    "organisations": _Command(
        "disrupt.server.commands.organisations:organisations",
        "Give organisations quotas and client certificates.",
    ),
    "items": _Command("disrupt.server.commands.items:items", "Switch items off and on again."),
    "negatives": _Command(
        "disrupt.server.commands.negatives:negatives",
        "List well-known harmless pictures, near which registrations wait.",
    ),
    "erase": _Command(
        "disrupt.server.commands.data:erase",
        "Erase every byte of what was withdrawn, now.",
    ),
    "backup": _Command(
        "disrupt.server.commands.data:backup",
        "Back up the registry and the secrets.",
    ),
    "restore": _Command(
        "disrupt.server.commands.data:restore",
        "Put a backup in place of the data directory's content.",
    ),
    "health": _Command("disrupt.client.health:health", "Ask a server whether it serves."),
    "doctor": _Command(
        "disrupt.doctor.commands:doctor",
        "Check that this machine and data directory are fit to serve.",
    ),
}
"""Summaries stand here so that the list of commands imports none of them."""

_LACKING = {
    "disrupt.server.": lacking_server,
    "disrupt.doctor.": lacking_server,
    "disrupt.web.": lacking_web,
}
"""By room, what says why its commands cannot run where an extra is not installed."""

_HELP = """Enregistrer des images intimes pour bloquer leur diffusion.

Register intimate pictures so that their sharing is stopped, and look pictures up.

\b
Personnes concernées · people affected:  submit, status, keep, withdraw
Platforms:                               match, report
Staff of the hotline:                    review
Operators:                               serve, config, top, web, keys,
                                         organisations, banks, items,
                                         negatives, erase, backup, restore,
                                         doctor, health; disrupt-index
"""

_EPILOG = """\b
Completion of commands and options, in the shell's start-up file:
  bash   eval "$(_DISRUPT_COMPLETE=bash_source disrupt)"
  zsh    eval "$(_DISRUPT_COMPLETE=zsh_source disrupt)"
  fish   _DISRUPT_COMPLETE=fish_source disrupt | source
"""


_PLAIN = str.maketrans(
    {
        "·": "-",
        "«": '"',
        "»": '"',
        "“": '"',
        "”": '"',
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "œ": "oe",
        "Œ": "OE",
        "→": "->",
    }
)


def _in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks by plain letters, or by question marks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    letters = unicodedata.normalize("NFKD", lacking.translate(_PLAIN))
    return letters.encode("ascii", "ignore").decode() or "?" * len(lacking), error.end


def _make_readable() -> None:
    """Keep commands from failing on a terminal or pipe that takes ASCII only."""
    codecs.register_error("disrupt.plain", _in_plain_letters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # neither closed nor replaced
            stream.reconfigure(errors="disrupt.plain")


def _refused(name: str, error: DisruptError) -> click.Command:
    """Return a command that raises an error, whatever its arguments."""

    def refuse(arguments: tuple[str, ...]) -> None:  # noqa: ARG001 click passes them by name
        raise error

    return click.Command(
        name,
        callback=refuse,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        add_help_option=False,
    )


def _lacking(name: str) -> DisruptError | None:
    """Return why a command cannot run here; None where it can."""
    for room, lacking in _LACKING.items():
        if _COMMANDS[name].place.startswith(room):
            return lacking(f"disrupt {name}")
    return None


def _summary(name: str) -> str:
    error = _lacking(name)
    return f'Needs the extra "{error.metadata["extra"]}".' if error else _COMMANDS[name].summary


class _Commands(click.Group):
    """Commands that are imported when they run, so that none waits for another's room."""

    def main(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 click's
        """Run the command so that whatever it prints can be printed."""
        _make_readable()
        return super().main(*arguments, **options)

    def list_commands(self, _: click.Context, /) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, name: str, /) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        if error := _lacking(name):
            return _refused(name, error)
        module, _colon, attribute = _COMMANDS[name].place.partition(":")
        # gRPC's log lines would hide the sentence that explains an error
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        # The matrices of hashing are small: threads would only wait for each other, at full load.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter, /) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(name)) for name in _COMMANDS])

    def shell_complete(self, context: click.Context, incomplete: str, /) -> list[CompletionItem]:
        """Complete the name of a command, or an option."""
        names = [
            CompletionItem(name, help=_summary(name))
            for name in _COMMANDS
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, context, incomplete)]

    def invoke(self, context: click.Context, /) -> Any:  # noqa: ANN401 click's
        """Run the command; print a DisruptError as a sentence."""
        try:
            return super().invoke(context)
        except DisruptError as error:
            from disrupt.client.terminal import clean, exit_code

            click.echo(f"Error: {clean(error.message)}", err=True)
            context.exit(exit_code(error))


@click.command(cls=_Commands, help=_HELP, epilog=_EPILOG)
@click.version_option(package_name="disrupt-hashes", prog_name="disrupt")
def main() -> None:
    """Run the command."""

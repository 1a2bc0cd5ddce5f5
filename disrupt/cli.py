"""The ``disrupt`` command, which joins the commands of all rooms."""

from __future__ import annotations

import codecs
import importlib
import io
import os
import sys
import unicodedata
from typing import Any

import click

from disrupt.errors import DisruptError
from disrupt.extras import lacking

_COMMANDS = {
    "submit": (
        "disrupt.submission.commands:submit",
        "Enregistrer des images et des vidéos pour les faire bloquer.",
    ),
    "status": ("disrupt.submission.commands:status", "Voir où en est un dossier."),
    "keep": (
        "disrupt.submission.commands:keep",
        "Garder un dossier que le service va effacer.",
    ),
    "withdraw": (
        "disrupt.submission.commands:withdraw",
        "Retirer un dossier, ou certaines de ses images avec --item.",
    ),
    "receipt": (
        "disrupt.submission.commands:receipt",
        "Vérifier le reçu d'un retrait.",
    ),
    "match": (
        "disrupt.archives.asking:match",
        "Look pictures and videos up: is this a registered one?",
    ),
    "review": (
        "disrupt.client.review_commands:review",
        "Voir ce qui est enregistré, et décider de ce que les recherches trouvent.",
    ),
    "yearly-report": (
        "disrupt.reports.commands:yearly_report",
        "Faire le rapport d'une année, comme un signaleur de confiance le doit.",
    ),
    "examples": (
        "disrupt.client.examples_command:examples",
        "Write the pictures of the test bank as files, to try uploads with.",
    ),
    "report": ("disrupt.client.report_command:report", "Tell the hotline what came of a match."),
    "serve": ("disrupt.operators.serve:serve", "Run the server until SIGTERM or Ctrl-C."),
    "reload": (
        "disrupt.operators.reload:reload",
        "Replace a running server by the installed version.",
    ),
    "config": ("disrupt.operators.config:config", "Show settings, and where they come from."),
    "keys": ("disrupt.operators.keys:keys", "Make, list and revoke the keys of callers."),
    "banks": ("disrupt.operators.banks:banks", "Make, list and change banks."),
    "lists": (
        "disrupt.operators.lists:lists",
        "Read partners' lists of hashes, each into a bank of its own.",
    ),
    "erase": ("disrupt.operators.data:erase", "Erase every byte of what was withdrawn, now."),
    "backup": ("disrupt.operators.data:backup", "Back up the registry and the secrets."),
    "restore": (
        "disrupt.operators.data:restore",
        "Put a backup in place of the data directory's content.",
    ),
    "audit": (
        "disrupt.audit.commands:audit",
        "Check the log of what was done, which nobody can rewrite unseen.",
    ),
    "registry": (
        "disrupt.operators.registry:registry",
        "Move the registry to PostgreSQL, for more than one machine.",
    ),
    "scan": (
        "disrupt.archives.commands:scan",
        "Match archives of hashed uploads against a list.",
    ),
    "hash": (
        "disrupt.archives.commands:hash_command",
        "Hash a folder of pictures, for scan.",
    ),
    "web": (
        "disrupt.web.commands:web",
        "Serve the page for people affected until SIGTERM or Ctrl-C.",
    ),
    "desk": (
        "disrupt.desk.commands:desk",
        "Serve the desk, where the hotline's staff review in a browser.",
    ),
    "door": (
        "disrupt.door.commands:door",
        "Serve beside a platform's uploads: hash there, send hashes alone.",
    ),
    "top": ("disrupt.operators.top:top", "Watch what a server does, until Ctrl-C."),
    "health": ("disrupt.client.health:health", "Ask a server whether it serves."),
    "doctor": (
        "disrupt.doctor.commands:doctor",
        "Check that this machine and data directory are fit to serve.",
    ),
}
"""Where each command is, and what the list of commands says of it, without importing it."""

_EXTRAS = {
    "disrupt.operators.lists": ("server", "lists"),
    "disrupt.operators.": ("server",),
    "disrupt.doctor.": ("server",),
    "disrupt.archives.commands": ("server", "archives"),
    "disrupt.web.": ("web",),
    "disrupt.desk.": ("desk",),
    "disrupt.door.": ("door",),
    "disrupt.reports.": ("report",),
}
"""Rooms and modules whose commands need extras."""

_HELP = """Enregistrer des images intimes pour bloquer leur diffusion.

Register intimate pictures so that their sharing is stopped, and look pictures up.

\b
Personnes concernées · people affected:  submit, status, keep, withdraw, receipt
Platforms:                               match, examples, report, door
Staff of the hotline:                    review, yearly-report
Operators:                               serve, reload, config, web, desk, keys, banks,
                                         lists, erase, backup, restore, registry, audit, doctor,
                                         health, top, scan, hash; disrupt-index
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


def _lacking(name: str) -> DisruptError | None:
    """Return why a command cannot run in this installation; None where it can."""
    module, _ = _COMMANDS[name]
    extras = next((extras for room, extras in _EXTRAS.items() if module.startswith(room)), ())
    return next(filter(None, (lacking(f"disrupt {name}", extra) for extra in extras)), None)


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


class _Commands(click.Group):
    """Commands that are imported when they run, so that none waits for another's room."""

    def main(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 click's
        """Run the command so that whatever it prints can be printed."""
        _make_readable()
        return super().main(*arguments, **options)

    def list_commands(self, _: click.Context, /) -> list[str]:
        return list(_COMMANDS)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter, /) -> None:
        """List the commands from the table: importing all rooms takes a second."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, "Needs an extra: run it to see which." if _lacking(name) else text)
                    for name, (_, text) in _COMMANDS.items()
                ]
            )

    def get_command(self, _context: click.Context, name: str, /) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        if error := _lacking(name):
            return _refused(name, error)
        module, _colon, attribute = _COMMANDS[name][0].partition(":")
        # gRPC's log lines would hide the sentence that explains an error
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        # The matrices of hashing are small: threads would only wait for each other, at full load.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except KeyboardInterrupt:
            click.echo("Interrompu : rien n'a été fait.\nInterrupted: nothing was done.", err=True)
            sys.exit(1)
        return command

    def parse_args(self, context: click.Context, args: list[str], /) -> list[str]:
        """Say in French first that an option before the command is mistyped."""
        try:
            return super().parse_args(context, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            from disrupt.submission.usage import mistyped

            raise mistyped(error, context) from error

    def resolve_command(
        self, context: click.Context, arguments: list[str], /
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say in French first that there is no such command: nobody knows who typed it."""
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as error:
            from disrupt.submission.usage import mistyped

            raise mistyped(error, context, arguments[0]) from error

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

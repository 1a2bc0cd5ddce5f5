"""What commands print can be read wherever it is printed."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from disrupt import cli


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Numéro de dossier · «œuvre» →", b'Numero de dossier - "oeuvre" ->'),
        ("l\N{RIGHT SINGLE QUOTATION MARK}été", b"l'ete"),
        ("東京.png", b"??.png"),
    ],
)
def test_what_an_encoding_lacks_is_printed_in_plain_letters(text: str, printed: bytes) -> None:
    cli._make_readable()
    assert text.encode("ascii", "disrupt.plain") == printed


def test_what_cannot_be_decoded_is_an_error() -> None:
    cli._make_readable()
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", "disrupt.plain")


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = (
        "import sys\n"
        "from disrupt.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "rooms = {name for name in sys.modules if name.startswith('disrupt.')}\n"
        "print(sorted(rooms - {'disrupt.cli', 'disrupt.errors', 'disrupt.extras'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.stdout.endswith("\n[]\n")


def test_every_command_is_listed_with_what_it_does_and_is_there() -> None:
    listed = CliRunner().invoke(cli.main, ["--help"]).stdout.partition("Commands:")[2]
    context = click.Context(cli.main)
    for name, command in cli._COMMANDS.items():
        assert f"\n  {name} " in listed
        assert command.summary.split()[0] in listed
        named = cli.main.get_command(context, name)
        assert named is not None
        assert named.name == name


def test_names_of_commands_are_completed_with_what_they_do() -> None:
    completions = ShellComplete(cli.main, {}, "disrupt", "_DISRUPT_COMPLETE").get_completions
    assert {item.value: item.help for item in completions([], "s")} == {
        name: cli._COMMANDS[name].summary for name in ("submit", "status", "serve")
    }
    assert {item.value for item in completions([], "--")} == {"--version", "--help"}

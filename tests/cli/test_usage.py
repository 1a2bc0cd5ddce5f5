"""Mistyped commands, unreachable servers, strange names, help."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from disrupt.cli import main
from disrupt.core.cases import case_number
from indexer.commands import main as index_main
from rig.callers.shell import Shell, typed
from rig.media.generated import picture
from rig.servers.deployment import BIN

NOBODY = "127.0.0.1:1"
NOWHERE = {"DISRUPT_SERVER": NOBODY, "DISRUPT_KEY": "key"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit", "--case", "ABCD", "x.png"],
        ["status", "ABCD"],
        ["withdraw", case_number(7), "--item", "xyz"],
    ],
    ids=" ".join,
)
def test_a_mistyped_command_of_a_victim_is_explained_in_french_first(
    arguments: list[str],
) -> None:
    done = typed(*arguments, **NOWHERE, DISRUPT_PIN="123456789012")
    assert done.code == 2
    assert done.err.startswith("Erreur · Error: ")
    _, _, said = done.err.partition("Error: ")
    assert said.startswith(("Ce n'est pas un numéro", "Une image se désigne"))
    assert len(said.splitlines()) >= 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["submit"], "Il manque : FICHIER..."),
        (["submit", "--age", "majeure", "x.png"], "pas : --age. Choisissez parmi : adult, minor,"),
        (["status", case_number(7), "extra"], "un mot de trop"),
        (["withdraw", "--no-such-option"], "L'option « --no-such-option » n'existe pas."),
        (["withdraw", case_number(7), "--item"], "L'option « --item » est mal employée."),
        (["retirer"], "La commande « retirer » n'existe pas."),
        (["--dossier", "status"], "L'option « --dossier » n'existe pas."),
    ],
    ids=str,
)
def test_what_is_mistyped_is_named_in_french(arguments: list[str], said: str) -> None:
    done = typed(*arguments, **NOWHERE, DISRUPT_PIN="123456789012")
    assert done.code == 2
    flat = " ".join(done.err.replace("\N{NO-BREAK SPACE}", " ").split())
    assert flat.index(said) < flat.index("The command is incomplete or mistyped.")
    assert done.err.splitlines()[-1].endswith("--help")


def commands(command: click.Command, name: str) -> Iterator[click.Context]:
    """Return the context of a command, and of those below it."""
    context = click.Context(command, info_name=name)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from commands(found, f"{name} {below}")


def test_no_help_shows_the_marks_of_a_paragraph_that_is_not_wrapped() -> None:
    helps = {
        context.info_name: context.get_help()
        for command, name in ((main, "disrupt"), (index_main, "disrupt-index"))
        for context in commands(command, name)
    }
    assert {"disrupt review log", "disrupt keys create", "disrupt-index verify"} <= helps.keys()
    assert [name for name, text in helps.items() if "\\b" in text or "\b" in text] == []


def test_ctrl_c_while_a_command_of_a_victim_starts_is_answered_in_french(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("disrupt.cli.importlib.import_module", interrupted)
    done = typed("submit", "a.png", **NOWHERE)
    assert done.code == 1
    assert done.err.startswith("Interrompu : rien n'a été fait.")


def test_an_unreachable_server_is_named_and_fails(disrupt: Shell, tmp_path: Path) -> None:
    files = [picture(tmp_path / f"{at}.png", at) for at in range(3)]
    done = disrupt("match", "--json", *files, server=NOBODY)
    assert done.code == 1
    assert NOBODY in done.err
    assert "Is it running" in done.err
    assert [line["error"]["reason"] for line in done.lines] == ["UNAVAILABLE"] * 3
    done = disrupt("submit", files[0], server=NOBODY)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Le service ne répond pas")
    assert NOBODY in done.err


@pytest.mark.parametrize(
    ("option", "value", "french"),
    [
        ("--key-file", "ma clé secrète", "La clé d'accès est mal copiée"),
        ("--key-file", "key one\nkey two", "La clé d'accès est mal copiée"),
        ("--tls-ca", "no certificate", "Le fichier des autorités de certification"),
        ("--server", "", "L'adresse du service est mal écrite"),
    ],
)
def test_the_setting_that_is_wrong_is_named_and_no_other(
    tmp_path: Path, option: str, value: str, french: str
) -> None:
    file = tmp_path / "file"
    file.write_text(value, "utf-8")
    given = file if value else "http://service:1"
    done = typed("submit", option, given, picture(tmp_path / "a.png", 184), **NOWHERE)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(french)
    assert not value or value not in done.err
    messages = {"La clé d'accès", "autorités de certification", "L'adresse du service"}
    assert sum(message in done.err for message in messages) == 1


def test_a_pin_with_letters_is_told_what_a_pin_may_have() -> None:
    for command in ("status", "withdraw"):
        options = ["--yes"] if command == "withdraw" else []
        done = typed(command, *options, case_number(7), **NOWHERE, DISRUPT_PIN="1234 5678 9O12")
        assert done.code == 2
        assert "rien d'autre que des espaces ou des tirets" in " ".join(done.err.split())


@pytest.mark.parametrize(
    "words",
    [
        ("revoke", "\udcff"),
        ("create", "a\udcff", "--right", "match"),
        ("create", "a", "--right", "match", "--bank", "\udcff"),
    ],
)
def test_words_for_keys_that_are_not_utf8_are_refused_in_a_line(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = typed("keys", *words, "--data-dir", tmp_path)
    assert done.code == 1
    assert done.err.startswith("Error: ")
    assert done.err.endswith(": not UTF-8\n")


def test_names_cannot_write_on_the_terminal(disrupt: Shell, tmp_path: Path) -> None:
    evil = tmp_path / "\x1b[2J[bold red]x\u202egnp.png"
    shutil.copy(picture(tmp_path / "a.png", 190), evil)
    for command in ("match", "submit"):
        out = disrupt(command, evil).out
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "[bold red]x" in out
    (line,) = disrupt("match", "--json", evil).lines
    assert line["input"] == str(evil)


def test_a_file_name_that_is_no_text_is_no_obstacle(disrupt: Shell, tmp_path: Path) -> None:
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    shutil.copy(picture(tmp_path / "a.png", 191), strange)
    for command in ("match", "submit"):
        assert disrupt(command, strange).code == 0
    (line,) = disrupt("match", "--json", strange).lines
    assert line["input"] == strange


@pytest.mark.parametrize("command", [("doctor",), ("keys", "list")], ids=" ".join)
def test_log_lines_do_not_come_between_json(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "registry.head").write_text("unreadable")  # is logged
    words: list[str | Path] = [BIN / "disrupt", *command, "--json", "--data-dir", tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)
    assert "registry_head_unreadable" in done.stderr


@pytest.mark.skipif(os.cpu_count() == 1, reason="OpenBLAS starts no threads")
def test_hashing_takes_one_thread() -> None:
    program = (
        "import os; from disrupt.cli import main; main.get_command(None, 'submit');"
        "import numpy; print(len(os.listdir('/proc/self/task')))"
    )
    env = {name: text for name, text in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    words = [sys.executable, "-c", program]
    assert subprocess.run(words, env=env, capture_output=True, check=True).stdout == b"1\n"

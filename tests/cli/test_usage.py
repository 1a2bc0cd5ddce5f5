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
from disrupt.submission import texts
from indexer.commands import main as index_main
from rig.callers.shell import Shell, typed
from rig.media.generated import picture
from rig.servers.deployment import BIN

NOBODY = "127.0.0.1:1"
NOWHERE = {"DISRUPT_SERVER": NOBODY, "DISRUPT_KEY": "key"}


@pytest.mark.parametrize(
    ("arguments", "pin", "keys"),
    [
        (["submit", "--case", "ABCD", "x.png"], "1" * 12, ["number.bad"]),
        (["status", "ABCD"], "1" * 12, ["number.bad"]),
        (["withdraw", "--yes", case_number(7), "--item", "xyz"], "1" * 12, ["bad_item"]),
        (["status", case_number(7)], "1234 5678 9O12", ["bad_pin", "lost_pin"]),
        (["withdraw", "--yes", case_number(7)], "1234", ["bad_pin", "lost_pin"]),
    ],
    ids=str,
)
def test_a_number_that_is_mistyped_is_explained(
    arguments: list[str], pin: str, keys: list[str]
) -> None:
    done = typed(*arguments, **NOWHERE, DISRUPT_PIN=pin)
    assert done.code == 2
    assert done.said & {"number.bad", "bad_item", "bad_pin", "lost_pin"} == set(keys)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["submit"], "FICHIER..."),
        (["submit", "--age", "majeure", "x.png"], "--age. Choisissez parmi : adult, minor,"),
        (["status", case_number(7), "extra"], "un mot de trop"),
        (["withdraw", "--no-such-option"], "« --no-such-option »"),
        (["withdraw", case_number(7), "--item"], "« --item »"),
        (["retirer"], "« retirer »"),
        (["--dossier", "status"], "« --dossier »"),
    ],
    ids=str,
)
def test_what_is_mistyped_is_named_in_french_first(arguments: list[str], named: str) -> None:
    done = typed(*arguments, **NOWHERE, DISRUPT_PIN="123456789012")
    assert (done.code, "usage" in done.said) == (2, True)
    flat = " ".join(done.err.split())
    assert flat.startswith("Erreur : ")
    assert flat.index(named) < (flat + texts.USAGE.en).index(texts.USAGE.en)
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
    assert done.err.startswith("Interrompu")


def test_an_unreachable_server_is_named_and_fails(disrupt: Shell, tmp_path: Path) -> None:
    files = [picture(tmp_path / f"{at}.png", at) for at in range(3)]
    done = disrupt("match", "--json", *files, server=NOBODY)
    assert done.code == 1
    assert NOBODY in done.err
    assert "Is it running" in done.err
    assert [line["error"]["reason"] for line in done.lines] == ["UNAVAILABLE"] * 3
    done = disrupt("submit", "--age=adult", files[0], server=NOBODY)
    assert (done.code, done.out) == (1, "")
    assert done.said >= {"error.UNAVAILABLE", "nothing_was_registered"}
    assert NOBODY in done.err


@pytest.mark.parametrize(
    ("option", "value", "setting"),
    [
        ("--key-file", "ma clé secrète", "key"),
        ("--key-file", "key one\nkey two", "key"),
        ("--tls-ca", "no certificate", "tls_ca"),
        ("--server", "", "server"),
    ],
)
def test_the_setting_that_is_wrong_is_named_and_no_other(
    tmp_path: Path, option: str, value: str, setting: str
) -> None:
    file = tmp_path / "file"
    file.write_text(value, "utf-8")
    given = file if value else "http://service:1"
    done = typed(
        "submit", "--age=adult", option, given, picture(tmp_path / "a.png", 184), **NOWHERE
    )
    assert (done.code, done.out) == (2, "")
    assert {key for key in done.said if key.startswith("setting.")} == {f"setting.{setting}"}
    assert not value or value not in done.err


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


@pytest.mark.parametrize("name", ["\x1b[2J[bold red]x\u202egnp.png", os.fsdecode(b"\xff.png")])
def test_a_file_name_neither_writes_on_the_terminal_nor_has_to_be_text(
    disrupt: Shell, tmp_path: Path, name: str
) -> None:
    evil = os.path.join(tmp_path, name)  # noqa: PTH118 it is no text
    shutil.copy(picture(tmp_path / "a.png", 190), evil)
    for command in ("match", "submit"):
        done = disrupt(command, *(["--age=adult"] if command == "submit" else []), evil)
        assert done.code == 0
        assert not {"\x1b", "\u202e"}.intersection(done.out)
        assert ("[bold red]x" in done.out) == ("[bold red]x" in name)
    (line,) = disrupt("match", "--json", evil).lines
    assert line["input"] == evil


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

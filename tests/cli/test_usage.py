"""Mistyped commands, unreachable servers, strange names, help."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from disrupt import extras
from disrupt.cli import main
from disrupt.core.cases import case_number
from indexer.cli import main as index_tool
from tests.cli.shell import BIN, Done, Shell
from tests.submission.examples import picture

NOBODY = "127.0.0.1:1"


def typed(*arguments: str | Path, server: str = NOBODY, pin: str | None = None) -> Done:
    """Run a command in this process, where it ends before it hashes or sends anything."""
    env = {"DISRUPT_SERVER": server, "DISRUPT_KEY": "key", "DISRUPT_PIN": pin}
    words = [str(argument) for argument in arguments]
    done = CliRunner().invoke(main, words, env=env, prog_name="disrupt")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return Done(done.exit_code, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit"],
        ["submit", "--age", "old", "x.png"],
        ["submit", "--case", "ABCD", "x.png"],
        ["status"],
        ["status", "ABCD"],
        ["withdraw", case_number(7), "--item", "xyz"],
        ["withdraw", case_number(7), "--no-such-option"],
    ],
    ids=" ".join,
)
def test_a_mistyped_command_of_a_victim_is_explained_in_french_first(
    arguments: list[str],
) -> None:
    done = typed(*arguments, pin="12345678")
    assert done.code == 2
    assert done.err.startswith("Erreur · Error: ")
    _, _, said = done.err.partition("Error: ")
    assert said.startswith(
        ("Commande incomplète", "Ce n'est pas un numéro", "Une image se désigne")
    )
    assert len(said.splitlines()) >= 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["match"],
        ["match", "--max-distance", "64", "x"],
        ["match", "--max-matches", "0", "x"],
        ["nonsense"],
        ["--nonsense"],
    ],
    ids=" ".join,
)
def test_a_mistyped_command_is_usage(arguments: list[str]) -> None:
    assert typed(*arguments).code == 2


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
    done = typed("submit", option, given, picture(tmp_path / "a.png", 184))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(french)
    assert not value or value not in done.err
    messages = {"La clé d'accès", "autorités de certification", "L'adresse du service"}
    assert sum(message in done.err for message in messages) == 1


def test_a_pin_with_dashes_is_told_what_a_pin_may_have() -> None:
    for command in ("status", "withdraw"):
        options = ["--yes"] if command == "withdraw" else []
        done = typed(command, *options, case_number(7), pin="1234-5678-9012")
        assert done.code == 2
        assert "rien d'autre que des espaces" in " ".join(done.err.split())


@pytest.mark.parametrize("command", ["match", "submit"])
def test_an_address_that_is_none_is_usage(tmp_path: Path, command: str) -> None:
    file = picture(tmp_path / "a.png", 182)
    assert typed(command, file, server="unix:/tmp/socket").code == 2


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
        assert disrupt.apart(command, strange).code == 0
    (line,) = disrupt.apart("match", "--json", strange).lines
    assert line["input"] == strange


@pytest.mark.parametrize(
    "command", ["submit", "status", "keep", "withdraw", "match", "serve", "keys"]
)
def test_help_has_an_example(command: str) -> None:
    done = typed(command, "--help")
    assert done.code == 0
    assert f"disrupt {command} " in done.out.partition("xample")[2]


@pytest.mark.parametrize("command", ["disrupt", "disrupt-index"])
def test_the_list_of_commands_is_whole_in_80_columns(command: str) -> None:
    done = subprocess.run([BIN / command, "--help"], capture_output=True, text=True, check=True)
    assert "..." not in done.stdout.partition("Commands:")[2]
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", [("doctor",), ("keys", "list")], ids=" ".join)
def test_log_lines_do_not_come_between_json(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "registry.head").write_text("unreadable")  # is logged
    words: list[str | Path] = [BIN / "disrupt", *command, "--json", "--data-dir", tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)
    assert "registry_head_unreadable" in done.stderr


_SERVER_COMMANDS = (
    *("serve", "keys", "organisations", "banks", "items", "negatives"),
    *("erase", "backup", "restore", "doctor"),
)


@pytest.fixture
def no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide one of the packages of the extra ``server``."""
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "uvloop" else name)


@pytest.mark.usefixtures("no_extra")
@pytest.mark.parametrize("arguments", [[], ["--data-dir", "data"], ["create", "--help"]], ids=str)
@pytest.mark.parametrize("command", _SERVER_COMMANDS)
def test_a_command_of_the_server_names_the_extra_that_it_lacks(
    command: str, arguments: list[str]
) -> None:
    done = CliRunner().invoke(main, [command, *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f'Error: disrupt {command} needs the extra "server", which is not installed here:'
        " pip install 'disrupt-hashes[server]'\n"
    )


@pytest.mark.usefixtures("no_extra")
def test_the_index_tool_names_the_extra_that_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        index_tool()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith('Error: disrupt-index needs the extra "server"')


def test_the_gateway_names_the_extra_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "starlette" else name)
    done = CliRunner().invoke(main, ["web"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith("pip install 'disrupt-hashes[web]'\n")


@pytest.mark.usefixtures("no_extra")
def test_the_list_of_commands_says_which_need_the_extra() -> None:
    listed = CliRunner().invoke(main, ["--help"]).stdout
    needing = set(re.findall(r'^  (\w+) +Needs the extra "server"\.$', listed, re.MULTILINE))
    assert needing == set(_SERVER_COMMANDS)


@pytest.mark.parametrize("command", ["submit", "status", "withdraw"])
def test_help_for_victims_is_french_first_and_names_the_exit_codes(command: str) -> None:
    out = typed(command, "--help").out
    assert re.search("Enregistrer|Voir|Retirer", out)
    assert "Codes de sortie" in out


@pytest.mark.skipif(os.cpu_count() == 1, reason="OpenBLAS starts no threads")
def test_hashing_takes_one_thread() -> None:
    program = (
        "import os; from disrupt.cli import main; main.get_command(None, 'submit');"
        "import numpy; print(len(os.listdir('/proc/self/task')))"
    )
    env = {name: text for name, text in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    words = [sys.executable, "-c", program]
    assert subprocess.run(words, env=env, capture_output=True, check=True).stdout == b"1\n"


def test_completion_comes_with_the_shell(disrupt: Shell) -> None:
    done = disrupt.apart("submit", key="", _DISRUPT_COMPLETE="bash_source")
    assert "complete" in done.out
    assert "_DISRUPT_COMPLETE" in disrupt("--help").out


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "disrupt", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("disrupt, version ")

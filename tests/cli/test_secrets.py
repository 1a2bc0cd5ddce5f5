"""Where PINs and keys come from, and what is said of wrong ones."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

from disrupt.core.cases import case_number
from tests.cli.shell import BIN, Shell
from tests.submission.examples import picture


def test_a_wrong_pin_and_an_unknown_case_get_one_answer(disrupt: Shell, tmp_path: Path) -> None:
    opened = disrupt.registered(picture(tmp_path / "a.png", 160))
    wrong = disrupt("status", opened.case_number, pin=f"{(int(opened.pin) + 1) % 10**8:08}")
    unknown = disrupt("status", case_number(12345), pin=opened.pin)
    assert wrong.code == unknown.code == 1
    assert wrong.err == unknown.err
    assert wrong.err.startswith("Aucun dossier avec ce numéro et ce code PIN.")


def test_the_pin_comes_from_a_file_from_standard_input_or_from_the_environment(
    disrupt: Shell, tmp_path: Path
) -> None:
    opened = disrupt.registered(picture(tmp_path / "a.png", 161))
    case, pin = opened.case_number, opened.pin
    file = tmp_path / "pin"
    file.write_text(f"{pin[:4]} {pin[4:]}\n")
    assert disrupt("status", case, "--pin-file", file).code == 0
    assert disrupt("status", case, "--pin-file", "-", stdin=f"{pin}\n").code == 0
    assert disrupt("status", case, pin=pin).code == 0
    assert disrupt("status", case).code == 2
    missing, empty = tmp_path / "none", tmp_path / "empty"
    empty.touch()
    for file, option, words in (
        (missing, "--pin-file", "n'existe pas"),
        (missing, "--key-file", "n'existe pas"),
        (empty, "--key-file", "est vide"),
    ):
        refused = disrupt("status", case, option, file, pin="" if "pin" in option else pin)
        flat = " ".join(refused.err.split())
        assert (refused.code, f"indiqué par {option}, {words}" in flat) == (2, True), refused.err
        assert file.name in flat
    assert disrupt("status", case, pin="1234").code == 2


def test_at_a_terminal_the_pin_is_asked_for_in_french_first_and_not_shown(
    disrupt: Shell, tmp_path: Path
) -> None:
    opened = disrupt.registered(picture(tmp_path / "a.png", 162))
    typist, terminal = pty.openpty()
    try:
        process = subprocess.Popen(
            [BIN / "disrupt", "status", opened.case_number],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            env=os.environ
            | {
                "DISRUPT_SERVER": disrupt.address,
                "DISRUPT_KEY": disrupt.register_key,
                "TERM": "dumb",
                "COLUMNS": "200",
            },
        )
        os.close(terminal)
        shown = b""
        while b"PIN" not in shown:
            shown += os.read(typist, 4096)
        assert shown.index(b"Code PIN") < shown.index(b"shown")
        os.write(typist, f"{opened.pin}\n".encode())
        while True:
            try:
                shown += os.read(typist, 4096)
            except OSError:  # the other side is closed
                break
        assert process.wait() == 0
    finally:
        os.close(typist)
    text = shown.decode()
    assert opened.case_number in text
    assert opened.pin not in text


def test_a_refused_key_or_a_missing_right_fails(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 180)
    for key, reason in (("unknown", "KEY_REFUSED"), (disrupt.register_key, "RIGHT_MISSING")):
        done = disrupt("match", "--json", file, key=key)
        assert done.code == 1
        assert done.lines[0]["error"]["reason"] == reason
    done = disrupt("submit", file, key=disrupt.match_key)
    assert done.code == 1
    assert done.err.startswith("Cette clé d'accès ne permet pas cela.")


def test_the_key_comes_from_a_file_or_the_environment_and_without_one_it_is_usage(
    disrupt: Shell, tmp_path: Path
) -> None:
    file, key_file = picture(tmp_path / "a.png", 181), tmp_path / "key"
    key_file.write_text(f"{disrupt.match_key}\n")
    assert disrupt("match", file, "--key-file", key_file, key="").code == 0
    key_file.write_text(f"{disrupt.match_key}\n", "utf-8-sig")
    assert disrupt("match", file, "--key-file", key_file, key="").code == 0
    none = disrupt("match", file, key="")
    assert none.code == 2
    assert "DISRUPT_KEY" in none.err
    assert "--key-file" in none.err
    missing = disrupt("match", file, "--key-file", tmp_path / "none", key="")
    assert (missing.code, "none, which --key-file names" in missing.err) == (2, True)
    assert "clé d'accès" in disrupt("submit", file, key="").err

"""Where PINs and keys come from."""

from __future__ import annotations

from pathlib import Path

from rig.callers.shell import Shell
from rig.callers.terminal import at_terminal
from rig.media.generated import picture


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
    assert disrupt("status", case, "--pin-file", tmp_path / "none").code == 2
    assert disrupt("status", case, pin="1234").code == 2


def test_at_a_terminal_the_pin_is_asked_for_and_not_shown(disrupt: Shell, tmp_path: Path) -> None:
    opened = disrupt.registered(picture(tmp_path / "a.png", 162))
    env = {"DISRUPT_SERVER": disrupt.address, "DISRUPT_KEY": disrupt.register_key}
    with at_terminal("status", opened.case_number, columns=200, env=env) as terminal:
        terminal.until("Code PIN (il ne s'affiche pas)")
        terminal.type(opened.pin)
        assert terminal.end() == 0
    assert opened.case_number in terminal.flat
    assert opened.pin not in terminal.shown


def test_a_refused_key_or_a_missing_right_fails(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 180)
    for key, reason in (("unknown", "KEY_REFUSED"), (disrupt.register_key, "RIGHT_MISSING")):
        done = disrupt("match", "--json", file, key=key)
        assert done.code == 1
        assert done.lines[0]["error"]["reason"] == reason


def test_the_key_comes_from_a_file_or_the_environment_and_without_one_it_is_usage(
    disrupt: Shell, tmp_path: Path
) -> None:
    file, key_file = picture(tmp_path / "a.png", 181), tmp_path / "key"
    key_file.write_text(f"{disrupt.match_key}\n")
    assert disrupt("match", file, "--key-file", key_file, key="").code == 0
    key_file.write_text(f"{disrupt.match_key}\n", "utf-8-sig")
    assert disrupt("match", file, "--key-file", key_file, key="").code == 0
    none = disrupt("match", file, key="")
    assert (none.code, "DISRUPT_KEY" in none.err, "--key-file" in none.err) == (2, True, True)
    assert disrupt("match", file, "--key-file", tmp_path / "none", key="").code == 2
    assert "no_key" in disrupt("submit", "--age=adult", file, key="").said

"""A person cannot lose a case: its number and PIN are shown before anything is sent."""

from __future__ import annotations

import array
import fcntl
import json
import os
import re
import signal
import subprocess
import termios
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from disrupt.client import Effort, MatchClient
from disrupt.core.cases import CaseStatus
from disrupt.errors import OverloadedError
from disrupt.registry import sqlite
from disrupt.submission import showing
from disrupt.submission.client import ITEMS_PER_REQUEST, SubmissionClient
from disrupt.submission.results import Registered, Submission
from rig.callers.shell import Done, Shell
from rig.callers.terminal import at_terminal
from rig.faults.losing import losing_answers
from rig.media.generated import picture
from rig.servers.deployment import BIN, FEW_DECODERS, Deployment
from rig.servers.scripted import scripted, status_of
from rig.servers.scripted_registration import register
from rig.waiting import eventually

NUMBER = r"[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{3}"


def variables(server: str, key: str = "key", **extra: str) -> dict[str, str]:
    return {"DISRUPT_SERVER": server, "DISRUPT_KEY": key, **extra}


def started(
    *arguments: str | Path,
    env: dict[str, str],
    stdout: int = subprocess.PIPE,
    through: tuple[str, ...] = (),
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*through, BIN / "disrupt", *arguments],
        env=os.environ | env,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate()
    assert "Traceback" not in err, err
    assert "Exception ignored" not in err, err
    return Done(process.returncode, out or "", err)


def registered(disrupt: Shell, file: Path) -> None:
    """Wait until a picture is registered."""
    with MatchClient(disrupt.address, key=disrupt.match_key) as client:
        eventually(lambda: bool(client.match_image(file, effort=Effort.FAST).matches))


def announced(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return the case number and PIN, as soon as the command shows them."""
    shown = ""
    while not (access := re.search(rf"({NUMBER})\n.*PIN: ([0-9 ]+)\n", shown)):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "it ended without showing number and PIN"
        shown += line
    return access[1], access[2].replace(" ", "")


def test_an_answer_that_was_lost_is_asked_for_again_and_nothing_is_registered_twice(
    disrupt: Shell, tmp_path: Path
) -> None:
    file = picture(tmp_path / "a.png", 300)
    with losing_answers(disrupt.address) as proxy:
        process = started(
            "submit", "--age=unsure", file, env=variables(proxy.address, disrupt.register_key)
        )
        case, pin = announced(process)
        registered(disrupt, file)
        proxy.heal()
        done = ended(process)
    assert done.code == 0, done.err
    assert case in done.out
    shown = disrupt("status", "--json", case, pin=pin).json
    assert [item["number"] for item in shown["items"]] == [1]


def test_a_command_that_is_killed_before_the_answer_leaves_number_and_pin_of_the_case(
    disrupt: Shell, tmp_path: Path
) -> None:
    file = picture(tmp_path / "a.png", 301)
    with losing_answers(disrupt.address) as proxy:
        env = variables(proxy.address, disrupt.register_key)
        process = started("submit", "--age=unsure", "--json", file, env=env)
        assert proxy.asked.wait(300)
        registered(disrupt, file)
        process.kill()
        left = json.loads(f"{ended(process).out}}}")
    assert disrupt("withdraw", "--yes", left["case"], pin=left["pin"]).code == 0


def test_ctrl_c_before_the_answer_says_that_it_is_not_known_and_how_to_know(
    disrupt: Shell, tmp_path: Path
) -> None:
    file = picture(tmp_path / "a.png", 302)
    with losing_answers(disrupt.address) as proxy:
        env = variables(proxy.address, disrupt.register_key)
        process = started("submit", "--age=unsure", "--json", file, env=env)
        registered(disrupt, file)
        process.send_signal(signal.SIGINT)
        done = ended(process)
        assert done.code == 4
        assert (done.json["items"], done.json["unknown"]) == ([], [str(file)])
        shown = disrupt("status", "--json", done.json["case"], pin=done.json["pin"])
        assert len(shown.json["items"]) == 1

        with at_terminal("submit", "--age=adult", file, env=env) as terminal:
            terminal.until("Code PIN")
            disrupt.match(file, until=2)
            terminal.interrupt()
            assert terminal.end() == 4
    case, pin = re.findall(rf"{NUMBER}|(?<=PIN: )[0-9 ]+", terminal.shown)[:2]
    assert terminal.said >= {"not_known", "not_known_of_new"}
    assert f"disrupt status {case}" in terminal.flat
    assert disrupt("status", case, pin=pin.strip()).code == 0


def test_a_server_killed_between_commit_and_answer_has_the_case_that_was_shown(
    tmp_path: Path,
) -> None:
    server = Deployment.start(tmp_path / "data", workers=1, settings=FEW_DECODERS)
    key = server.make_key("helpline", "register")
    shown: list[tuple[str, str]] = []
    try:
        with (
            losing_answers(server.address) as proxy,
            SubmissionClient(proxy.address, key=key, timeout_s=600) as client,
        ):

            def kill_and_restart() -> Deployment:
                try:
                    assert proxy.asked.wait(300)
                    with sqlite.open_reader(server.data_dir / "registry.db") as registry:
                        eventually(lambda: registry.case(shown[0][0]) is not None)
                    server.kill()
                finally:
                    proxy.heal()
                return Deployment.start(server.data_dir, listen=server.address, workers=1)

            with ThreadPoolExecutor(1) as thread:
                killing = thread.submit(kill_and_restart)
                done = client.submit(
                    [picture(tmp_path / "a.png", 303)],
                    announce=lambda *numbers: shown.append(numbers),
                )
            server = killing.result()
            assert shown == [(done.case_number, done.pin)]
            case = client.case(*shown[0])
            assert [item.item_id for item in case.items] == [done.registered[0].item_id]
    finally:
        server.stop()


@pytest.mark.parametrize("form", ["people", "programs"])
@pytest.mark.parametrize("stdout", ["full", "closed", "without a reader"])
def test_nothing_is_sent_where_number_and_pin_cannot_be_shown(
    tmp_path: Path, stdout: str, form: str
) -> None:
    options = ["--json"] if form == "programs" else []
    words: list[str | Path] = ["submit", "--age=unsure", *options, picture(tmp_path / "a.png", 304)]
    with scripted(register) as server:
        env = variables(server.address)
        if stdout == "closed":
            done = ended(started(*words, env=env, through=("sh", "-c", 'exec "$@" >&-', "sh")))
        else:
            end = os.open("/dev/full", os.O_WRONLY) if stdout == "full" else unread_pipe()
            done = ended(started(*words, env=env, stdout=end))
            os.close(end)
        assert server.seen == []
    assert done.code == 1
    assert done.said == {"not_shown"}


def unread_pipe() -> int:
    """Return the writing end of a pipe that nobody reads, as of ``| head -0``."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def test_where_output_ends_after_the_answer_the_case_is_named_once_more(tmp_path: Path) -> None:
    """Fill the pipe before the answer comes, and then end its reader."""
    long = "x" * 200
    files = [picture(tmp_path / f"{long}{at}.png", 310 + at) for at in range(ITEMS_PER_REQUEST)]
    for ends_by in ("a reader that goes", "Ctrl-C"):
        reading, writing = os.pipe()
        room = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        with scripted(register) as server:
            env = variables(server.address)
            words: list[str | Path] = ["submit", "--age=unsure", *files, *files]
            process = started(*words, env=env, stdout=writing)
            os.close(writing)
            eventually(lambda: _waiting_bytes(reading) > room - 1024)
            case = re.search(NUMBER, os.read(reading, 300).decode())
            assert case
            if ends_by == "Ctrl-C":
                process.send_signal(signal.SIGINT)
                done = ended(process)
                os.close(reading)
            else:
                os.close(reading)
                done = ended(process)
        assert done.code == 1, done.err
        assert "done_not_shown" in done.said
        assert f"disrupt status {case[0]}" in " ".join(done.err.split())


def _waiting_bytes(pipe: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def test_an_output_that_knows_ascii_only_is_readable(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "été.png", 306)
    done = disrupt("submit", "--age=unsure", file, apart=True, PYTHONIOENCODING="ascii")
    assert done.code == 0, done.err
    assert done.out.isascii()
    case = re.search(rf"Numero de dossier: ({NUMBER})", done.out)
    pin = re.search(r"Code PIN: ([0-9 ]+)", done.out)
    assert case
    assert pin
    assert "/ete.png\n" in done.out
    shown = disrupt("status", case[1], pin=pin[1].strip(), apart=True, PYTHONIOENCODING="ascii")
    assert shown.code == 0
    assert "Etat: ouvert" in shown.out
    refused = disrupt("status", case[1], pin="000000000000", apart=True, PYTHONIOENCODING="ascii")
    assert "numero" in refused.err


def test_a_refused_submission_leaves_whole_json_and_says_that_the_number_is_void(
    disrupt: Shell, tmp_path: Path
) -> None:
    file = picture(tmp_path / "a.png", 308)
    done = disrupt("submit", "--age=unsure", "--json", file, key=disrupt.match_key)
    assert done.code == 1
    assert (done.json["items"], done.json["rejected"]) == ([], [])
    assert done.said >= {"error.RIGHT_MISSING", "nothing_was_registered"}
    shown = disrupt("status", done.json["case"], pin=done.json["pin"])
    assert (shown.code, "error.CASE_REFUSED" in shown.said) == (1, True)


def test_a_whole_case_is_withdrawn_only_after_a_yes(disrupt: Shell, tmp_path: Path) -> None:
    opened = disrupt.registered(picture(tmp_path / "a.png", 330))
    case, pin = opened.case_number, opened.pin
    refused = disrupt("withdraw", case, pin=pin)
    assert (refused.code, "say_yes" in refused.said) == (2, True)
    env = variables(disrupt.address, disrupt.register_key, DISRUPT_PIN=pin)
    for answer, code in (("", 1), ("non", 1), ("Oui", 0)):
        with SubmissionClient(disrupt.address, key=disrupt.register_key) as client:
            assert client.case(case, pin).status == CaseStatus.ACTIVE
        with at_terminal("withdraw", case, env=env) as terminal:
            terminal.until("Tapez « oui » pour retirer")
            assert "really_withdraw" in terminal.said
            if answer:
                terminal.type(answer)
            else:
                terminal.interrupt()
            assert terminal.end() == code
        assert ("nothing_was_withdrawn" in terminal.said) == (code == 1)
        assert ("withdraw.done" in terminal.said) == (code == 0)


def test_who_waits_at_a_terminal_reads_why_and_may_end_it(tmp_path: Path) -> None:
    busy = status_of(OverloadedError("Busy.", retry_after_s=20))
    words: list[str | Path] = ["submit", "--age=adult", picture(tmp_path / "a.png", 335)]
    with (
        scripted(busy) as server,
        at_terminal(*words, env=variables(server.address)) as terminal,
    ):
        terminal.until("Le service est très demandé.")
        terminal.interrupt()
        assert terminal.end() == 1
    assert terminal.said >= {"waiting_while_busy", "interrupted", "nothing_was_registered"}


def test_what_was_acknowledged_is_printed_even_if_a_remark_cannot_be(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(showing, "say", fail)
    done = Submission("2222-2222-234", "123456789012", (Registered("a.png", "00" * 16, 1),), ())
    with showing.SubmissionPrinter(as_json=True) as printer:
        printer.announce("2222-2222-223", "123456789012")
        with pytest.raises(ZeroDivisionError):
            printer.finish(done)
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert item["item"] == "00" * 16


def test_commands_to_copy_are_whole_on_a_narrow_terminal(disrupt: Shell, tmp_path: Path) -> None:
    opened = disrupt.registered(picture(tmp_path / "a.png", 332))
    env = variables(disrupt.address, disrupt.register_key, DISRUPT_PIN=opened.pin)
    with at_terminal("status", opened.case_number, columns=40, env=env) as terminal:
        assert terminal.end() == 0
    copied = re.findall(r"^    disrupt (.*)$", terminal.shown, re.MULTILINE)
    assert f"withdraw {opened.case_number} --item 1" in copied
    said = [line for line in terminal.shown.splitlines() if not line.startswith("    disrupt")]
    assert max(map(len, said)) <= 40

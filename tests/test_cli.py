"""The commands as people run them: processes of their own, against a real server."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from benchmarks.deployment import Deployment
from benchmarks.videos import Codec, encode, footage
from disrupt.client import MatchClient
from disrupt.core.cases import AgeBand, case_number, parse_case_number, parse_pin
from disrupt.core.videos import VideoFingerprints
from disrupt.core.vpdq import vpdq_text
from disrupt.hashing import ImageQuery, hash_image
from disrupt.hashing.videos import fingerprint_video, hash_video
from disrupt.submission.client import SubmissionClient
from disrupt.submission.results import Submission
from tests.submission.examples import animation, no_picture, picture, plain

BIN = Path(sys.executable).parent
NOBODY = "127.0.0.1:1"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Shell:
    """Runs ``disrupt`` with the address and the keys of one server."""

    address: str
    register_key: str
    match_key: str

    def __call__(
        self,
        *arguments: str | Path,
        key: str | None = None,
        pin: str | None = None,
        server: str | None = None,
        stdin: str = "",
        **variables: str,
    ) -> Done:
        if key is None:
            key = self.match_key if arguments[0] == "match" else self.register_key
        clean = {name: value for name, value in os.environ.items() if "DISRUPT" not in name}
        env = clean | {"DISRUPT_SERVER": server or self.address} | variables
        if key:
            env["DISRUPT_KEY"] = key
        if pin is not None:
            env["DISRUPT_PIN"] = pin
        done = subprocess.run(
            [BIN / "disrupt", *arguments],
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def registered(self, *files: Path, age: AgeBand = AgeBand.ADULT) -> Submission:
        """Register without a process of its own, where the command is not what is tested."""
        with SubmissionClient(self.address, key=self.register_key) as client:
            return client.submit(files, age=age)

    def match(self, file: Path, *, until: int) -> list[Any]:
        """The matches that ``match --json`` finds, once every worker finds so many."""
        with MatchClient(self.address, key=self.match_key) as client:
            deadline_s = time.monotonic() + 10
            while any(len(client.match_image(file).matches) != until for _ in range(8)):
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
        done = self("match", "--json", file)
        assert done.code == 0, done.err
        (found,) = done.lines
        assert found["error"] is None
        assert len(found["matches"]) == until
        return [found]


@pytest.fixture(scope="module")
def disrupt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    server = Deployment.start(tmp_path_factory.mktemp("cli") / "data")
    try:
        yield Shell(
            server.address,
            server.make_key("helpline", "register"),
            server.make_key("platform", "match"),
        )
    finally:
        server.stop()


def test_a_picture_is_registered_found_and_withdrawn(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 100)
    submitted = disrupt("submit", "--json", "--age", "adult", file)
    assert submitted.code == 0, submitted.err
    receipt = submitted.json
    assert set(receipt) == {"case", "pin", "items", "rejected"}
    assert parse_case_number(receipt["case"]) == receipt["case"]
    assert parse_pin(receipt["pin"]) == receipt["pin"]
    (item,) = receipt["items"]
    assert item == {"input": str(file), "item": item["item"], "hashes": item["hashes"]}
    assert re.fullmatch("[0-9a-f]{32}", item["item"])
    assert item["hashes"] >= 1
    assert receipt["rejected"] == []

    (found,) = disrupt.match(file, until=1)
    assert found == {
        "input": str(file),
        "quality": found["quality"],
        "matches": [
            {
                "item": item["item"],
                "bank": "adults",
                "distance": 0,
                "query_transform": "identity",
                "stored_transform": "identity",
            }
        ],
        "error": None,
    }
    assert 50 <= found["quality"] <= 100

    shown = disrupt("status", "--json", receipt["case"], pin=receipt["pin"])
    assert shown.code == 0
    assert shown.json["case"] == receipt["case"]
    assert shown.json["status"] == "ACTIVE"
    assert shown.json["closed_on"] is None
    assert [one["item"] for one in shown.json["items"]] == [item["item"]]

    gone = disrupt("withdraw", receipt["case"], pin=receipt["pin"])
    assert gone.code == 0, gone.err
    (found,) = disrupt.match(file, until=0)
    assert (found["matches"], found["error"]) == ([], None)
    again = disrupt("status", "--json", receipt["case"], pin=receipt["pin"])
    assert (again.json["status"], again.json["items"]) == ("WITHDRAWN", [])


def test_the_picture_matches_alike_when_it_is_sent_and_when_its_hash_is_given(
    disrupt: Shell, tmp_path: Path
) -> None:
    file = picture(tmp_path / "a.png", 101)
    item = disrupt.registered(file).registered[0].item_id
    (local,) = disrupt.match(file, until=1)
    (sent,) = disrupt("match", "--json", "--send-pictures", file).lines
    assert sent == local
    mirrored = tmp_path / "mirrored.png"
    ImageOps.mirror(Image.open(file)).save(mirrored)
    (copy,) = disrupt("match", "--json", mirrored).lines
    (match,) = copy["matches"]
    assert (match["item"], match["query_transform"]) == (item, "mirror")
    assert "mirror / identity" in " ".join(disrupt("match", mirrored).out.split())
    for options in ([], ["--send-pictures"]):
        (as_it_is,) = disrupt("match", "--json", "--effort", "fast", *options, mirrored).lines
        assert not as_it_is["matches"]
    query = hash_image(file.read_bytes())
    assert isinstance(query, ImageQuery)
    text = query.hashes[0][0].hex()
    (by_hash,) = disrupt("match", "--json", "--hash", text).lines
    assert by_hash == local | {"input": text, "quality": None}
    assert by_hash["matches"][0]["item"] == item


def test_unless_adult_is_said_the_case_is_a_minors(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 110)
    said = disrupt("submit", file)
    assert "mineure" in said.out
    assert "minor" in said.out
    (found,) = disrupt.match(file, until=1)
    assert found["matches"][0]["bank"] == "minors"
    for at, age in enumerate((AgeBand.UNSURE, AgeBand.MINOR)):
        file = picture(tmp_path / f"{at}.png", 111 + at)
        disrupt.registered(file, age=age)
        (found,) = disrupt.match(file, until=1)
        assert found["matches"][0]["bank"] == "minors"


def test_items_are_added_to_a_case_and_withdrawn_one_by_one(disrupt: Shell, tmp_path: Path) -> None:
    first, second = picture(tmp_path / "a.png", 120), picture(tmp_path / "b.png", 121)
    opened = disrupt("submit", "--json", "--age", "adult", first).json
    added = disrupt("submit", "--json", "--case", opened["case"].lower(), second, pin=opened["pin"])
    assert added.code == 0, added.err
    assert (added.json["case"], added.json["pin"]) == (opened["case"], opened["pin"])
    one, other = opened["items"][0]["item"], added.json["items"][0]["item"]
    left = disrupt("withdraw", "--json", opened["case"], "--item", one, pin=opened["pin"])
    assert left.code == 0, left.err
    assert [item["item"] for item in left.json["items"]] == [other]
    disrupt.match(first, until=0)
    disrupt.match(second, until=1)

    elsewhere = disrupt("withdraw", opened["case"], "--item", "00" * 16, pin=opened["pin"])
    assert elsewhere.code == 1
    assert elsewhere.err.startswith("Une de ces images n'est pas dans ce dossier.")


def test_files_that_cannot_be_registered_are_rejected_and_the_others_go_through(
    disrupt: Shell, tmp_path: Path
) -> None:
    good = picture(tmp_path / "good.png", 130)
    bad, flat = no_picture(tmp_path / "note.txt"), plain(tmp_path / "plain.png")
    done = disrupt("submit", "--json", bad, good, flat)
    assert done.code == 3
    assert [item["input"] for item in done.json["items"]] == [str(good)]
    rejected = {one["input"]: one for one in done.json["rejected"]}
    assert set(rejected) == {str(bad), str(flat)}
    assert set(rejected[str(bad)]) == {"input", "reason", "message", "quality"}
    assert (rejected[str(bad)]["reason"], rejected[str(bad)]["quality"]) == ("INVALID_MEDIA", None)
    assert rejected[str(flat)]["reason"] == "LOW_QUALITY"
    assert rejected[str(flat)]["quality"] < 50
    assert all(one["message"] for one in rejected.values())

    said = disrupt("submit", bad, tmp_path / "missing.png").out
    assert "n'est pas une image" in said
    assert "Ce fichier est introuvable" in said
    assert "ont été envoyées" not in said, "nothing was sent"

    nothing = disrupt("submit", "--json", bad)
    assert nothing.code == 3
    assert (nothing.json["case"], nothing.json["pin"], nothing.json["items"]) == (None, None, [])


def test_every_frame_of_an_animation_is_registered_when_asked(
    disrupt: Shell, tmp_path: Path
) -> None:
    moving = animation(tmp_path / "moving.webp", 141, 142, 143)
    late = picture(tmp_path / "late.png", 143)
    assert disrupt("submit", moving).code == 0
    disrupt.match(late, until=0)
    asked = disrupt("submit", "--every-frame", "--json", moving, late)
    assert asked.code == 0, asked.err
    (every, still) = asked.json["items"]
    assert every["hashes"] >= 3
    (found,) = disrupt.match(late, until=2)
    assert {one["item"] for one in found["matches"]} == {every["item"], still["item"]}


def test_an_animation_of_too_many_frames_says_so_to_who_registers_and_to_who_looks_up(
    disrupt: Shell, tmp_path: Path
) -> None:
    long = animation(tmp_path / "long.gif", *range(1000, 1270), side_px=64)
    refused = disrupt("submit", "--every-frame", "--json", long)
    assert refused.code == 3
    assert refused.json["rejected"][0]["reason"] == "TOO_MANY_FRAMES"
    said = disrupt("submit", "--every-frame", long).out
    assert "trop d'images différentes" in said
    looked_up = disrupt("match", "--json", long)
    assert looked_up.code == 0
    assert looked_up.lines[0]["frames_skipped"] == 14
    assert "14 frames, which were" in " ".join(disrupt("match", long).out.split())


def test_every_input_of_a_lookup_gets_its_line(disrupt: Shell, tmp_path: Path) -> None:
    files = [
        no_picture(tmp_path / "note.txt"),
        picture(tmp_path / "good.png", 140),
        plain(tmp_path / "plain.png"),
        tmp_path / "missing.png",
    ]
    for options in ([], ["--send-pictures"]):
        done = disrupt("match", "--json", *options, *files)
        assert done.code == 3
        assert [one["input"] for one in done.lines] == [str(file) for file in files]
        reasons = [one["error"] and one["error"]["reason"] for one in done.lines]
        assert reasons == ["INVALID_MEDIA", None, "LOW_QUALITY", "INVALID_MEDIA"]
        assert all(one["matches"] == [] for one in done.lines)
        assert done.lines[2]["quality"] < 50
        for one in done.lines:
            assert set(one) == {"input", "quality", "matches", "error"}
            assert one["error"] is None or set(one["error"]) == {"reason", "message"}


def test_hashes_that_are_none_are_named_and_the_others_looked_up(disrupt: Shell) -> None:
    texts = ["00" * 31 + "ff", "zz" * 32, "f" * 63, "ab" * 32]
    done = disrupt("match", "--json", "--hash", *texts)
    assert done.code == 3
    assert [one["input"] for one in done.lines] == texts
    assert [one["error"] and one["error"]["reason"] for one in done.lines] == [
        None,
        "INVALID_REQUEST",
        "INVALID_REQUEST",
        None,
    ]


def test_nothing_found_is_no_failure(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 150)
    done = disrupt("match", file)
    assert done.code == 0
    assert "no match" in done.out


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
    assert disrupt("status", case, "--pin-file", tmp_path / "none").code == 2
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
        assert process.wait(timeout=30) == 0
    finally:
        os.close(typist)
    text = shown.decode()
    assert opened.case_number in text
    assert opened.pin not in text


def test_what_a_victim_reads_is_french_first_with_english_beside_it(
    disrupt: Shell, tmp_path: Path
) -> None:
    bad, file = no_picture(tmp_path / "note.txt"), picture(tmp_path / "a.png", 170)
    done = disrupt("submit", file, bad, plain(tmp_path / "plain.png"))
    assert done.code == 3
    for french, english in (
        ("C'est fait.", "Done."),
        ("Numéro de dossier", "Case number"),
        ("Code PIN", "PIN: "),
        ("Nous ne pouvons pas retrouver le code PIN.", "We cannot recover the PIN."),
        ("Vos fichiers n'ont pas quitté cet appareil", "Your files have not left this device"),
        ("n'est pas une image", "is not a picture"),
        ("Essayez l'original", "Try the original"),
        ("Besoin d'en parler", "Want to talk"),
    ):
        flat = " ".join(done.out.replace("│", " ").split())
        assert french in flat, done.out
        assert english in flat, done.out
        assert flat.index(french) < flat.index(english)
    assert "3018" in done.out
    case = re.search(r"Case number: (\S+)", done.out)
    pin = re.search(r"PIN: ([0-9 ]+)", done.out)
    assert case
    assert pin
    shown = disrupt("status", case[1], pin=pin[1].strip())
    assert shown.code == 0
    assert shown.out.startswith("Numéro de dossier · Case number: ")
    gone = disrupt("withdraw", case[1], pin=pin[1].strip())
    assert gone.out.startswith("Le dossier est retiré")
    assert "The case is withdrawn" in gone.out


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
    disrupt: Shell, arguments: list[str]
) -> None:
    done = disrupt(*arguments, pin="12345678")
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
def test_a_mistyped_command_is_usage(disrupt: Shell, arguments: list[str]) -> None:
    assert disrupt(*arguments).code == 2


def test_an_unreachable_server_is_named_and_fails(disrupt: Shell, tmp_path: Path) -> None:
    files = [picture(tmp_path / f"{at}.png", at) for at in range(3)]
    done = disrupt("match", "--json", *files, server=NOBODY)
    assert done.code == 1
    assert NOBODY in done.err
    assert "is it running" in done.err
    assert [one["error"]["reason"] for one in done.lines] == ["UNAVAILABLE"] * 3
    done = disrupt("submit", files[0], server=NOBODY)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Le service ne répond pas")
    assert NOBODY in done.err


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
    none = disrupt("match", file, key="")
    assert none.code == 2
    assert "DISRUPT_KEY" in none.err
    assert "--key-file" in none.err
    assert disrupt("match", file, "--key-file", tmp_path / "none", key="").code == 2
    assert "clé d'accès" in disrupt("submit", file, key="").err


@pytest.mark.parametrize("command", ["match", "submit"])
def test_an_address_that_is_none_is_usage(disrupt: Shell, tmp_path: Path, command: str) -> None:
    file = picture(tmp_path / "a.png", 182)
    assert disrupt(command, file, server="unix:/tmp/socket").code == 2


def test_an_unknown_bank_or_too_large_a_distance_is_refused(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 183)
    for options in (["--bank", "nowhere"], ["--max-distance", "32"]):
        done = disrupt("match", *options, file)
        assert done.code == 1
        assert "options" in done.err


def test_names_cannot_write_on_the_terminal(disrupt: Shell, tmp_path: Path) -> None:
    evil = tmp_path / "\x1b[2J[bold red]x\u202egnp.png"
    shutil.copy(picture(tmp_path / "a.png", 190), evil)
    for command in ("match", "submit"):
        out = disrupt(command, evil).out
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "[bold red]x" in out
    (found,) = disrupt("match", "--json", evil).lines
    assert found["input"] == str(evil)


def test_a_file_name_that_is_no_text_is_no_obstacle(disrupt: Shell, tmp_path: Path) -> None:
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    shutil.copy(picture(tmp_path / "a.png", 191), strange)
    for command in ("match", "submit"):
        assert disrupt(command, strange).code == 0
    (found,) = disrupt("match", "--json", strange).lines
    assert found["input"] == strange


@pytest.mark.parametrize("command", ["submit", "status", "withdraw", "match", "serve", "keys"])
def test_help_has_an_example(disrupt: Shell, command: str) -> None:
    done = disrupt(command, "--help")
    assert done.code == 0
    assert f"disrupt {command} " in done.out.partition("xample")[2]


@pytest.mark.parametrize("command", ["disrupt", "disrupt-index"])
def test_the_list_of_commands_is_whole_in_80_columns(command: str) -> None:
    done = subprocess.run([BIN / command, "--help"], capture_output=True, text=True, check=True)
    assert "..." not in done.stdout.partition("Commands:")[2]
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", ["submit", "status", "withdraw"])
def test_help_for_victims_is_french_first_and_names_the_exit_codes(
    disrupt: Shell, command: str
) -> None:
    out = disrupt(command, "--help").out
    assert re.search("Enregistrer|Voir|Retirer", out)
    assert "Codes de sortie" in out


def test_completion_comes_with_the_shell(disrupt: Shell) -> None:
    done = disrupt("submit", key="", _DISRUPT_COMPLETE="bash_source")
    assert "complete" in done.out
    assert "_DISRUPT_COMPLETE" in disrupt("--help").out


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "disrupt", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("disrupt, version ")


def test_a_large_picture_is_refused_with_its_limit(disrupt: Shell, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.new("1", (8000, 7000)).save(large)
    (found,) = disrupt("match", "--json", large).lines
    assert found["error"]["reason"] == "INVALID_MEDIA"
    assert "50" in found["error"]["message"]


def test_videos_are_registered_and_found_with_the_time(disrupt: Shell, tmp_path: Path) -> None:
    frames, others = (list(footage(seed, seconds=seconds)) for seed, seconds in ((31, 4), (32, 8)))
    clip, whole = tmp_path / "clip.mp4", tmp_path / "whole.webm"
    broken, frames_file = tmp_path / "broken.mkv", tmp_path / "frames.vpdq"
    clip.write_bytes(encode(frames))
    whole.write_bytes(encode([*others, *frames], codec=Codec("webm", "libvpx")))
    broken.write_bytes(encode([*others, *others], codec=Codec("matroska"))[:-100_000])
    no_video = tmp_path / "no.mp4"
    no_video.write_bytes(clip.read_bytes()[:500])

    done = disrupt("submit", "--age", "adult", "--json", clip, broken, no_video)
    assert done.code == 3
    first, second = done.json["items"]
    assert (first["input"], "incomplete" in first) == (str(clip), False)
    assert (second["input"], second["incomplete"]) == (str(broken), True)
    assert [one["reason"] for one in done.json["rejected"]] == ["INVALID_VIDEO"]
    shown = disrupt("submit", "--age", "adult", broken, no_video)
    assert "le début seulement" in shown.out
    assert "Nous ne pouvons pas lire cette vidéo" in re.sub(r"[\s│]+", " ", shown.out)

    rows, _ = hash_video(io.BytesIO(whole.read_bytes()))
    frames_file.write_text(vpdq_text(rows))
    told = fingerprint_video(io.BytesIO(clip.read_bytes()))
    assert isinstance(told, VideoFingerprints)
    # what shows too little detail, as some pictures do at an edge, is of no segment
    begins_ms = 8000 + int(told.fingerprints["start_ms"][0])
    ends_ms = 8000 + int(told.fingerprints["end_ms"][-1])
    with MatchClient(disrupt.address, key=disrupt.match_key) as client:
        deadline_s = time.monotonic() + 10
        while not all(client.match_video(rows).matches for _ in range(8)):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
    for words in ((whole,), ("--send-pictures", whole), ("--vpdq", frames_file)):
        (found,) = disrupt("match", "--json", *words).lines
        (match,) = (one for one in found["matches"] if one["item"] == first["item"])
        ((start_ms, end_ms, *_),) = match["segments"]
        assert abs(start_ms - begins_ms) <= 1000
        assert abs(end_ms - ends_ms) <= 1000
        assert match["stored_share"] >= 900
    assert "at 0:0" in disrupt("match", whole).out

"""The main job, end to end, with the commands that people use: every line says what was expected and what came."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import skimage
import sklearn
from PIL import Image
from rich.console import Console
from rich.table import Table

from disrupt.client import MatchClient

BIN = Path(sys.executable).parent
SKIMAGE = Path(skimage.__file__).parent / "data"
SKLEARN = Path(sklearn.__file__).parent / "datasets" / "images"

KEPT_CASE = [
    *(
        SKIMAGE / name
        for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
    ),
    *(SKLEARN / name for name in ("china.jpg", "flower.jpg")),
]
WITHDRAWN_CASE = [SKIMAGE / name for name in ("camera.png", "motorcycle_left.png")]
UNRELATED = [
    SKIMAGE / name
    for name in (
        "hubble_deep_field.jpg",
        "coins.png",
        "moon.png",
        "brick.png",
        "gravel.png",
    )
]

READY_TIMEOUT_S = 60
WITHIN_S = 1.0
"""How long a registration or withdrawal may take to reach matching."""

console = Console(width=None if sys.stdout.isatty() else 110)


@dataclass
class Report:
    """The lines shown, and whether all of them came out as expected."""

    table: Table = field(
        default_factory=lambda: Table(title="Disrupt, end to end", title_justify="left")
    )
    differing: int = 0

    def __post_init__(self) -> None:
        """Name the columns."""
        for column in ("step", "what", "expected", "got", "bits apart"):
            self.table.add_column(
                column, justify="right" if column == "bits apart" else "left"
            )
        self.table.add_column("")

    def line(
        self, step: str, what: str, expected: str, got: str, distance: int | None = None
    ) -> None:
        """Add a line; it is right when expected and got are the same words."""
        right = expected == got
        self.differing += not right
        mark = "[green]ok[/]" if right else "[bold red]DIFFERS[/]"
        self.table.add_row(
            step, what, expected, got, "" if distance is None else str(distance), mark
        )


@dataclass
class Server:
    """The real server, as a process of its own."""

    data_dir: Path
    process: subprocess.Popen[str]
    address: str

    @classmethod
    def start(cls, data_dir: Path, listen: str = "127.0.0.1:0") -> Server:
        """Start it and wait for its ready line."""
        with (data_dir.parent / "server.log").open("a") as log:
            process = subprocess.Popen(
                [
                    BIN / "disrupt",
                    "serve",
                    "--data-dir",
                    data_dir,
                    "--listen",
                    listen,
                    "--workers",
                    "2",
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        watchdog = threading.Timer(READY_TIMEOUT_S, process.kill)
        watchdog.start()
        assert process.stdout is not None
        ready = process.stdout.readline()
        watchdog.cancel()
        if not ready.startswith("Disrupt is ready on "):
            sys.exit(
                f"The server did not start; its log is {data_dir.parent / 'server.log'}"
            )
        return cls(data_dir, process, ready.split()[-1])

    def kill(self) -> None:
        """As a power cut would: SIGKILL, no farewell."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Politely."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=READY_TIMEOUT_S)


def run(*command: str | Path, **env: str) -> str:
    """Run one of the project's commands and give its standard output; its failure ends the demo."""
    done = subprocess.run(
        [BIN / str(command[0]), *command[1:]],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        words = " ".join(str(word) for word in command)
        sys.exit(
            f"`{words}` failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def edited_copies(photo: Path, into: Path) -> Iterator[tuple[str, Path]]:
    """Copies as people re-upload them: (edit, file)."""
    with Image.open(photo) as opened:
        picture = opened.convert("RGB")

    def save(edit: str, copy: Image.Image, **options: Any) -> tuple[str, Path]:
        path = into / f"{photo.stem}-{edit.replace(' ', '-')}.jpg"
        copy.save(path, **options)
        return edit, path

    yield save(
        "resized",
        picture.resize((picture.width * 3 // 5, picture.height * 3 // 5)),
        quality=90,
    )
    yield save("JPEG q40", picture, quality=40)
    yield save("grey", picture.convert("L"), quality=85)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn by 90° to show
    yield save(
        "EXIF rotated",
        picture.transpose(Image.Transpose.ROTATE_90),
        quality=90,
        exif=exif,
    )


def look_up(
    server: Server, key: str, files: list[Path]
) -> list[tuple[str, int] | None]:
    """Nearest item and its distance for each file, or None, as `disrupt match --json` answers."""
    lines = run(
        "disrupt",
        "match",
        "--json",
        "--server",
        server.address,
        *files,
        DISRUPT_KEY=key,
    ).splitlines()
    answers = []
    for line in lines:
        answer = json.loads(line)
        if answer["error"]:
            sys.exit(f"{answer['input']}: {answer['error']}")
        nearest = answer["matches"][:1]
        answers.append(
            (nearest[0]["item"], nearest[0]["distance"]) if nearest else None
        )
    return answers


def ask(
    report: Report,
    step: str,
    server: Server,
    key: str,
    lookups: list[tuple[str, Path]],
    expected: list[str | None],
    names: dict[str, str],
) -> None:
    """Look files up and report each against the expected item."""
    answers = look_up(server, key, [path for _, path in lookups])
    for (what, _), want, got in zip(lookups, expected, answers, strict=True):
        report.line(
            step,
            what,
            names[want] if want else "no match",
            names.get(got[0], "another item") if got else "no match",
            got[1] if got else None,
        )


def submit(server: Server, key: str, photos: list[Path]) -> tuple[str, str, list[str]]:
    """Register photographs as one case: its number, PIN and item ids."""
    answer = json.loads(
        run(
            "disrupt",
            "submit",
            "--json",
            "--age",
            "adult",
            "--server",
            server.address,
            *photos,
            DISRUPT_KEY=key,
        )
    )
    if answer["rejected"]:
        sys.exit(f"rejected: {answer['rejected']}")
    return answer["case"], answer["pin"], [item["item"] for item in answer["items"]]


def rebuild_under_load(report: Report, server: Server, key: str, photo: Path) -> None:
    """Rebuild the index offline while lookups go on; the server takes the new snapshot up by itself."""
    stop = threading.Event()
    answers: list[bool] = []
    with MatchClient(server.address, key=key) as client:
        before = client.index_status().generation

        def keep_asking() -> None:
            while not stop.is_set():
                answers.append(bool(client.match_image(photo).matches))

        asking = threading.Thread(target=keep_asking)
        asking.start()
        run("disrupt-index", "rebuild", "--data-dir", server.data_dir)
        deadline = time.monotonic() + 10
        while (
            client.index_status().generation <= before and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        after = client.index_status().generation
        stop.set()
        asking.join()
    found = f"all of {len(answers)} lookups answered, all found"
    report.line(
        "rebuild",
        "generation taken up",
        f"newer than {before}",
        f"newer than {before}" if after > before else str(after),
    )
    report.line(
        "rebuild",
        "lookups meanwhile",
        found,
        found if answers and all(answers) else f"{answers.count(False)} lost",
    )
    verified = subprocess.run(
        [BIN / "disrupt-index", "verify", "--data-dir", server.data_dir],
        check=False,
        capture_output=True,
    )
    report.line(
        "rebuild",
        "disrupt-index verify",
        "index = registry",
        "index = registry" if not verified.returncode else "different",
    )


def withdraw(
    report: Report,
    server: Server,
    keys: tuple[str, str],
    case: str,
    pin: str,
    photo: Path,
) -> None:
    """Withdraw a case and wait until it stops matching."""
    register_key, match_key = keys
    with MatchClient(server.address, key=match_key) as client:
        run(
            "disrupt",
            "withdraw",
            case,
            "--server",
            server.address,
            DISRUPT_KEY=register_key,
            DISRUPT_PIN=pin,
        )
        started = time.monotonic()
        while client.match_image(photo).matches and time.monotonic() < started + 10:
            time.sleep(0.02)
        took_s = time.monotonic() - started
    words = f"stops matching within {WITHIN_S:g} s"
    report.line(
        "withdraw",
        f"case {case}",
        words,
        words if took_s <= WITHIN_S else f"after {took_s:.1f} s",
    )


def demo(work: Path, *, serve: bool) -> int:
    """Do all of it in one folder; the exit code."""
    data_dir, copies = work / "data", work / "copies"
    copies.mkdir()
    report = Report()
    started = time.monotonic()
    server = Server.start(data_dir)
    try:
        secrets = {
            name: json.loads(
                run(
                    "disrupt",
                    "keys",
                    "create",
                    name,
                    "--right",
                    right,
                    "--json",
                    "--data-dir",
                    data_dir,
                )
            )["secret"]
            for name, right in (("helpline", "register"), ("platform", "match"))
        }
        platform, helpline = secrets["platform"], secrets["helpline"]

        kept, _, kept_items = submit(server, helpline, KEPT_CASE)
        gone, gone_pin, gone_items = submit(server, helpline, WITHDRAWN_CASE)
        names = dict(
            zip(
                kept_items + gone_items,
                (p.stem for p in KEPT_CASE + WITHDRAWN_CASE),
                strict=True,
            )
        )
        for case, photos, items in (
            (kept, KEPT_CASE, kept_items),
            (gone, WITHDRAWN_CASE, gone_items),
        ):
            registered = f"{len(items)} registered by hash"
            report.line(
                "register",
                f"case {case}",
                f"{len(photos)} registered by hash",
                registered,
            )

        def edits_of(photos: list[Path]) -> list[tuple[str, Path]]:
            return [
                (f"{photo.stem}, {edit}", copy)
                for photo in photos
                for edit, copy in edited_copies(photo, copies)
            ]

        per_photo = len(edits_of(WITHDRAWN_CASE[:1]))
        kept_copies, gone_copies = edits_of(KEPT_CASE), edits_of(WITHDRAWN_CASE)
        unrelated = [(f"{photo.stem}, unrelated", photo) for photo in UNRELATED]
        kept_answers: list[str | None] = [
            item for item in kept_items for _ in range(per_photo)
        ]
        gone_answers: list[str | None] = [
            item for item in gone_items for _ in range(per_photo)
        ]
        nothing: list[str | None] = [None] * len(gone_copies + unrelated)

        ask(
            report, "look up", server, platform, kept_copies + gone_copies + unrelated,
            kept_answers + gone_answers + nothing[: len(unrelated)], names,
        )  # fmt: skip
        withdraw(
            report, server, (helpline, platform), gone, gone_pin, gone_copies[0][1]
        )
        ask(
            report,
            "after withdrawal",
            server,
            platform,
            gone_copies,
            nothing[: len(gone_copies)],
            names,
        )

        server.kill()
        server = Server.start(data_dir)
        again = [*kept_copies[::per_photo], *gone_copies[::per_photo], *unrelated]
        expected = [*kept_items, *nothing[: len(gone_items) + len(unrelated)]]
        ask(report, "after SIGKILL", server, platform, again, expected, names)

        rebuild_under_load(report, server, platform, kept_copies[0][1])
        ask(report, "after rebuild", server, platform, again, expected, names)

        console.print(report.table)
        took_s = time.monotonic() - started
        if report.differing:
            console.print(
                f"[bold red]{report.differing} of {report.table.row_count} lines differ.[/]"
            )
            return 1
        console.print(
            f"All {report.table.row_count} lines as expected, in {took_s:.1f} s."
        )
        if serve:
            leave_running(server, platform, helpline, kept_copies[1][1])
            return 0
    finally:
        if not serve or report.differing or sys.exc_info()[0]:
            with contextlib.suppress(ProcessLookupError):
                server.stop()
    return 0


def leave_running(server: Server, platform: str, helpline: str, copy: Path) -> None:
    """Say how to go on."""
    print(f"""
The server goes on at {server.address}; its data is in {server.data_dir}.
A platform's key: {platform}
A helpline's key: {helpline}

Try, after `source {BIN / "activate"}`:
  DISRUPT_SERVER={server.address} DISRUPT_KEY={platform} disrupt match {copy}
  DISRUPT_SERVER={server.address} DISRUPT_KEY={helpline} disrupt submit --age adult {UNRELATED[0]}
  disrupt-index stats --data-dir {server.data_dir}

Stop it with: kill {server.process.pid}""")


def main() -> int:
    """Parse the arguments and run in a folder of its own, removed unless the server goes on in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--serve",
        action="store_true",
        help="leave the server running, and say what to try",
    )
    serve = parser.parse_args().serve
    work = Path(tempfile.mkdtemp(prefix="disrupt-demo-"))
    code = 1
    try:
        code = demo(work, serve=serve)
    finally:
        if not (serve and code == 0):
            shutil.rmtree(work, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())

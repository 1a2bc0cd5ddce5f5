"""Show the main job, end to end, with the commands that people use.

Every line of the table shows what was expected and what came.
"""

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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import skimage
import sklearn
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.recall.harder_edits import cut_side, negative, photographed_screen
from disrupt.client import Effort, MatchClient
from rig.media.edits import Scene
from rig.media.layouts import screenshot
from rig.media.videos import encode, footage
from rig.servers.deployment import BIN, CommandFailedError, Deployment, run
from scripts.demo_dispute import DISPUTED, Dispute

ROOT = Path(__file__).parents[1]
SKIMAGE = Path(skimage.__file__).parent / "data"
SKLEARN = Path(sklearn.__file__).parent / "datasets" / "images"

KEPT = [
    *(SKIMAGE / name for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")),
    *(SKLEARN / name for name in ("china.jpg", "flower.jpg")),
]
WITHDRAWN = [SKIMAGE / name for name in ("camera.png", "coins.png")]
UNRELATED = [
    SKIMAGE / name
    for name in ("retina.jpg", "motorcycle_left.png", "moon.png", "brick.png", "gravel.png")
]

REACHES_MATCHING_WITHIN_S = 1.0
GIVE_UP_AFTER_S = 10.0
NOTHING = "no match"

CLIP_S, TOTAL_S = (8, 14), 22
"""When a compilation shows the registered clip, and how long the compilation lasts."""
SEGMENT_WITHIN_S = 1.5


def _table() -> Table:
    """Make a table that fits in 80 columns."""
    return Table(title="Disrupt, end to end", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)


@dataclass
class Report:
    """The lines shown, and the number of those that differ."""

    table: Table = field(default_factory=_table)
    differing: int = 0

    def __post_init__(self) -> None:
        for column in ("step", "what", "expected", "got"):
            self.table.add_column(column)
        self.table.add_column("bits", justify="right")
        self.table.add_column("")

    def line(self, step: str, what: str, expected: str, got: str, distance: str = "") -> None:
        """Add a line; it is right when expected and got are the same words."""
        right = expected == got
        self.differing += not right
        mark = "[green]ok[/]" if right else "[bold red]DIFFERS[/]"
        self.table.add_row(step, what, expected, got, distance, mark)

    def end(self, began_s: float) -> int:
        """Print all lines, of a demo that began then; return the exit code."""
        Console(width=None if sys.stdout.isatty() else 120).print(self.table)
        if self.differing:
            print(f"{self.differing} of {self.table.row_count} lines differ.")
            return 1
        took_s = time.monotonic() - began_s
        print(f"All {self.table.row_count} lines came out as expected, in {took_s:.1f} s.")
        return 0


@dataclass(frozen=True)
class Case:
    """One registered case: the number and PIN of its person, and photographs by item id."""

    number: str
    pin: str
    photos: dict[str, Path]


@dataclass(frozen=True)
class Lookup:
    """One lookup: a file, and the photograph that it should match."""

    what: str
    file: Path
    expected: str = NOTHING


def edited_copies(photos: Iterable[Path], into: Path) -> Iterator[Lookup]:
    """Yield edited copies, as people upload them."""
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: the camera was held on its side

    for photo in photos:
        with Image.open(photo) as opened:
            picture = opened.convert("RGB")
        size = (picture.width * 3 // 5, picture.height * 3 // 5)
        on_its_side = picture.transpose(Image.Transpose.ROTATE_90)
        for edit, copy, quality, exif in (
            ("resized", picture.resize(size), 90, Image.Exif()),
            ("JPEG q40", picture, 40, Image.Exif()),
            ("grey", picture.convert("L"), 85, Image.Exif()),
            ("EXIF rotated", on_its_side, 90, turned),
        ):
            path = into / f"{photo.stem}-{edit.replace(' ', '-')}.jpg"
            copy.save(path, quality=quality, exif=exif)
            yield Lookup(f"{photo.stem}, {edit}", path, photo.stem)


def harder_copies(photos: Iterable[Path], into: Path) -> Iterator[Lookup]:
    """Yield a photographed screen, a negative and a lopsided crop, each of one photograph."""
    edits = {
        "photographed screen": photographed_screen,
        "negative": negative,
        "one side cut": cut_side,
    }
    for photo, (what, edit) in zip(photos, edits.items(), strict=False):
        with Image.open(photo) as opened:
            picture = np.asarray(opened.convert("RGB"))
        pixels, _ = edit(Scene(picture, np.random.default_rng(1), lambda picture=picture: picture))
        path = into / f"{photo.stem}-{what.replace(' ', '-')}.jpg"
        Image.fromarray(pixels).save(path, quality=85)
        yield Lookup(f"{photo.stem}, {what}", path, photo.stem)


def submit(server: Deployment, key: str, photos: list[Path]) -> Case:
    """Register photographs as one case: hashed by the command, which sends only hashes."""
    options = ("--json", "--age", "adult", "--server", server.address)
    answer = json.loads(run("disrupt", "submit", *options, *photos, DISRUPT_KEY=key))
    by_name = {str(photo): photo for photo in photos}
    return Case(
        answer["case"],
        answer["pin"],
        {item["item"]: by_name[item["input"]] for item in answer["items"]},
    )


@dataclass(frozen=True)
class Platform:
    """A platform with a key of its own, which knows the cases only by their item ids."""

    server: Deployment
    key: str
    names: dict[str, str]

    def ask(self, report: Report, step: str, lookups: Iterable[Lookup]) -> None:
        """Look files up with `disrupt match` and report each answer."""
        asked = list(lookups)
        files = [lookup.file for lookup in asked]
        options = ("--json", "--server", self.server.address)
        lines = run("disrupt", "match", *options, *files, DISRUPT_KEY=self.key).splitlines()
        for lookup, line in zip(asked, lines, strict=True):
            answer = json.loads(line)
            nearest = answer["matches"][0] if answer["matches"] else None
            got = self.names.get(nearest["item"], "unknown item") if nearest else NOTHING
            if answer["error"]:
                got = answer["error"]["message"]
            distance = str(nearest["distance"]) if nearest else ""
            report.line(step, lookup.what, lookup.expected, got, distance)

    def client(self) -> MatchClient:
        """Make a client of the Python SDK for the platform."""
        return MatchClient(self.server.address, key=self.key)


def find_screenshot(report: Report, platform: Platform, photo: Path, into: Path) -> None:
    """Find a photograph that was cropped, mirrored, shown on a phone and photographed there."""
    with Image.open(photo) as opened:
        picture = np.asarray(opened.convert("RGB"))
    height, width = picture.shape[:2]
    cropped = picture[height // 12 : height - height // 9, width // 10 : width - width // 14]
    mirrored = np.ascontiguousarray(cropped[:, ::-1])
    path = into / "screenshot.jpg"
    shown = screenshot(mirrored, np.random.default_rng(2), layout="chat", dark=True)
    Image.fromarray(shown).save(path, quality=80)
    options = ("--json", "--server", platform.server.address)
    answer = json.loads(run("disrupt", "match", *options, path, DISRUPT_KEY=platform.key))
    got, how, versions, distance = NOTHING, NOTHING, "", ""
    if answer["matches"]:
        nearest = answer["matches"][0]
        query, stored = nearest["query_transform"], nearest["stored_transform"]
        got = platform.names.get(nearest["item"], "unknown item")
        distance = str(nearest["distance"])
        how = "mirror" if "mirror" in query else query
        versions = f": {query} / {stored}"
    what = f"{photo.stem}, cropped, mirrored, screenshot"
    report.line("look up", what, photo.stem, got, distance)
    report.line("look up", f"how it was found{versions}", "mirror", how)


def find_clip(report: Report, server: Deployment, key: str, platform_key: str, into: Path) -> None:
    """Register a video, and find it, and when it is seen, mirrored inside a longer one."""
    clip, compilation = into / "clip.mp4", into / "compilation.mp4"
    shown, before, after = (
        list(footage(seed, seconds=seconds))
        for seed, seconds in enumerate((CLIP_S[1] - CLIP_S[0], CLIP_S[0], TOTAL_S - CLIP_S[1]))
    )
    clip.write_bytes(encode(shown))
    compilation.write_bytes(
        encode([*before, *(np.ascontiguousarray(frame[:, ::-1]) for frame in shown), *after])
    )
    registered = submit(server, key, [clip])
    report.line(
        "register", f"case {registered.number}", "1 video", f"{len(registered.photos)} video"
    )
    options = ("--json", "--server", server.address)
    answer = json.loads(run("disrupt", "match", *options, compilation, DISRUPT_KEY=platform_key))
    expected = f"seen at {CLIP_S[0]}-{CLIP_S[1]} s"
    matches = [match for match in answer["matches"] if match["item"] in registered.photos]
    what, got, distance = "mirrored clip in a compilation", NOTHING, ""
    if matches:
        distance = str(matches[0]["distance"])
        seen_s = [[ms / 1000 for ms in segment[:2]] for segment in matches[0]["segments"]]
        seen = " and ".join(f"{start:.1f}-{end:.1f} s" for start, end in seen_s)
        what += f", segment {seen}"
        near = len(seen_s) == 1 and all(
            abs(got_s - expected_s) <= SEGMENT_WITHIN_S
            for got_s, expected_s in zip(seen_s[0], CLIP_S, strict=True)
        )
        got = expected if near else f"seen at {seen}"
    report.line("look up", what, expected, got, distance)


def wait_until(client: MatchClient, file: Path, *, found: bool) -> float:
    """Wait until a picture is found, or no longer; return how long that took, in s."""
    started = time.monotonic()
    while bool(client.match_image(file, effort=Effort.FAST).matches) != found:
        if time.monotonic() > started + GIVE_UP_AFTER_S:
            break
        time.sleep(0.02)
    return time.monotonic() - started


def add_and_withdraw(report: Report, platform: Platform, key: str, case: Case, photo: Path) -> None:
    """Add a photograph to a case, find it, and withdraw it by its number in the case."""
    options = ("--json", "--server", platform.server.address)
    secrets = {"DISRUPT_KEY": key, "DISRUPT_PIN": case.pin}
    into = ("--age", "adult", "--case", case.number)
    added = json.loads(run("disrupt", "submit", *options, *into, photo, **secrets))
    (item,) = added["items"]
    expected = f"number {len(case.photos) + 1}"
    report.line("add", f"{photo.stem}, case {case.number}", expected, f"number {item['number']}")
    with platform.client() as client:
        wait_until(client, photo, found=True)
        named = replace(platform, names={**platform.names, item["item"]: photo.stem})
        named.ask(report, "look up", [Lookup(photo.stem, photo, photo.stem)])
        number = ("--yes", "--item", str(item["number"]))
        done = json.loads(run("disrupt", "withdraw", *options, *number, case.number, **secrets))
        got = ", ".join(f"number {gone['number']}" for gone in done["withdrawn"])
        report.line("withdraw", f"{photo.stem}, by its number", expected, got)
        wait_until(client, photo, found=False)
    platform.ask(report, "withdrawn", [Lookup(photo.stem, photo)])


def dispute(report: Report, server: Deployment, key: str, into: Path) -> None:
    """Dispute a copy by two organisations: it alone falls silent, until staff widen the picture."""
    (item,) = submit(server, key, [DISPUTED]).photos
    disputed = Dispute.between(server, into)
    got = disputed.wait(matched=True)
    report.line("dispute", f"{DISPUTED.stem}, cropped", "match", got, disputed.bits())
    disputed.report()
    report.line("dispute", "false positive of two", NOTHING, disputed.wait(matched=False))
    itself = disputed.matches(disputed.platforms[0], DISPUTED)
    got = "match" if [match["item"] for match in itself] == [item] else NOTHING
    report.line("dispute", f"{DISPUTED.stem} itself", "match", got)
    listed = [row["item"] for row in disputed.review("disputes")]
    got = "the item" if listed == [item] else f"{len(listed)} items"
    report.line("review", "what is disputed", "the item", got)
    disputed.review("widen", item)
    report.line("review", "widened by staff", "match", disputed.wait(matched=True))


def withdraw(report: Report, platform: Platform, key: str, case: Case, lookup: Lookup) -> None:
    """Withdraw a case and wait until it stops matching."""
    server = platform.server.address
    with platform.client() as client:
        run(
            "disrupt",
            *("withdraw", "--yes", case.number, "--server", server),
            DISRUPT_KEY=key,
            DISRUPT_PIN=case.pin,
        )
        took_s = wait_until(client, lookup.file, found=False)
    expected = f"gone in {REACHES_MATCHING_WITHIN_S:g} s"
    got = expected if took_s <= REACHES_MATCHING_WITHIN_S else f"took {took_s:.1f} s"
    report.line("withdraw", f"case {case.number}", expected, got)


def rebuild(report: Report, platform: Platform, lookup: Lookup) -> None:
    """Rebuild the index offline while lookups go on; the server takes the new snapshot up."""
    stop = threading.Event()
    answers: list[bool] = []

    def keep_asking(client: MatchClient) -> None:
        while not stop.is_set():
            answers.append(bool(client.match_image(lookup.file, hash_locally=False).matches))

    data_dir = platform.server.data_dir
    with platform.client() as client:
        before = client.index_status().generation
        asking = threading.Thread(target=keep_asking, args=[client])
        asking.start()
        try:
            run("disrupt-index", "rebuild", "--data-dir", data_dir)
            deadline = time.monotonic() + GIVE_UP_AFTER_S
            while client.index_status().generation == before and time.monotonic() < deadline:
                time.sleep(0.05)
            after = client.index_status().generation
        finally:
            stop.set()
            asking.join()
    report.line("rebuild", "generation", f"number {before + 1}", f"number {after}")
    every = "all found"
    got = every if answers and all(answers) else f"{answers.count(False)} missed"
    report.line("rebuild", f"{len(answers)} lookups meanwhile", every, got)
    equal = "equal"
    try:
        run("disrupt-index", "verify", "--data-dir", data_dir)
        got = equal
    except CommandFailedError as failure:
        got = str(failure)
    report.line("rebuild", "index and registry", equal, got)


@contextlib.contextmanager
def page(server: Deployment) -> Iterator[str]:
    """Serve the page for people affected on a port of its own; yield its address."""
    subprocess.run([ROOT / "scripts" / "page-libraries"], check=True)
    options = ("--listen", "127.0.0.1:0", "--operator", "Démonstration / demonstration only")
    process = subprocess.Popen(
        [BIN / "disrupt", "web", "--server", server.address, *options],
        env=os.environ | {"DISRUPT_KEY": server.make_key("page", "register")},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        ready = process.stdout.readline() if process.stdout else ""
        if not ready:
            raise CommandFailedError("`disrupt web` did not start: its words are above.")
        yield ready.split()[-1]
    finally:
        process.terminate()
        process.wait()


def serve_on(platform: Platform, helpline_key: str, copy: Path) -> None:
    """Serve the page too, and say how to go on, until Ctrl-C or SIGTERM."""
    server, data_dir = platform.server.address, platform.server.data_dir
    if shutil.which("npm"):
        shown = page(platform.server)
    else:
        shown = contextlib.nullcontext("not served: it needs npm, see scripts/system-packages")
    with shown as address, contextlib.suppress(KeyboardInterrupt):
        print(
            f"""
The page for people affected: {address}

The server goes on at {server}; its data is in {data_dir}.
A platform's key: {platform.key}
A helpline's key: {helpline_key}

Try, after `source {BIN / "activate"}`:
  DISRUPT_SERVER={server} DISRUPT_KEY={platform.key} disrupt match {copy}
  DISRUPT_SERVER={server} DISRUPT_KEY={helpline_key} disrupt submit --age adult {UNRELATED[0]}
  disrupt-index stats --data-dir {data_dir}

Ctrl-C ends both, and deletes the data.""",
            flush=True,
        )
        while True:
            signal.pause()


def demo(work: Path, *, serve: bool) -> int:
    """Do all of it in one folder; return the exit code."""
    with contextlib.ExitStack() as stack:
        return _demo(work, stack, serve=serve)


def _demo(work: Path, stack: contextlib.ExitStack, *, serve: bool) -> int:
    """Do all of it; ``stack`` stops the server at the end."""
    started = time.monotonic()
    report = Report()
    copies = work / "copies"
    copies.mkdir()

    server = Deployment.start(work / "data")
    stack.callback(server.stop)
    helpline_key = server.make_key("helpline", "register")
    platform_key = server.make_key("platform", "match")

    kept, gone = (submit(server, helpline_key, photos) for photos in (KEPT, WITHDRAWN))
    for case, photos in ((kept, KEPT), (gone, WITHDRAWN)):
        expected, got = (f"{len(some)} pictures" for some in (photos, case.photos))
        report.line("register", f"case {case.number}", expected, got)
    names = {item: photo.stem for item, photo in (kept.photos | gone.photos).items()}
    platform = Platform(server, platform_key, names)

    kept_copies = list(edited_copies(KEPT, copies))
    gone_copies = list(edited_copies(WITHDRAWN, copies))
    unrelated = [Lookup(photo.stem, photo) for photo in UNRELATED]
    no_longer = [Lookup(lookup.what, lookup.file) for lookup in gone_copies]
    again = [*kept_copies[::4], *no_longer[::4], *unrelated]
    harder = harder_copies(KEPT, copies)

    platform.ask(report, "look up", [*kept_copies, *harder, *gone_copies, *unrelated])
    find_screenshot(report, platform, KEPT[0], copies)
    find_clip(report, server, helpline_key, platform_key, copies)
    add_and_withdraw(report, platform, helpline_key, kept, UNRELATED[0])
    dispute(report, server, helpline_key, copies)
    withdraw(report, platform, helpline_key, gone, gone_copies[0])
    platform.ask(report, "withdrawn", no_longer)

    server.kill()
    server = Deployment.start(server.data_dir)
    stack.callback(server.stop)
    platform = Platform(server, platform_key, names)
    platform.ask(report, "after SIGKILL", again)
    rebuild(report, platform, kept_copies[0])
    platform.ask(report, "after rebuild", again)

    code = report.end(started)
    if serve and not code:
        serve_on(platform, helpline_key, kept_copies[1].file)
    return code


def in_folder(demo: Callable[[Path], int]) -> int:
    """Run a demo in a folder of its own, removed at the end; return the exit code.

    SIGTERM ends it as Ctrl-C does.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    work = Path(tempfile.mkdtemp(prefix="disrupt-demo-"))
    try:
        return demo(work)
    except CommandFailedError as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> int:
    """Run in a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--serve", action="store_true", help="then serve on, the page too, until Ctrl-C"
    )
    return in_folder(partial(demo, serve=parser.parse_args().serve))


if __name__ == "__main__":
    sys.exit(main())

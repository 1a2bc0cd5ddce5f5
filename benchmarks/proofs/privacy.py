"""Prove that only hashes are stored: no file, no log and no answer has a part of a picture.

The real server and the commands of victims and platforms run under strace while pictures and a
video are registered and looked up, hashed on the device and on the server. Every file that any of
their processes opens for writing must be a known one. Then all that they wrote to files, logs and
sockets, and all that lies in the data directory, is searched for every run of 16 bytes of the
files, of their decoded pixels (RGB and grey; some frames of the video), and of the hex and base64
of these. Runs of one pixel value are left out. Exit code 0 if none is found.

    ./scripts/bench privacy --json -
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
import numpy as np
from PIL import Image

from benchmarks.harness import strace
from benchmarks.harness.deployment import (
    BIN,
    FEW_DECODERS,
    WITH_BYTECODE,
    CommandFailedError,
    Deployment,
    run,
)
from benchmarks.harness.strace import Call, TraceError
from benchmarks.harness.videos import Frame, decode, encode
from benchmarks.harness.windows import Searched, Secret, in_all_forms
from benchmarks.sabotages import broken_by
from disrupt.client import MatchClient
from disrupt.client.connection import connect
from disrupt.core.cases import AgeBand
from disrupt.core.media import LowQuality
from disrupt.hashing import fingerprint_image, hash_image
from disrupt.hashing.videos.frames import fingerprint_video, hash_video
from disrupt.submission import requests
from disrupt.v1 import registration_pb2
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub

SABOTAGES = ("spooled-upload", "spooled-video", "logged-upload", "leaked-window")
FORMATS = ("jpeg", "png", "webp")
_FRAMES = 6
_SECRET_FRAMES = 2

_WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendmsg", "sendto", "sendmmsg")
_OPENS = ("open", "openat", "openat2", "creat")
_NAMES = ("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat")
_UNSEEN = ("copy_file_range", "sendfile", "splice", "vmsplice", "tee", "process_vm_writev")
"""Calls that write, and that this check does not read: there must be none."""

_FOR_WRITING = re.compile(r"\bO_(?:WRONLY|RDWR|CREAT|TMPFILE)\b")

_KNOWN = tuple(
    re.compile(pattern)
    for pattern in (
        r"DATA/lock",
        r"DATA/secrets\.json(\.new)?",
        r"DATA/registry\.db(-wal|-shm|-journal)?",
        r"DATA/registry\.(head|identity)(\.new)?",
        r"DATA/registry\.reserve",
        r"DATA/removals\.journal(\.new)?",
        r"DATA/index/.*",
        r"WORK/server\.log",
        r"/dev/null",
        r".*\.cpython-\d+\.pyc(\.\d+)?",  # Python's own; searched like all else that is written
    )
)
_IN_MEMORY = re.compile(r"/memfd:|pipe:\[|anon_inode:")
_PAIR = re.compile(r"UNIX-STREAM:\[(\d+)->(\d+)(,.*)?\]")
"""A pair without a path at either end leads from a worker to a process that hashes pictures."""


@dataclass
class Report:
    """Counts of searched data; ``leaks`` name a secret and the data that has a part of it."""

    pictures: int = 0
    written_files: list[str] = field(default_factory=list)
    unknown_files: list[str] = field(default_factory=list)
    searched_bytes: int = 0
    windows: int = 0
    leaks: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    """Hashes that should have been found and were not, so the search saw too little."""

    @property
    def failed(self) -> bool:
        """True if the run broke a promise."""
        return bool(self.unknown_files or self.leaks or self.unseen)


def privacy(
    work: Path, *, seed: int, sabotage: str | None, formats: Sequence[str] = FORMATS
) -> Report:
    """Run the whole scenario, with pictures of some formats and a video, in an empty directory."""
    work = work.resolve()
    (work / "pictures").mkdir()
    pictures, other_pictures = (
        [
            *(
                _picture(work / "pictures" / f"{name}.{format_}", 10 * seed + at)
                for format_ in formats
            ),
            _video(work / "pictures" / f"{name}.mp4", 10 * seed + at),
        ]
        for at, name in enumerate(("picture", "other"))
    )
    server = Deployment.start(
        work / "data",
        workers=1,
        settings=f"logged_calls_share = 1\n{FEW_DECODERS}",
        wrapper=(*WITH_BYTECODE, *_traced(work / "server.trace"), *broken_by(sabotage)),
    )
    try:
        _register_and_look_up(server, work, pictures)
        with strace.written_out(server.process.pid):
            server.stop()
    finally:
        with suppress(ProcessLookupError):
            server.kill()
    report = Report(pictures=len(pictures))
    written: dict[str, bytes] = {}
    for trace in sorted(work.glob("*.trace")):
        calls = strace.read(trace)
        _note_files(report, calls, work)
        written |= {f"{trace.stem} wrote {name}": data for name, data in _written(calls).items()}
    written |= _on_disk(work)
    _search(report, Searched(written), pictures, other_pictures)
    return report


def _picture(file: Path, seed: int) -> Path:
    Image.fromarray(_noisy(np.random.default_rng(seed))).save(file, quality=90)
    return file


def _video(file: Path, seed: int) -> Path:
    chance = np.random.default_rng(seed)
    file.write_bytes(encode([_noisy(chance) for _ in range(_FRAMES)], fps=2))
    return file


def _noisy(chance: np.random.Generator) -> Frame:
    """Draw pixels with noise, so that no two runs of their bytes are alike."""
    coarse = Image.fromarray(chance.integers(0, 256, (8, 10, 3), np.uint8))
    smooth = np.asarray(coarse.resize((250, 190), Image.Resampling.BICUBIC), np.int16)
    noisy: Frame = np.clip(smooth + chance.integers(-9, 10, smooth.shape), 0, 255).astype(np.uint8)
    return noisy


def _traced(trace: Path) -> tuple[str, ...]:
    return strace.tracing(trace, *(f"?{name}" for name in (*_WRITES, *_OPENS, *_NAMES, *_UNSEEN)))


def _register_and_look_up(server: Deployment, work: Path, pictures: list[Path]) -> None:
    keys = {right: server.make_key(right, right) for right in ("register", "match", "staff")}
    _command(work, server, "submit", keys["register"], *pictures)
    _command(work, server, "match", keys["match"], *pictures)
    with MatchClient(server.address, key=keys["match"]) as client:
        for picture in pictures:
            if _is_video(picture):
                client.match_video(picture, hash_locally=False)
            else:
                client.match_image(picture, hash_locally=False)
    connection = connect(server.address, keys["staff"])
    with connection.open() as channel:
        stub = RegistrationServiceStub(channel)
        for picture in pictures:
            context = registration_pb2.RegistrationContext(
                request_id=secrets.token_bytes(16),
                access=requests.access("", "12345678"),
                age_band=AgeBand.ADULT.value,  # type: ignore[arg-type]  # the numbers are the same
            )
            data = picture.read_bytes()
            if _is_video(picture):
                parts = (
                    registration_pb2.RegisterVideoRequest(context=context),
                    registration_pb2.RegisterVideoRequest(chunk=data),
                )
                stub.RegisterVideo(iter(parts), metadata=connection.metadata, timeout=30)
            else:
                request = registration_pb2.RegisterImageRequest(context=context, image=data)
                stub.RegisterImage(request, metadata=connection.metadata, timeout=30)
    run("disrupt-index", "rebuild", "--data-dir", server.data_dir)


def _command(work: Path, server: Deployment, name: str, key: str, *pictures: Path) -> None:
    """Run a command of a victim or a platform, as they would type it."""
    trace, said = work / f"{name}.trace", work / f"{name}.log"
    words: list[str | Path] = [
        *_traced(trace),
        BIN / "disrupt",
        name,
        "--server",
        server.address,
        *pictures,
    ]
    with said.open("wb") as output:
        process = subprocess.Popen(
            words, stdout=output, stderr=output, env=os.environ | {"DISRUPT_KEY": key}
        )
        with strace.written_out(process.pid):
            code = process.wait(timeout=60)
    if code:
        raise CommandFailedError(f"`disrupt {name}` failed with {code}:\n{said.read_text()}")


def _note_files(report: Report, calls: Iterable[Call], work: Path) -> None:
    """Note the files that were opened for writing, or renamed."""
    for call in calls:
        if call.name in _UNSEEN:
            raise TraceError(f"a process used {call.name}")
        if call.result is None or call.result < 0:
            continue
        paths: list[bytes] = []
        if call.name == "creat" or (call.name in _OPENS and _FOR_WRITING.search(call.arguments)):
            paths = call.strings[:1]
        elif call.name in _NAMES:
            paths = call.strings[-1:]
        for path in paths:
            name = str(Path(call.target or "/") / path.decode("utf-8", "replace"))
            name = name.replace(str(work / "data"), "DATA").replace(str(work), "WORK")
            if name not in report.written_files:
                report.written_files.append(name)
                if not any(known.fullmatch(name) for known in _KNOWN):
                    report.unknown_files.append(name)


def _written(calls: Sequence[Call]) -> dict[str, bytes]:
    """Return what each thread wrote to each file and socket, one write after another.

    Memory, and sockets to a traced process that hashes pictures, are left out.
    """
    pairs = {call.target: ends for call in calls if (ends := _PAIR.fullmatch(call.target))}
    with_path = {end for pair in pairs.values() if pair[3] for end in pair.group(1, 2)}
    streams: dict[str, list[bytes]] = defaultdict(list)
    for call in calls:
        pair = pairs.get(call.target)
        within = _IN_MEMORY.match(call.target) or (pair and pair[1] not in with_path)
        if call.name in _WRITES and not within:
            streams[f"{call.target} by {call.thread}"].append(call.data)
    return {name: b"".join(parts) for name, parts in streams.items()}


def _on_disk(work: Path) -> dict[str, bytes]:
    """Return every file that is left, except the pictures and traces."""
    return {
        str(path.relative_to(work)): path.read_bytes()
        for path in sorted(work.rglob("*"))
        if path.is_file() and path.suffix != ".trace" and path.parent.name != "pictures"
    }


def _search(
    report: Report, searched: Searched, pictures: Sequence[Path], other_pictures: Sequence[Path]
) -> None:
    report.searched_bytes = searched.size_bytes
    for picture, other_picture in zip(pictures, other_pictures, strict=True):
        for (what, data, pixel_bytes), (_, common, _) in zip(
            _secrets(picture), _secrets(other_picture), strict=True
        ):
            for secret in in_all_forms(f"{what} of {picture.name}", data, common, pixel_bytes):
                report.windows += secret.windows
                report.leaks += [
                    f"{secret.name}: {place}" for place in sorted(searched.leaks(secret))
                ]
        _see_hashes(report, searched, picture)


def _secrets(picture: Path) -> Iterator[tuple[str, bytes, int]]:
    """Yield the file and its decoded pixels, with the bytes of one pixel."""
    yield "file", picture.read_bytes(), 1
    if _is_video(picture):
        frames = np.stack(list(decode(picture.read_bytes()))[:_SECRET_FRAMES])
        yield "pixels", frames.tobytes(), 3
        yield "grey", frames[..., 1].tobytes(), 1
        return
    with Image.open(picture) as opened:
        yield "pixels", opened.convert("RGB").tobytes(), 3
        yield "grey", opened.convert("L").tobytes(), 1


def _see_hashes(report: Report, searched: Searched, picture: Path) -> None:
    """Check that stored and sent hashes are found, or finding nothing would prove nothing."""
    stored, asked = _hashes(picture)
    for value, places in (
        (stored, ("data/registry.db", "data/index/", "submit wrote TCP")),
        (asked, ("match wrote TCP",)),
    ):
        names = searched.leaks(Secret("hash", value, 1))
        report.unseen += [
            f"hash of {picture.name}: {place}"
            for place in places
            if not any(name.startswith(place) for name in names)
        ]


def _hashes(picture: Path) -> tuple[bytes, bytes]:
    """Return a hash that is stored of a picture, and one that is looked up."""
    data = picture.read_bytes()
    if _is_video(picture):
        video = fingerprint_video(io.BytesIO(data))
        if isinstance(video, LowQuality):
            raise TypeError("the video of this benchmark is too plain")
        frames, _ = hash_video(io.BytesIO(data))
        return video.fingerprints["hash"][0].tobytes(), frames["hash"][0].tobytes()
    stored, asked = fingerprint_image(data), hash_image(data)
    if isinstance(stored, LowQuality) or isinstance(asked, LowQuality):
        raise TypeError("a picture of this benchmark is too plain")
    return stored.fingerprints[0].hash.value, asked.hashes[0][0].value


def _is_video(picture: Path) -> bool:
    return picture.suffix == ".mp4"


@click.command(help=__doc__)
@click.option(
    "--json", "json_path", required=True, help="File for the report, - for standard output."
)
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Break the server: must be found.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(FORMATS),
    help="Of the pictures; repeat for several.  [all]",
)
def main(json_path: str, sabotage: str | None, seed: int, formats: tuple[str, ...]) -> None:
    """Check, write the report; exit with 1 if anything of a picture was found."""
    if not strace.is_there():
        raise click.ClickException("strace is needed: run scripts/system-packages.")
    with tempfile.TemporaryDirectory(prefix="disrupt-privacy-") as work:
        report = privacy(Path(work), seed=seed, sabotage=sabotage, formats=formats or FORMATS)
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps({"sabotage": sabotage} | asdict(report), indent=2) + "\n")
    sys.exit(report.failed)


if __name__ == "__main__":
    main()

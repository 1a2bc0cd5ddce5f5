"""Only hashes are stored: no file, no log and no answer has a part of a picture.

The real server and the commands of victims and platforms run under strace while pictures and a
video are registered and looked up, hashed on the device and on the server. Every file that any of
their processes opens for writing must be a known one. Then all that they wrote to files, logs and
sockets, and all that lies in the data directory, is searched for every run of 16 bytes of the
files, of their decoded pixels (RGB and grey; some frames of the video), and of the hex and base64
of these. Runs of one pixel value are left out. No file's name may leave the device.
"""

from __future__ import annotations

import io
import os
import random
import re
import secrets
import subprocess
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from disrupt.client import MatchClient
from disrupt.client.connection import connect
from disrupt.core.cases import AgeBand
from disrupt.core.media import LowQuality
from disrupt.hashing import fingerprint_image, hash_image
from disrupt.hashing.videos.frames import fingerprint_video, hash_video
from disrupt.submission import requests
from disrupt.v1 import registration_pb2
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub
from rig.faults.sabotages import broken_by
from rig.media.videos import Frame, decode, encode
from rig.processes import strace
from rig.processes.strace import Call, TraceError
from rig.servers.deployment import BIN, FEW_DECODERS, WITH_BYTECODE, Deployment, run
from tests.proofs.windows import DIFFERENT_MIN, WINDOW_BYTES, Searched, Secret, in_all_forms

_NAMES_OF_FILES = ("a-name-that-stays-here", "other")
_METRICS = "metrics.txt"
_PIN = "123456789012"
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
        r"DATA/registry\.(head|wal-owner)(\.new)?",
        r"DATA/registry\.reserve",
        r"DATA/removals\.journal(\.new)?",
        r"DATA/index/.*",
        r"DATA/audit/.*",
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
    """Counts of the search; ``leaks`` name a secret and the data that has a part of it."""

    written_files: set[str] = field(default_factory=set)
    unknown_files: set[str] = field(default_factory=set)
    searched_bytes: int = 0
    windows: int = 0
    leaks: set[str] = field(default_factory=set)
    unseen: list[str] = field(default_factory=list)
    """Hashes and names that should have been found and were not: the search saw too little."""


@pytest.mark.usefixtures("needs_strace")
def test_nothing_of_a_picture_is_written_or_sent_but_its_hashes(
    tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    report = privacy(tmp_path, ("jpeg", "png", "webp") if whole else ("jpeg",))
    assert (report.unknown_files, report.leaks, report.unseen) == (set(), set(), [])
    assert "DATA/registry.db-wal" in report.written_files
    assert report.windows > 1_000_000
    figures(
        f"{report.windows / 1e6:.1f} million runs of 16 bytes against"
        f" {report.searched_bytes / 1e6:.1f} MB written: none found"
    )


@pytest.mark.usefixtures("needs_strace")
def test_pictures_in_temporary_files_in_the_log_in_known_files_and_in_metrics_are_found(
    tmp_path: Path,
) -> None:
    report = privacy(tmp_path, ("png",), sabotage="kept-pictures")
    assert report.unknown_files
    for leak in (
        "file of a-name-that-stays-here.png, raw: server wrote /",
        "file of a-name-that-stays-here.mp4, raw: server wrote /",
        "file of a-name-that-stays-here.png, base64 from byte 0: data.log",
        "pixels of a-name-that-stays-here.png, raw: data/lock",
        "hash of a-name-that-stays-here.png, hex: metrics.txt",
    ):
        assert any(each.startswith(leak) for each in report.leaks), leak


def privacy(work: Path, formats: Sequence[str], *, sabotage: str | None = None) -> Report:
    """Run the whole scenario, with pictures of some formats and a video, in an empty directory."""
    (work / "pictures").mkdir()
    pictures, other_pictures = (
        [
            *(_picture(work / "pictures" / f"{name}.{format_}", at) for format_ in formats),
            _video(work / "pictures" / f"{name}.mp4", at),
        ]
        for at, name in enumerate(_NAMES_OF_FILES)
    )
    wrapper = (*WITH_BYTECODE, *_traced(work / "server.trace"), *broken_by(sabotage))
    with Deployment.start(
        work / "data", workers=1, settings=FEW_DECODERS, wrapper=wrapper
    ) as server:
        _register_and_look_up(server, work, pictures)
        with urllib.request.urlopen(f"http://{server.metrics_address()}/metrics") as metrics:
            (work / _METRICS).write_bytes(metrics.read())
        with strace.written_out(server.process.pid):
            server.stop()
    report = Report()
    written: dict[str, bytes] = {}
    for trace in sorted(work.glob("*.trace")):
        calls = strace.read(trace)
        _note_files(report, calls, work)
        written |= {f"{trace.stem} wrote {name}": data for name, data in _written(calls).items()}
    written |= _on_disk(work)
    _search(report, Searched(written), pictures, other_pictures)
    _search_metrics(report, written[_METRICS], pictures)
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
    _command(work, server, "submit", keys["register"], "--age=unsure", *pictures)
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
                access=requests.access("", _PIN),
                age_band=AgeBand.ADULT.value,  # type: ignore[arg-type]  # the numbers are the same
            )
            data = picture.read_bytes()
            if _is_video(picture):
                parts = (
                    registration_pb2.RegisterVideoRequest(context=context),
                    registration_pb2.RegisterVideoRequest(chunk=data),
                )
                stub.RegisterVideo(iter(parts), metadata=connection.metadata, timeout=300)
            else:
                request = registration_pb2.RegisterImageRequest(context=context, image=data)
                stub.RegisterImage(request, metadata=connection.metadata, timeout=300)
    run("disrupt-index", "rebuild", "--data-dir", server.data_dir)


def _command(work: Path, server: Deployment, name: str, key: str, *pictures: str | Path) -> None:
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
            code = process.wait()
    assert code == 0, said.read_text()


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
            report.written_files.add(name)
            if not any(known.fullmatch(name) for known in _KNOWN):
                report.unknown_files.add(name)


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
                report.windows += len(secret.data)
                report.leaks |= {f"{secret.name}: {place}" for place in searched.leaks(secret)}
        _search_name(report, searched, picture)
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


def _search_name(report: Report, searched: Searched, picture: Path) -> None:
    """Search for a file's name where the commands do not print it."""
    secret = Secret(f"name of {picture.name}", picture.stem.encode(), 1)
    places = searched.leaks(secret)
    if "submit.log" not in places:
        report.unseen.append(secret.name)
    sent = {place for place in places if "wrote TCP" in place}
    kept = {place for place in places if place.startswith(("server", "data"))}
    report.leaks |= {f"{secret.name}: {place}" for place in sent | kept}


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


def _search_metrics(report: Report, metrics: bytes, pictures: Sequence[Path]) -> None:
    """Search for hashes, the PIN and addresses; the calls have to be there."""
    searched = Searched({_METRICS: metrics})
    for picture in pictures:
        for value in _hashes(picture):
            for secret in in_all_forms(f"hash of {picture.name}", value, b"", 1):
                report.leaks |= {f"{secret.name}: {place}" for place in searched.leaks(secret)}
    report.leaks |= {
        f"{text!r}: {_METRICS}" for text in (_PIN, "127.0.0.1") if text.encode() in metrics
    }
    if b'call="RegistrationService/RegisterImage",outcome="OK"' not in metrics:
        report.unseen.append(_METRICS)


def _hashes(picture: Path) -> tuple[bytes, bytes]:
    """Return a hash that is stored of a picture, and one that is looked up."""
    data = picture.read_bytes()
    if _is_video(picture):
        video = fingerprint_video(io.BytesIO(data))
        assert not isinstance(video, LowQuality)
        frames, _ = hash_video(io.BytesIO(data))
        return video.fingerprints["hash"][0].tobytes(), frames["hash"][0].tobytes()
    stored, asked = fingerprint_image(data), hash_image(data)
    assert not isinstance(stored, LowQuality)
    assert not isinstance(asked, LowQuality)
    return stored.fingerprints[0].hash.value, asked.hashes[0][0].value


def _is_video(picture: Path) -> bool:
    return picture.suffix == ".mp4"


def windows(data: bytes) -> set[bytes]:
    return {data[at : at + WINDOW_BYTES] for at in range(len(data) - WINDOW_BYTES + 1)}


# Few values make runs and chance matches likely.
few = st.binary(max_size=80).map(lambda data: bytes(byte % 3 for byte in data))


@settings(max_examples=100)
@given(few, few, few, few, st.integers(1, 4))
def test_search_finds_what_comparing_all_windows_finds(
    secret: bytes, public: bytes, first: bytes, second: bytes, period: int
) -> None:
    telling = {
        window
        for window in windows(secret) - windows(public)
        if sum(a != b for a, b in zip(window[period:], window, strict=False)) >= DIFFERENT_MIN
    }
    expected = {name for name, data in (("a", first), ("b", second)) if telling & windows(data)}
    searched = Searched({"a": first, "b": second})
    assert searched.leaks(Secret("secret", secret, period, public)) == expected


@pytest.mark.parametrize("form", range(9))
def test_a_piece_of_a_secret_is_found_in_every_form(form: int) -> None:
    data, public = random.Random(1).randbytes(500), random.Random(2).randbytes(500)
    forms = list(in_all_forms("x", data, public, 1))
    assert len(forms) == 9
    piece = forms[form].data[101 : 101 + WINDOW_BYTES]
    assert Searched({"log": b"before" + piece + b"after"}).leaks(forms[form]) == {"log"}
    assert not Searched({"log": b"before" + piece[:-1]}).leaks(forms[form])


def test_a_name_is_found_where_it_is_sent_and_not_where_a_command_prints_it() -> None:
    name = _NAMES_OF_FILES[0].encode()
    sent = {"submit wrote TCP:[1->2] by 3": b"item " + name + b".png", "data.log": name}
    report = Report()
    _search_name(report, Searched({"submit.log": name, **sent}), Path(f"{name.decode()}.png"))
    assert report.unseen == []
    assert report.leaks == {f"name of {name.decode()}.png: {place}" for place in sent}


def test_a_pin_an_address_and_calls_that_are_not_there_are_found_in_metrics() -> None:
    report = Report()
    text = f'disrupt_refusals_total{{key="{_PIN}",reason="from 127.0.0.1"}} 1.0'
    _search_metrics(report, text.encode(), [])
    assert report.leaks == {f"'{_PIN}': {_METRICS}", f"'127.0.0.1': {_METRICS}"}
    assert report.unseen == [_METRICS]

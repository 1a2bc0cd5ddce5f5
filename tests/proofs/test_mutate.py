"""Broken pictures and videos through a real server: one call may fail, nothing else.

The files are small good ones of every format with flipped bits, cut, spliced, with parts repeated
or missing or false sizes, and bombs that decode to much more than they hold. The server runs
with little memory for its decoders. Each file must be answered with what was hashed or with an
error that names its reason and the field. Between them a registered file is looked up, which must
match itself at distance 0. No process of the server may die, and no decoder take more than its
memory. Decoders may crash: that is what isolation is for. Then as many calls must report a crash,
or too much processor time, as decoders died of it.

A file follows from its number: ``broken_file`` makes it again.
"""

from __future__ import annotations

import io
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from disrupt.client import ImageAnswer, MatchClient, RetryPolicy, VideoAnswer
from disrupt.errors import DisruptError, InvalidMediaError, InvalidRequestError
from disrupt.submission.client import SubmissionClient
from rig.faults.sabotages import broken_by
from rig.media import mutations, mutations_videos
from rig.processes.running import peak_bytes, processes
from rig.servers.deployment import Deployment

_MEMORY_MIB = 640
_FILE_MIB = 8
_CONNECTIONS = 6
_DEADLINE_S = 120.0
_ONCE = RetryPolicy(attempts=1)
_FAULTS = ("process_died", "call_failed", "hashing_failed", "decoder_does_not_start")
"""Events of the log that a broken picture must not cause."""
_REPORTED_CAUSES = ("CRASH", "CPU_TIME")
"""Causes of a decoder's death that the call of its picture must report."""


@dataclass(frozen=True)
class Kind:
    """A kind of broken file: ``field`` is the one that errors name, ``decoder`` the module."""

    field: str
    decoder: str
    settings: str
    memory_mib: int
    seeds: Callable[[], dict[str, list[bytes]]]
    mutations: Mapping[str, mutations.Mutation]
    bombs: Mapping[str, Mapping[str, Callable[[], bytes]]]
    good: tuple[str, Callable[[], bytes]]
    send: Callable[[MatchClient, bytes], ImageAnswer | VideoAnswer]


def _photograph() -> bytes:
    file = io.BytesIO()
    mutations.photograph(300).save(file, "PNG")
    return file.getvalue()


KINDS = {
    "pictures": Kind(
        "image",
        "disrupt.isolation.picture_worker",
        f"hashing_memory_mib = {_MEMORY_MIB}",
        _MEMORY_MIB,
        cache(mutations.seeds),
        mutations.MUTATIONS,
        mutations.BOMBS,
        ("good.png", _photograph),
        lambda client, data: client.match_image(data, hash_locally=False),
    ),
    "videos": Kind(
        "video",
        "disrupt.isolation.video_worker",
        f"video_memory_mib = {_MEMORY_MIB}\nmax_video_mib = {_FILE_MIB}\nvideo_cpu_s = 10\n"
        "video_workers = 2",
        _MEMORY_MIB + _FILE_MIB,
        cache(mutations_videos.seeds),
        mutations_videos.MUTATIONS,
        mutations_videos.BOMBS,
        ("good.mp4", mutations_videos.good),
        lambda client, data: client.match_video(data, hash_locally=False, interval_ms=200),
    ),
}


@dataclass(frozen=True)
class Size:
    """Number of files to send, and the distances from bomb to bomb and between good files."""

    count: int
    bomb_every: int
    good_every: int


@dataclass
class Tally:
    """Counts of a run, and everything that broke a promise."""

    outcomes: Counter[str] = field(default_factory=Counter)
    good: int = 0
    peak_mib: int = 0
    crashing_files: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@pytest.mark.parametrize("name", KINDS)
def test_the_server_holds_out(
    name: str, tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    size = Size(3000, 100, 20) if whole else Size(40, 20, 4)
    tally = mutate(tmp_path, KINDS[name], size)
    assert tally.failures == []
    assert tally.outcomes.total() == size.count
    assert tally.outcomes["INVALID_MEDIA"] > 5
    figures(
        f"{size.count} broken {name}: {dict(tally.outcomes)}; {tally.good} good ones matched;"
        f" decoders took {tally.peak_mib} MiB of {KINDS[name].memory_mib};"
        f" crashed on files {tally.crashing_files}"
    )


@pytest.mark.parametrize(
    ("kind", "sabotage", "text"),
    [
        # the call that lost its connection, or the process: the first ends the run
        ("videos", "server-crash", "a process of the server died|UNAVAILABLE"),
        ("pictures", "swallowed-crash", "decoders died of CRASH, and 0 calls were told so"),
    ],
)
def test_a_crash_is_found(kind: str, sabotage: str, text: str, tmp_path: Path) -> None:
    only_bombs = Size(2, 1, 1)  # one at least is refused, whatever the libraries make of files
    tally = mutate(tmp_path, KINDS[kind], only_bombs, sabotage)
    assert any(re.search(text, failure) for failure in tally.failures), tally.failures


@pytest.mark.parametrize("name", KINDS)
def test_a_file_follows_from_its_number_and_all_kinds_occur(name: str) -> None:
    kind = KINDS[name]
    files = [broken_file(number, 10**9, kind) for number in range(600)]
    assert files[7] == broken_file(7, 10**9, kind)
    assert {mutation for _, mutation, _ in files} == set(kind.mutations)
    assert {format_ for format_, _, _ in files} == set(kind.seeds())


def broken_file(number: int, bomb_every: int, kind: Kind) -> tuple[str, str, bytes]:
    """Return format, kind of mutation and bytes of a file, all derived from its number."""
    if number % bomb_every == bomb_every - 1:
        all_bombs = [(format_, name) for format_, named in kind.bombs.items() for name in named]
        format_, name = all_bombs[number // bomb_every % len(all_bombs)]
        return format_, f"bomb: {name}", _bomb(kind.bombs[format_][name])
    chance = random.Random(f"1 {number}")
    seeds = kind.seeds()
    format_ = chance.choice(list(seeds))
    mutation = chance.choice(list(kind.mutations))
    all_files = [file for files in seeds.values() for file in files]
    file = chance.choice(seeds[format_])
    return format_, mutation, kind.mutations[mutation](file, all_files, chance)


@cache
def _bomb(make: Callable[[], bytes]) -> bytes:
    return make()


def mutate(work: Path, kind: Kind, size: Size, sabotage: str | None = None) -> Tally:
    """Send so many files to a server of its own, and check."""
    for number in range(size.bomb_every - 1, size.count, size.bomb_every):
        broken_file(number, size.bomb_every, kind)  # makes bombs before they are sent
    settings = f"{kind.settings}\nmax_call_s = {_DEADLINE_S}\nmax_video_call_s = {_DEADLINE_S}\n"
    server = Deployment.start(work / "data", settings=settings, wrapper=broken_by(sabotage))
    try:
        # A key each: what waits behind files that take long is bounded, and a key may have one.
        keys = [server.make_key(f"platform {at}", "match") for at in range(_CONNECTIONS)]
        run = _Run(kind, size, server.address, keys, *_register(server, keys[0], kind, work))
        before = [processes(server.process.pid, role) for role in ("writer", "worker")]
        with _sampled(before[1], kind.decoder, run.tally), ThreadPoolExecutor(_CONNECTIONS) as pool:
            list(pool.map(run.send, range(_CONNECTIONS)))
        after = [processes(server.process.pid, role) for role in ("writer", "worker")]
    finally:
        server.stop()
    tally, events = run.tally, _events(work / "data.log")
    if after != before:
        tally.failures.append("a process of the server died")
    if tally.peak_mib > kind.memory_mib:
        tally.failures.append(f"a decoder took {tally.peak_mib} MiB, more than {kind.memory_mib}")
    tally.failures += [f"{events[name]} x {name} in the log" for name in _FAULTS if events[name]]
    for cause in _REPORTED_CAUSES:
        died = events[f"decoder_died {cause}"]
        reports = sum(n for outcome, n in tally.outcomes.items() if outcome.endswith(cause))
        if reports != died:
            tally.failures.append(
                f"{died} decoders died of {cause}, and {reports} calls were told so"
            )
    return tally


def _register(server: Deployment, key: str, kind: Kind, work: Path) -> tuple[bytes, str]:
    """Register the good file; return its bytes and item id once it is matched."""
    name, make = kind.good
    path, data = work / name, make()
    path.write_bytes(data)
    with SubmissionClient(server.address, key=server.make_key("desk", "register")) as client:
        (registered,) = client.submit([path]).registered
    with MatchClient(server.address, key=key, connections=1) as client:
        while not kind.send(client, data).matches:
            time.sleep(0.05)
    return data, registered.item_id


@dataclass(frozen=True)
class _Run:
    kind: Kind
    size: Size
    address: str
    keys: list[str]
    good: bytes
    item_id: str
    tally: Tally = field(default_factory=Tally)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, part: int) -> None:
        """Send every sixth file from ``part`` on over one connection, and good ones between."""
        with MatchClient(
            self.address,
            key=self.keys[part],
            connections=1,
            timeout_s=_DEADLINE_S,
            retries=_ONCE,
        ) as client:
            for at, number in enumerate(range(part, self.size.count, _CONNECTIONS)):
                format_, mutation, data = broken_file(number, self.size.bomb_every, self.kind)
                outcome, wrong = self._outcome(client, data)
                with self.lock:
                    self.tally.outcomes[outcome] += 1
                    if outcome.endswith("CRASH"):
                        self.tally.crashing_files.append(number)
                    if wrong:
                        self.tally.failures.append(f"{number} ({format_}, {mutation}): {wrong}")
                if at % self.size.good_every == 0:
                    wrong = self._wrong_of_good(client)
                    with self.lock:
                        self.tally.good += 1
                        if wrong:
                            self.tally.failures.append(f"the good one after {number}: {wrong}")

    def _outcome(self, client: MatchClient, data: bytes) -> tuple[str, str]:
        """Send a broken file; return the outcome, and what is wrong with it, if anything."""
        try:
            answer = self.kind.send(client, data)
        except DisruptError as error:
            outcome = " ".join(filter(None, [error.reason, error.metadata.get("cause", "")]))
            if type(error) is InvalidRequestError and "match_video" in error.message:
                return "VIDEO", ""  # an AVIF whose brand is now that of a video; nothing was sent
            if type(error) is not InvalidMediaError:
                return outcome, f"answered with {error.status}: {error.message}"
            named = [violation.field for violation in error.violations if violation.description]
            return outcome, "" if self.kind.field in named else f"no reason: {error.message}"
        if isinstance(answer, VideoAnswer):
            return "hashed in part" if answer.incomplete else "hashed", ""
        return "low quality" if answer.low_quality else "hashed", ""

    def _wrong_of_good(self, client: MatchClient) -> str:
        """Send the good file; return what is wrong with the answer, if anything."""
        try:
            answer = self.kind.send(client, self.good)
        except DisruptError as error:
            return f"{error.reason}: {error.message}"
        distances = {match.item_id: match.distance_bits for match in answer.matches}
        return "" if distances.get(self.item_id) == 0 else f"it matched as {distances}"


@contextmanager
def _sampled(workers: list[int], module: str, tally: Tally) -> Iterator[None]:
    """Keep the most memory that any decoder ever had within the block."""
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.05):
            for decoder in [each for worker in workers for each in processes(worker, module)]:
                tally.peak_mib = max(tally.peak_mib, peak_bytes(decoder) >> 20)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield
    finally:
        done.set()
        sampler.join()


def _events(log: Path) -> Counter[str]:
    events: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            events[entry["event"]] += 1
            if entry["event"] == "decoder_died":
                events[f"decoder_died {entry['cause']}"] += 1
    return events

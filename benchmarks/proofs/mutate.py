"""Send broken picture or video files to a real server: one call may fail, nothing else.

The files are small good ones of every format with flipped bits, cut, spliced, with parts repeated
or missing or false sizes, and bombs that decode to much more than they hold. The server runs
with little memory for its decoders. Each file must be answered within the deadline, with what was
hashed or with an error that names its reason and the field. Between them a registered file is
looked up, which must match itself at distance 0. No process of the server may die, and no decoder
take more than its memory. Decoders may crash: that is what isolation is for. Such files are counted
and named, by number: --first N --count 1 sends that file again. As many calls must report a crash,
or too much processor time, as decoders died of it.

Exit code 0 if all of it held.

    ./scripts/bench mutate --count 50000 --json -

    ./scripts/bench mutate --kind videos --count 10000 --json -
"""

from __future__ import annotations

import io
import json
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import click

from benchmarks.harness.deployment import Deployment
from benchmarks.harness.processes import processes
from benchmarks.proofs import mutations as pictures
from benchmarks.proofs import mutations_videos as videos
from benchmarks.sabotages import broken_by
from disrupt.client import ImageAnswer, MatchClient, RetryPolicy, VideoAnswer
from disrupt.errors import DisruptError, InvalidMediaError
from disrupt.submission.client import SubmissionClient

SABOTAGES = (
    "no-memory-limit",
    "server-crash",
    "unnamed-error",
    "endless-call",
    "late-answer",
    "swallowed-crash",
)

_MEMORY_MIB = 640
_FILE_MIB = 8
_SAMPLED_EVERY_S = 0.05
_SHOWN = 20
_CONNECTIONS = 6
_ONCE = RetryPolicy(attempts=1)
_FAULTS = ("process_died", "call_failed", "hashing_failed", "decoder_does_not_start")
"""Events of the log that a broken picture must not cause."""
_REPORTED_CAUSES = ("CRASH", "CPU_TIME")
"""Causes of a decoder's death that the call of its picture must report."""


Send = Callable[[MatchClient, bytes], "ImageAnswer | VideoAnswer"]
Mutation = Callable[[bytes, list[bytes], random.Random], bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of broken file: ``field`` is the one that errors name, ``decoder`` the module."""

    field: str
    decoder: str
    settings: str
    memory_mib: int
    seeds: Callable[[], dict[str, list[bytes]]]
    mutations: Mapping[str, Mutation]
    bombs: Mapping[str, Mapping[str, Callable[[], bytes]]]
    good: tuple[str, Callable[[], bytes]]
    send: Send


def _photograph() -> bytes:
    file = io.BytesIO()
    pictures.photograph(300).save(file, "PNG")
    return file.getvalue()


KINDS = {
    "pictures": Kind(
        "image",
        "disrupt.isolation.picture_worker",
        f"hashing_memory_mib = {_MEMORY_MIB}",
        _MEMORY_MIB,
        cache(pictures.seeds),
        pictures.MUTATIONS,
        pictures.BOMBS,
        ("good.png", _photograph),
        lambda client, data: client.match_image(data, hash_locally=False),
    ),
    "videos": Kind(
        "video",
        "disrupt.isolation.video_worker",
        f"video_memory_mib = {_MEMORY_MIB}\nmax_video_mib = {_FILE_MIB}\nvideo_cpu_s = 10",
        _MEMORY_MIB + _FILE_MIB,
        cache(videos.seeds),
        videos.MUTATIONS,
        videos.BOMBS,
        ("good.mp4", videos.good),
        lambda client, data: client.match_video(data, hash_locally=False, interval_ms=200),
    ),
}


@dataclass
class Tally:
    """Counts of a run, guarded by ``lock``."""

    outcomes: dict[str, dict[str, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    good: int = 0
    crashing_files: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Run:
    """Settings of a run: the kind of files, the server, and how often each check is made."""

    kind: Kind
    address: str
    key: str
    good: bytes
    item_id: str
    seed: int
    deadline_s: float
    bomb_every: int
    good_every: int


@click.command(help=__doc__)
@click.option("--kind", "kind_name", type=click.Choice(list(KINDS)), default="pictures")
@click.option("--count", default=50_000, show_default=True, help="How many broken files.")
@click.option("--json", "json_path", required=True, help="File for the report, - for stdout.")
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Break the server: must be found.")
@click.option("--workers", default=2, show_default=True, help="Of the server.")
@click.option("--seed", default=1, show_default=True)
@click.option("--first", default=0, help="Number of the first file.")
@click.option("--deadline-s", default=30.0, show_default=True, help="For one call.")
@click.option("--bomb-every", default=500, show_default=True, help="Files from bomb to bomb.")
@click.option("--good-every", default=20, show_default=True, help="Files from good to good.")
def main(  # noqa: PLR0913, PLR0917 one for each option
    kind_name: str,
    count: int,
    json_path: str,
    sabotage: str | None,
    workers: int,
    seed: int,
    first: int,
    deadline_s: float,
    bomb_every: int,
    good_every: int,
) -> None:
    """Send, check, write the report; exit with 1 if anything promised was broken."""
    with tempfile.TemporaryDirectory(prefix="disrupt-mutate-") as directory:
        work = Path(directory)
        config = work / "config.toml"
        kind = KINDS[kind_name]
        config.write_text(
            f"{kind.settings}\nmax_call_s = {deadline_s}\nmax_video_call_s = {deadline_s}\n"
            # All connections are of one key, which may hold no more than is then free.
            f"video_queue = {2 * _CONNECTIONS}\n"
        )
        server = Deployment.start(
            work / "data",
            "--config",
            str(config),
            workers=workers,
            wrapper=broken_by(sabotage),
        )
        try:
            key = server.make_key("platform", "match")
            item_id, good = _register(server, key, kind, work)
            run = Run(
                kind, server.address, key, good, item_id, seed, deadline_s, bomb_every, good_every
            )
            tally, seconds, peak_mib = _send(server, run, range(first, first + count))
        finally:
            server.stop()
        events = _events(work / "data.log")
    if peak_mib > kind.memory_mib:
        tally.failures.insert(0, f"a decoder took {peak_mib} MiB, more than {kind.memory_mib}")
    tally.failures += [f"{events[name]} x {name} in the log" for name in _FAULTS if events[name]]
    tally.failures += _unreported_deaths(tally, events)
    report = _report(kind, tally, seconds=seconds, count=count, peak_mib=peak_mib, events=events)
    report |= {"kind": kind_name, "seed": seed, "first": first, "sabotage": sabotage}
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(report, indent=2) + "\n")
    sys.exit(bool(tally.failures))


def broken_file(
    number: int, seed: int, bomb_every: int, kind: Kind = KINDS["pictures"]
) -> tuple[str, str, bytes]:
    """Return format, kind of mutation and bytes of a file, all derived from its number."""
    if _is_bomb(number, bomb_every):
        all_bombs = [(format_, name) for format_, named in kind.bombs.items() for name in named]
        format_, name = all_bombs[number // bomb_every % len(all_bombs)]
        return format_, f"bomb: {name}", _bomb(kind.field, format_, name)
    chance = random.Random(f"{seed} {number}")
    seeds = kind.seeds()
    format_ = chance.choice(list(seeds))
    mutation = chance.choice(list(kind.mutations))
    all_files = [file for files in seeds.values() for file in files]
    file = chance.choice(seeds[format_])
    return format_, mutation, kind.mutations[mutation](file, all_files, chance)


def _is_bomb(number: int, bomb_every: int) -> bool:
    return number % bomb_every == bomb_every - 1


@cache
def _bomb(field_: str, format_: str, name: str) -> bytes:
    (kind,) = (kind for kind in KINDS.values() if kind.field == field_)
    return kind.bombs[format_][name]()


def _register(server: Deployment, key: str, kind: Kind, work: Path) -> tuple[str, bytes]:
    """Register the good file; return its item id and bytes once it is matched."""
    name, make = kind.good
    path, data = work / name, make()
    path.write_bytes(data)
    with SubmissionClient(server.address, key=server.make_key("desk", "register")) as client:
        (registered,) = client.submit([path]).registered
    with MatchClient(server.address, key=key, connections=1) as client:
        while not kind.send(client, data).matches:
            time.sleep(0.05)
    return registered.item_id, data


def _send(server: Deployment, run: Run, numbers: range) -> tuple[Tally, float, int]:
    """Send the files; return tally, seconds and the most MiB that a decoder took."""
    for number in numbers:  # make bombs beforehand, so that this takes no time from the server
        if _is_bomb(number, run.bomb_every):
            broken_file(number, run.seed, run.bomb_every, run.kind)
    run.kind.seeds()
    tally, done, peaks = Tally(), threading.Event(), [0]
    supervisor = server.process.pid
    before = {role: processes(supervisor, role) for role in ("writer", "worker")}
    sampler = threading.Thread(
        target=_sample, args=(before["worker"], run.kind.decoder, done, peaks)
    )
    sampler.start()
    began_s = time.perf_counter()
    try:
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            parts = [numbers[start::_CONNECTIONS] for start in range(_CONNECTIONS)]
            list(pool.map(lambda part: _send_part(run, part, tally), parts))
    finally:
        seconds = time.perf_counter() - began_s
        done.set()
        sampler.join()
    after = {role: processes(supervisor, role) for role in before}
    if after != before:
        tally.failures.insert(0, "a process of the server died")
    return tally, seconds, peaks[0]


def _send_part(run: Run, numbers: range, tally: Tally) -> None:
    with MatchClient(
        run.address, key=run.key, connections=1, timeout_s=run.deadline_s, retries=_ONCE
    ) as client:
        for at, number in enumerate(numbers):
            kind, mutation, data = broken_file(number, run.seed, run.bomb_every, run.kind)
            began_s = time.perf_counter()
            outcome, wrong = _outcome(client, run.kind, data)
            took_s = time.perf_counter() - began_s
            with tally.lock:
                tally.outcomes[kind][mutation][outcome] += 1
                tally.slowest_s = max(tally.slowest_s, took_s)
                if outcome.endswith("CRASH"):
                    tally.crashing_files.append(number)
                if wrong:
                    tally.failures.append(f"file {number} ({kind}, {mutation}): {wrong}")
            if at % run.good_every == 0:
                wrong = _good_outcome(client, run)
                with tally.lock:
                    tally.good += 1
                    if wrong:
                        tally.failures.append(f"the good one after file {number}: {wrong}")


def _outcome(client: MatchClient, kind: Kind, data: bytes) -> tuple[str, str]:
    """Send a broken file; return the outcome, and what is wrong with it, if anything."""
    try:
        answer = kind.send(client, data)
    except DisruptError as error:
        cause = error.metadata.get("cause", "")
        outcome = " ".join(filter(None, [error.reason, cause]))
        if type(error) is not InvalidMediaError:
            return outcome, f"answered with {error.status}: {error.message}"
        if not any(
            violation.field == kind.field and violation.description
            for violation in error.violations
        ):
            return outcome, f"no reason is named: {error.message}"
        return outcome, ""
    if isinstance(answer, VideoAnswer):
        return "hashed in part" if answer.incomplete else "hashed", ""
    return "low quality" if answer.low_quality else "hashed", ""


def _good_outcome(client: MatchClient, run: Run) -> str:
    """Send the good file; return what is wrong with the answer, if anything."""
    try:
        answer = run.kind.send(client, run.good)
    except DisruptError as error:
        return f"{error.reason}: {error.message}"
    distances = {match.item_id: match.distance_bits for match in answer.matches}
    return "" if distances.get(run.item_id) == 0 else f"it matched as {distances or 'nothing'}"


def _sample(workers: list[int], module: str, done: threading.Event, peaks: list[int]) -> None:
    """Keep the most memory that any decoder has ever had, in MiB."""
    while not done.wait(_SAMPLED_EVERY_S):
        for worker in workers:
            for decoder in processes(worker, module):
                with suppress(OSError):
                    lines = Path(f"/proc/{decoder}/status").read_text().splitlines()
                    peak = next((line for line in lines if line.startswith("VmHWM:")), "VmHWM: 0")
                    peaks[0] = max(peaks[0], int(peak.split()[1]) // 1024)


def _events(log: Path) -> Counter[str]:
    events: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            events[entry["event"]] += 1
            if entry["event"] == "decoder_died":
                events[f"decoder_died {entry['cause']}"] += 1
    return events


def _unreported_deaths(tally: Tally, events: Counter[str]) -> Iterator[str]:
    """Yield where decoders died without a report to a caller, or a report came without a death."""
    for cause in _REPORTED_CAUSES:
        died = events[f"decoder_died {cause}"]
        reports = sum(
            count
            for mutations in tally.outcomes.values()
            for counted in mutations.values()
            for outcome, count in counted.items()
            if outcome.endswith(cause)
        )
        if reports != died:
            yield f"{died} decoders died of {cause}, and {reports} calls were told so"


def _report(
    kind: Kind, tally: Tally, *, seconds: float, count: int, peak_mib: int, events: Counter[str]
) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    for mutations in tally.outcomes.values():
        for counted in mutations.values():
            outcomes += counted
    return {
        "count": count,
        "good": tally.good,
        "outcomes": dict(outcomes),
        "failed": len(tally.failures),
        "failures": tally.failures[:_SHOWN],
        "crashing_files": sorted(tally.crashing_files),
        "seconds": round(seconds, 1),
        "files_per_s": round(count / seconds, 1),
        "slowest_s": round(tally.slowest_s, 2),
        "decoder_memory": {"limit_mib": kind.memory_mib, "peak_mib": peak_mib},
        "decoder_deaths": {
            name.split()[1]: number for name, number in events.items() if " " in name
        },
        "machine": {"cores": len(os.sched_getaffinity(0)), "processor": platform.machine()},
        "formats": {
            format_: {name: dict(counted) for name, counted in sorted(mutations.items())}
            for format_, mutations in sorted(tally.outcomes.items())
        },
    }


if __name__ == "__main__":
    main()

"""A picture that breaks its decoder fails one call, and taking over a decoder gains nothing."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from disrupt.core.media import LowQuality
from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    InvalidMediaError,
    OverloadedError,
    UnavailableError,
    UnimplementedError,
)
from disrupt.fair_queue import turn_of
from disrupt.hashing import (
    ImageFingerprints,
    fingerprint_frames,
    fingerprint_image,
    hash_image,
)
from disrupt.hashing.decoding.formats import FORMATS
from disrupt.hashing.decoding.pictures import NO_HEIC_DECODER, ImageLimits
from disrupt.isolation.child import Cause
from disrupt.isolation.messages import Answer, Task, pack_answer, unpack_answer
from disrupt.isolation.picture_process import IsolationLimits, Process
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.serving import outcome
from rig.media.mutations import png_bomb, repeated_scans, seeds
from rig.processes.running import status
from tests.isolation.conftest import Run, failure

SEEDS = seeds()
GOOD = SEEDS["PNG"][0]
LONG = repeated_scans(4000, 20_000)
"""A file that takes minutes to decode, where its scans are not bounded."""

MEMORY_MIB = 640
"""Little, but above the 530 MiB of addresses that a process has at its start."""


@pytest.fixture(scope="module")
def hashing(run: Run[Any]) -> Iterator[IsolatedHashing]:
    """Start two processes with little memory and time."""
    isolated = IsolatedHashing(
        workers=2,
        queued=2,
        limits=ImageLimits(max_scanned_px=2**50),
        isolation=IsolationLimits(memory_bytes=MEMORY_MIB * 2**20, cpu_s=2, timeout_s=300),
    )
    run(isolated.__aenter__())
    yield isolated
    run(isolated.__aexit__(None, None, None))


async def whole(hashing: IsolatedHashing, processes: int) -> None:
    """Wait until there are ``processes`` again, and all of them hash good pictures."""
    while len(hashing.pids) < processes:
        await asyncio.sleep(0.02)
    answers = await asyncio.gather(*(hashing.hash_image(GOOD) for _ in range(processes)))
    assert set(answers) == {hash_image(GOOD)}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_the_hashes_that_it_has_without_isolation(
    kind: str, hashing: IsolatedHashing, run: Run[Any]
) -> None:
    for file in SEEDS[kind]:
        assert run(hashing.hash_image(file)) == hash_image(file)
        assert run(hashing.fingerprint_image(file)) == fingerprint_image(file)
        assert run(hashing.fingerprint_image(file, every_frame=True)) == fingerprint_frames(file)


@pytest.mark.parametrize("data", [b"", b"no picture", GOOD[:40]])
def test_what_is_no_picture_is_refused_in_the_words_used_without_isolation(
    data: bytes, hashing: IsolatedHashing, run: Run[Any]
) -> None:
    with pytest.raises(InvalidMediaError) as plain:
        hash_image(data)
    error = run(failure(hashing.hash_image(data)))
    assert type(error) is InvalidMediaError
    assert (error.message, error.violations) == (plain.value.message, plain.value.violations)


def test_a_file_over_the_limit_is_refused_without_a_process(run: Run[Any]) -> None:
    isolated = IsolatedHashing(workers=0, queued=0)
    error = run(failure(isolated.hash_image(bytes(isolated.limits.max_bytes + 1))))
    assert type(error) is InvalidMediaError
    assert "at most" in error.message


def test_a_process_holds_no_descriptor_variable_or_privilege_that_it_does_not_need(
    run: Run[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISRUPT_SECRET", "swordfish")

    def look(pid: int) -> None:
        links = sorted(str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())
        assert links[:3] == ["/dev/null"] * 3
        assert links[3].startswith("/memfd:media")
        assert links[4].startswith("socket:")
        assert len(links) == 5
        assert b"swordfish" not in Path(f"/proc/{pid}/environ").read_bytes()
        fields = status(pid)
        assert (fields["Threads"], fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "1", "2")
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0

    async def start() -> None:
        async with IsolatedHashing(workers=1, queued=0) as isolated:
            look(*isolated.pids)

    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003 its only form
        run(start())


def test_of_a_picture_nothing_is_left_in_the_memory_it_was_passed_in(
    hashing: IsolatedHashing, run: Run[Any]
) -> None:
    for data in (GOOD, GOOD[: len(GOOD) // 2]):
        run(asyncio.gather(*(hashing.hash_image(data) for _ in range(2)), return_exceptions=True))
    assert len(hashing._processes) == 2
    for process in hashing._processes:
        assert not any(process._shared[: len(GOOD)])


def test_a_picture_that_needs_too_much_memory_fails_its_call_alone(
    hashing: IsolatedHashing, run: Run[Any]
) -> None:
    bomb = png_bomb(7071, 7071)
    error = run(failure(hashing.hash_image(bomb)))
    assert isinstance(error, InvalidMediaError)
    assert error.metadata == {"cause": "MEMORY"}
    assert f"{MEMORY_MIB} MiB" in error.message
    run(whole(hashing, 2))


def test_the_largest_picture_of_four_channels_is_hashed_within_the_default_limits(
    run: Run[Any],
) -> None:
    small = np.random.default_rng(5).integers(0, 256, (12, 12, 4), np.uint8)
    file = io.BytesIO()
    large = Image.fromarray(small).resize((7071, 7071), Image.Resampling.NEAREST)
    large.save(file, "PNG", compress_level=1)

    async def register() -> ImageFingerprints | LowQuality:
        async with IsolatedHashing(workers=1, queued=0) as isolated:
            return await isolated.fingerprint_image(file.getvalue())

    assert isinstance(run(register()), ImageFingerprints)


@pytest.mark.parametrize(
    ("number", "kind", "cause", "words"),  # 0: of itself, as it takes too long
    [
        (0, InvalidMediaError, Cause.CPU_TIME, "2 s of processor time"),
        (signal.SIGSEGV, InvalidMediaError, Cause.CRASH, "SIGSEGV"),
        (signal.SIGKILL, UnavailableError, Cause.KILLED, "try again"),
    ],
)
def test_a_process_that_dies_at_work_fails_one_call_and_is_replaced(
    number: int,
    kind: type[DisruptError],
    cause: Cause,
    words: str,
    hashing: IsolatedHashing,
    run: Run[Any],
) -> None:
    before = hashing.deaths[cause]

    async def work_and_die() -> DisruptError:
        call = asyncio.create_task(failure(hashing.hash_image(LONG)))
        busy: list[int] = []
        while number and not busy:
            await asyncio.sleep(0.02)
            busy = [process.pid for process in hashing._processes if process.in_hand]
        for pid in busy:
            os.kill(pid, number)
        return await call

    error = run(work_and_die())
    assert isinstance(error, kind)
    assert error.metadata == {"cause": cause.value}
    assert words in error.message
    assert hashing.deaths[cause] == before + 1
    run(whole(hashing, 2))


def test_a_process_that_died_idle_fails_no_call(hashing: IsolatedHashing, run: Run[Any]) -> None:
    for pid in hashing.pids:
        os.kill(pid, signal.SIGSEGV)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    run(whole(hashing, 2))


def test_a_process_that_hangs_is_killed_in_time_and_replaced(run: Run[Any]) -> None:
    async def hang() -> None:
        limits = IsolationLimits(timeout_s=3)
        async with IsolatedHashing(workers=1, queued=0, isolation=limits) as isolated:
            (hung,) = isolated.pids
            os.kill(hung, signal.SIGSTOP)
            error = await failure(isolated.hash_image(GOOD))
            assert isinstance(error, DeadlineExceededError)
            assert error.metadata == {"cause": "TIMEOUT"}
            await whole(isolated, 1)
            assert isolated.pids != {hung}
            assert isolated.deaths == {Cause.TIMEOUT: 1}

    run(hang())


def test_processes_are_silent_while_all_have_a_picture_and_none_answers(run: Run[Any]) -> None:
    async def hang() -> None:
        async with IsolatedHashing(workers=2, queued=0) as isolated:
            for pid in isolated.pids:
                os.kill(pid, signal.SIGSTOP)
            calls = [asyncio.ensure_future(isolated.hash_image(GOOD))]
            await asyncio.sleep(0.05)
            assert not isolated.silent_s()
            calls.append(asyncio.ensure_future(isolated.hash_image(GOOD)))
            while not isolated.silent_s():
                await asyncio.sleep(0.01)
            for pid in isolated.pids:
                os.kill(pid, signal.SIGCONT)
            await asyncio.gather(*calls)
            assert not isolated.silent_s()

    run(hang())


def test_calls_over_the_bound_are_turned_away_and_cancelled_ones_give_their_place_back(
    run: Run[Any],
) -> None:
    async def crowd() -> None:
        async with IsolatedHashing(workers=1, queued=2) as isolated:
            (pid,) = isolated.pids
            os.kill(pid, signal.SIGSTOP)
            working, next_one, waiting = (
                asyncio.create_task(isolated.hash_image(GOOD)) for _ in range(3)
            )
            await asyncio.sleep(0)
            turned_away = await failure(isolated.hash_image(GOOD))
            assert isinstance(turned_away, OverloadedError)
            assert turned_away.retry_after_s

            waiting.cancel()
            await asyncio.wait([waiting])
            successor = asyncio.create_task(isolated.hash_image(GOOD))

            working.cancel()
            await asyncio.wait([working])
            # Nobody waits for that picture any more, but it still occupies the process.
            assert isinstance(await failure(isolated.hash_image(GOOD)), OverloadedError)
            os.kill(pid, signal.SIGCONT)
            assert await next_one == await successor == hash_image(GOOD)
            await asyncio.gather(*(isolated.hash_image(GOOD) for _ in range(3)))

    run(crowd())


def test_a_picture_waits_for_none_of_another_caller_but_the_one_under_way(
    run: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asking, order, going_on = Process.ask, list[object](), asyncio.Event()

    async def ask(process: Process, task: Task, picture: bytes) -> Answer:
        order.append(turn_of.get())
        await going_on.wait()
        return await asking(process, task, picture)

    async def look_up(isolated: IsolatedHashing, name: str) -> None:
        turn_of.set(name)
        await isolated.hash_image(GOOD)

    async def share() -> None:
        async with IsolatedHashing(workers=1, queued=10) as isolated:
            calls = [asyncio.create_task(look_up(isolated, "greedy")) for _ in range(6)]
            while not order:
                await asyncio.sleep(0)
            calls.append(asyncio.create_task(look_up(isolated, "other")))
            for _ in range(10):  # so that each has asked, or waits
                await asyncio.sleep(0)
            going_on.set()
            await asyncio.gather(*calls)

    monkeypatch.setattr(Process, "ask", ask)
    run(share())
    assert order == ["greedy", "other", *["greedy"] * 5]


def test_a_picture_behind_one_that_ends_its_process_is_hashed_by_another(run: Run[Any]) -> None:
    async def follow() -> None:
        async with IsolatedHashing(workers=1, queued=3) as isolated:
            (pid,) = isolated.pids
            os.kill(pid, signal.SIGSTOP)
            first, *rest = (asyncio.create_task(isolated.hash_image(GOOD)) for _ in range(4))
            await asyncio.sleep(0.1)
            os.kill(pid, signal.SIGSEGV)
            os.kill(pid, signal.SIGCONT)
            assert (await failure(first)).metadata == {"cause": "CRASH"}
            assert await asyncio.gather(*rest) == [hash_image(GOOD)] * 3
            assert isolated.deaths == {Cause.CRASH: 1}

    run(follow())


def test_processes_that_do_not_get_ready_are_a_clear_error(
    run: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")

    async def start() -> None:
        async with IsolatedHashing(workers=2, queued=0):
            raise AssertionError("they cannot run without a standard library")

    error = run(failure(start()))
    assert "do not start" in error.message


def test_processes_end_with_the_context_and_with_their_parent(run: Run[Any]) -> None:
    async def start_and_stop() -> frozenset[int]:
        async with IsolatedHashing(workers=2, queued=0) as isolated:
            return isolated.pids

    for pid in run(start_and_stop()):
        assert not Path(f"/proc/{pid}").exists()

    code = (
        "import asyncio, os, signal; from disrupt.isolation.pictures import IsolatedHashing\n"
        "async def main():\n"
        "    async with IsolatedHashing(workers=1, queued=0) as isolated:\n"
        "        print(*isolated.pids, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    orphan = int(done.stdout)
    with pytest.raises(ProcessLookupError):  # noqa: PT012 until it is gone
        for _ in range(1000):
            os.kill(orphan, 0)
            if status(orphan)["State"].startswith("Z"):
                raise ProcessLookupError
            subprocess.run(["sleep", "0.01"], check=True)


def test_whatever_keeps_a_picture_from_a_process_pictures_are_hashed_afterwards(
    run: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lives() -> None:
        async with IsolatedHashing(workers=1, queued=0) as hashing:
            starting, starts = Process.start, 0

            async def ask(*_: object) -> None:
                raise MemoryError

            async def start(*arguments: Any) -> Any:
                nonlocal starts
                starts += 1
                if starts == 1:
                    raise MemoryError
                return await starting(*arguments)

            monkeypatch.setattr(Process, "start", start)
            for _ in range(2):
                with monkeypatch.context() as failing:
                    failing.setattr(Process, "ask", ask)
                    with pytest.raises(MemoryError):
                        await hashing.hash_image(GOOD)
                await whole(hashing, 1)
                assert await hashing.hash_image(GOOD) == hash_image(GOOD)
            assert starts == 3

    run(lives())


def test_a_format_whose_decoder_is_not_installed_is_no_damaged_file(run: Run[Any]) -> None:
    def lacking() -> Answer:
        raise UnimplementedError("HEIC files need the extra.", cause=NO_HEIC_DECODER)

    async def error() -> Exception:
        async with IsolatedHashing(workers=1, queued=2) as isolated:
            return isolated._error_of_answer(unpack_answer(pack_answer(outcome(lacking))))

    raised = run(error())
    assert isinstance(raised, UnimplementedError)
    assert raised.message == "HEIC files need the extra."


def test_without_a_process_pictures_are_refused_at_once_and_it_is_told(
    run: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise OSError("no process")

    async def refused() -> None:
        async with IsolatedHashing(workers=1, queued=2) as isolated:
            assert isolated.without_decoder_s() == 0
            with monkeypatch.context() as broken:
                broken.setattr(Process, "start", fail)
                (process,) = isolated._processes
                process.kill()
                await process.wait()
                async with asyncio.timeout(20):  # the first waits for the successor
                    for _ in range(2):
                        error = await failure(isolated.hash_image(GOOD))
                        assert isinstance(error, UnavailableError)
                assert isolated.without_decoder_s() > 0
            await whole(isolated, 1)
            assert isolated.without_decoder_s() == 0

    run(refused())

"""A flow answers every batch once, in order, whatever happens to its calls."""

from __future__ import annotations

import asyncio
import math
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, islice

import grpc
import pytest

from disrupt.client import AsyncMatchClient, Batch, HashAnswer, MatchClient, RetryPolicy
from disrupt.client.window import IN_FLIGHT
from disrupt.core.hashes import HASH_BYTES
from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    InvalidRequestError,
    UnauthenticatedError,
    UnavailableError,
)
from disrupt.v1 import match_pb2
from tests.client.scripted import status_of

ATTEMPTS = 4
QUICK = RetryPolicy(ATTEMPTS, first_pause_s=0.01, longest_pause_s=0.02)
Flow = Callable[..., Generator[tuple[HashAnswer, ...]]]
Step = Callable[[match_pb2.StreamMatchHashesRequest, grpc.ServicerContext], None]


@dataclass
class Flowing(grpc.GenericRpcHandler):
    """Answer a flow on a real socket, each batch by its first bytes, after ``step`` of each."""

    step: Step = lambda _request, _context: None
    address: str = ""
    batches: list[bytes] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def service(
        self, _: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[
        match_pb2.StreamMatchHashesRequest, match_pb2.StreamMatchHashesResponse
    ]:
        def answer(
            requests: Iterator[match_pb2.StreamMatchHashesRequest], context: grpc.ServicerContext
        ) -> Iterator[match_pb2.StreamMatchHashesResponse]:
            self.calls.append(context.peer())
            for request in requests:
                self.batches.append(request.batch.hashes)
                self.step(request, context)
                cursor = str(int.from_bytes(request.batch.hashes[:8]))
                batch = match_pb2.MatchHashesResponse(index_cursor=cursor)
                yield match_pb2.StreamMatchHashesResponse(batch=batch, sequence=request.sequence)

        return grpc.stream_stream_rpc_method_handler(
            answer,
            match_pb2.StreamMatchHashesRequest.FromString,
            match_pb2.StreamMatchHashesResponse.SerializeToString,
        )


@contextmanager
def flowing(step: Step | None = None, *, port: int = 0) -> Iterator[Flowing]:
    handler = Flowing(step) if step else Flowing()
    server = grpc.server(ThreadPoolExecutor(16), handlers=[handler])
    handler.address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    server.start()
    try:
        yield handler
    finally:
        server.stop(None).wait()


def in_thread(
    address: str, batches: Iterable[bytes | Batch], timeout_s: float = 60
) -> Generator[tuple[HashAnswer, ...]]:
    with MatchClient(address, key="key", timeout_s=timeout_s, retries=QUICK) as client:
        yield from client.stream_hashes(batches)


def in_loop(
    address: str, batches: Iterable[bytes | Batch], timeout_s: float = 60
) -> Generator[tuple[HashAnswer, ...]]:
    async def awaited() -> AsyncIterator[bytes | Batch]:
        given = iter(batches)
        while (batch := await asyncio.to_thread(next, given, None)) is not None:
            yield batch

    with asyncio.Runner() as loop:

        async def open_client() -> AsyncMatchClient:
            return AsyncMatchClient(address, key="key", timeout_s=timeout_s, retries=QUICK)

        async def close() -> None:
            await answers.aclose()
            await client.close()

        client = loop.run(open_client())
        answers = client.stream_hashes(awaited())
        try:
            while (answer := loop.run(anext(answers, None))) is not None:
                yield answer
        finally:
            loop.run(close())


@pytest.fixture(params=[in_thread, in_loop])
def flow(request: pytest.FixtureRequest) -> Flow:
    chosen: Flow = request.param
    return chosen


def hash_of(number: int) -> bytes:
    return number.to_bytes(8) + bytes(HASH_BYTES - 8)


def numbers(answers: Iterable[tuple[HashAnswer, ...]]) -> list[int]:
    return [int(answer.index_cursor) for (answer,) in answers]


def fail(context: grpc.ServicerContext, error: DisruptError) -> None:
    said = status_of(error)
    context.set_trailing_metadata((("grpc-status-details-bin", said.SerializeToString()),))
    context.abort(grpc.StatusCode[error.status], error.message)


def test_batches_are_answered_in_order(flow: Flow) -> None:
    with flowing() as server:
        assert numbers(flow(server.address, map(hash_of, range(500)))) == list(range(500))
        assert list(flow(server.address, [])) == []
    assert server.batches == [hash_of(number) for number in range(500)]


def test_a_batch_over_the_limit_is_one_answer() -> None:
    large = b"".join(map(hash_of, range(150)))
    with flowing() as server, MatchClient(server.address, key="key") as client:
        client._lookups._hashes_per_lookup, client._lookups._limit_until_s = 64, math.inf
        small, answers = client.stream_hashes([hash_of(7), large])
    assert len(small) == 1
    assert [int(answer.index_cursor) for answer in answers] == [0] * 64 + [64] * 64 + [128] * 22


@pytest.mark.parametrize("status", [UnavailableError("Away."), None], ids=["away", "cancelled"])
def test_what_a_failed_call_left_unanswered_is_asked_again(
    flow: Flow, status: DisruptError | None
) -> None:
    failing = iter([7, 20, 20, 450])
    following = [next(failing)]

    def step(request: match_pb2.StreamMatchHashesRequest, context: grpc.ServicerContext) -> None:
        if request.batch.hashes == hash_of(following[0]):
            following[0] = next(failing, 1000)
            if status:
                fail(context, status)
            context.abort(grpc.StatusCode.CANCELLED, "draining")

    with flowing(step) as server:
        assert numbers(flow(server.address, map(hash_of, range(500)))) == list(range(500))
    assert len(server.calls) == 5
    assert len(set(server.calls)) == 4  # each call uses the next connection


def test_what_cannot_pass_is_raised_after_the_answers_before_it(flow: Flow) -> None:
    def step(request: match_pb2.StreamMatchHashesRequest, context: grpc.ServicerContext) -> None:
        if request.batch.hashes == hash_of(3):
            fail(context, UnauthenticatedError("Revoked."))

    with flowing(step) as server:
        answers = flow(server.address, map(hash_of, count()))
        assert numbers(islice(answers, 3)) == [0, 1, 2]
        with pytest.raises(UnauthenticatedError, match="Revoked"):
            next(answers)


class Ended(BaseException):
    """As a framework raises to end its own tasks."""


@pytest.mark.parametrize("end", [asyncio.CancelledError, SystemExit, Ended])
def test_batches_that_are_ended_by_what_is_no_error_end_the_flow(end: type[BaseException]) -> None:
    async def batches() -> AsyncIterator[bytes]:
        yield hash_of(0)
        raise end

    async def run(address: str) -> None:
        async with AsyncMatchClient(address, key="key", retries=QUICK) as client:
            with pytest.raises(end):
                async for _ in client.stream_hashes(batches()):
                    pass

    with flowing() as server:
        asyncio.run(asyncio.wait_for(run(server.address), 60))


def test_a_server_that_stays_away_is_given_up(flow: Flow) -> None:
    def step(_: object, context: grpc.ServicerContext) -> None:
        fail(context, UnavailableError("Away."))

    with flowing(step) as server, pytest.raises((UnavailableError, DeadlineExceededError)):
        next(flow(server.address, [hash_of(1)], 1.0))


def test_a_server_that_is_back_within_the_timeout_is_asked_however_often_it_was_away(
    flow: Flow,
) -> None:
    failures = iter(range(5 * ATTEMPTS))

    def step(request: match_pb2.StreamMatchHashesRequest, context: grpc.ServicerContext) -> None:
        if request.batch.hashes == hash_of(2) and next(failures, None) is not None:
            fail(context, UnavailableError("Away."))

    with flowing(step) as server:
        assert numbers(flow(server.address, map(hash_of, range(5)), 60)) == list(range(5))
    assert len(server.calls) > 5 * ATTEMPTS


def test_a_flow_goes_on_after_a_restart_that_takes_more_attempts_than_a_call_has(
    flow: Flow,
) -> None:
    done = threading.Event()

    def restart(port: int) -> None:
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.settimeout(60)
            for _ in range(3 * ATTEMPTS):
                listener.accept()[0].close()
        with flowing(port=port):
            done.wait(60)

    with flowing() as server:
        answers = flow(server.address, map(hash_of, range(200)), 60)
        first = numbers(islice(answers, 3))
    with ThreadPoolExecutor() as thread:
        restarted = thread.submit(restart, int(server.address.rpartition(":")[2]))
        try:
            assert first + numbers(answers) == list(range(200))
        finally:
            done.set()
        restarted.result()


def test_a_failure_of_what_gives_the_batches_is_raised_after_their_answers(flow: Flow) -> None:
    def batches() -> Iterator[bytes]:
        yield from map(hash_of, range(3))
        raise ZeroDivisionError

    with flowing() as server:
        answers = flow(server.address, batches())
        assert numbers(islice(answers, 3)) == [0, 1, 2]
        with pytest.raises(ZeroDivisionError):
            next(answers)


@pytest.mark.parametrize("bad", [b"", bytes(31), Batch(bytes(32), [101])])
def test_a_batch_that_cannot_be_asked_is_refused_in_its_place(flow: Flow, bad: bytes) -> None:
    with flowing() as server:
        answers = flow(server.address, [hash_of(1), bad, hash_of(2)])
        assert numbers(islice(answers, 1)) == [1]
        with pytest.raises(InvalidRequestError):
            next(answers)


def test_no_more_is_read_than_the_window_while_answers_are_not_taken(flow: Flow) -> None:
    given = []

    def batches() -> Iterator[bytes]:
        for number in range(1000):
            given.append(number)
            yield hash_of(number)

    with flowing() as server:
        answers = flow(server.address, batches())
        for taken in range(1, 5):
            next(answers)
            deadline_s = time.monotonic() + 0.2
            while time.monotonic() < deadline_s:
                assert len(given) <= taken + IN_FLIGHT + 1
                time.sleep(0.01)
        answers.close()
    assert len(server.batches) <= 4 + IN_FLIGHT + 1


def test_an_answer_that_does_not_come_is_a_deadline_exceeded(flow: Flow) -> None:
    silent = threading.Event()

    def step(request: match_pb2.StreamMatchHashesRequest, _: object) -> None:
        if request.batch.hashes == hash_of(2):
            silent.wait(60)

    with flowing(step) as server:
        answers = flow(server.address, map(hash_of, range(5)), 3.0)
        assert numbers(islice(answers, 2)) == [0, 1]
        with pytest.raises(DeadlineExceededError):
            next(answers)
        silent.set()


def test_a_flow_outlasts_its_timeout_and_moves_to_other_connections(flow: Flow) -> None:
    def batches() -> Iterator[bytes]:
        for number in range(40):
            time.sleep(0.1)
            yield hash_of(number)

    with flowing() as server:
        assert numbers(flow(server.address, batches(), 2.0)) == list(range(40))
    assert len(server.calls) > 2
    assert len(set(server.calls)) > 1


def test_an_iterable_will_do_for_asyncio() -> None:
    async def ask(address: str) -> list[int]:
        async with AsyncMatchClient(address, key="key") as client:
            answers = [answer async for answer in client.stream_hashes(map(hash_of, range(100)))]
        return numbers(answers)

    with flowing() as server:
        assert asyncio.run(ask(server.address)) == list(range(100))


def test_answers_come_while_the_next_batch_is_awaited() -> None:
    more = threading.Event()

    def batches() -> Iterator[bytes]:
        yield hash_of(1)
        assert more.wait(60)
        yield hash_of(2)

    with flowing() as server:
        answers = in_thread(server.address, batches())
        assert numbers(islice(answers, 1)) == [1]
        more.set()
        assert numbers(answers) == [2]


def test_a_flow_that_is_closed_ends_its_call(flow: Flow) -> None:
    ended = threading.Event()

    def step(request: match_pb2.StreamMatchHashesRequest, context: grpc.ServicerContext) -> None:
        if not request.sequence:
            context.add_callback(ended.set)

    with flowing(step) as server:
        answers = flow(server.address, map(hash_of, count()))
        next(answers)
        answers.close()
        assert ended.wait(60)


def test_answers_out_of_order_are_refused(flow: Flow) -> None:
    def step(request: match_pb2.StreamMatchHashesRequest, _: object) -> None:
        request.sequence += 1

    with flowing(step) as server, pytest.raises(DisruptError, match="order"):
        next(flow(server.address, [hash_of(1)]))

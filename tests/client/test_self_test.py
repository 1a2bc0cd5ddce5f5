"""The self-test passes only where everything was tried and holds, and says what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from disrupt import test_bank
from disrupt.client import AsyncMatchClient, MatchClient, RetryPolicy, SelfTest, self_test
from disrupt.client.results import HashAnswer, ImageAnswer, Match
from disrupt.core.media import Assurance, MediaKind
from disrupt.core.transforms import IDENTITY
from disrupt.errors import (
    DisruptError,
    InvalidRequestError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
    Violation,
)
from disrupt.v1 import match_pb2
from tests.client.scripted import Answer, scripted, status_of

OLDER = InvalidRequestError.of(Violation("options.banks", "no bank is named 'test'"))
NAMES = ["server", "same", "jpeg", "cropped", "mirrored", "sent", "unregistered", "latency"]


def both(*script: Answer) -> list[SelfTest]:
    """Run the self-test of both clients against a server that answers by a script."""

    async def aio(address: str) -> SelfTest:
        async with AsyncMatchClient(address, key="k", retries=once) as client:
            return await client.self_test()

    once = RetryPolicy(attempts=1)
    results = list[SelfTest]()
    for _ in range(2):
        with scripted(*script) as server:
            if results:
                results.append(asyncio.run(aio(server.address)))
            else:
                with MatchClient(server.address, key="k", retries=once) as client:
                    results.append(client.self_test())
    return results


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UnauthenticatedError("This key is not known here."), "not known"),
        (PermissionDeniedError("This key does not have the right match."), "right match"),
        (UnavailableError("Away."), "Away"),
    ],
)
def test_what_refuses_every_call_is_said_and_nothing_else_is_tried(
    error: DisruptError, said: str
) -> None:
    for result in both(status_of(error)):
        (check,) = result.checks
        assert (check.name, check.passed, result.passed) == ("server", False, False)
        assert said in check.came
        assert result.latency_ms is None


def test_an_older_server_is_said_to_be_older() -> None:
    for result in both(match_pb2.GetIndexStatusResponse(), status_of(OLDER)):
        assert [(check.name, check.passed) for check in result.checks] == [
            ("server", True),
            ("same", False),
        ]
        assert "older than the test bank" in result.checks[-1].came
        assert not result.passed


def match_of(item_id: str) -> Match:
    return Match(
        item_id=item_id,
        bank="test",
        assurance=Assurance.SELF_REPORTED,
        distance_bits=3,
        kind=MediaKind.IMAGE,
        query_transform=IDENTITY,
        transform=IDENTITY,
        plan=0,
        ordinal=0,
        match_id=b"m",
    )


def run(answer: Callable[[self_test.Trial], Any]) -> SelfTest:
    """Answer the steps of the self-test."""
    trials = self_test.trials()
    steps, given = self_test.steps(trials, is_encrypted=True), iter(trials)
    ask = next(steps)
    try:
        while True:
            if ask.method == "match_image":
                ask = steps.send(answer(next(given)))
            else:
                ask = steps.send(
                    (HashAnswer((), truncated=False, low_quality=False, index_cursor=""),)
                )
    except StopIteration as end:
        result: SelfTest = end.value
        return result


def image_answer(*item_ids: str) -> ImageAnswer:
    return ImageAnswer(
        matches=tuple(map(match_of, item_ids)),
        truncated=False,
        quality=90,
        low_quality=False,
        advice="",
        index_cursor="",
    )


def right(trial: self_test.Trial) -> ImageAnswer:
    return image_answer(*filter(None, [trial.item_id]))


def test_right_answers_to_everything_pass() -> None:
    result = run(right)
    assert result.passed
    assert [check.name for check in result.checks] == NAMES
    assert "over TLS" in result.checks[0].tried


@pytest.mark.parametrize("wrong", NAMES[1:-1])
@pytest.mark.parametrize("item_ids", [[], [test_bank.item_id(9).hex()]])
def test_one_wrong_answer_fails_and_the_rest_is_tried_all_the_same(
    wrong: str, item_ids: list[str]
) -> None:
    def answer(trial: self_test.Trial) -> ImageAnswer:
        return image_answer(*item_ids) if trial.name == wrong else right(trial)

    if wrong == "unregistered" and not item_ids:
        return  # nothing is right there
    result = run(answer)
    assert not result.passed
    assert [check.name for check in result.checks] == NAMES
    assert [check.name for check in result.checks if not check.passed] == [wrong]


def test_what_fails_in_the_middle_is_said() -> None:
    def answer(trial: self_test.Trial) -> object:
        return UnavailableError("Away.") if trial.name == "mirrored" else right(trial)

    result = run(answer)
    assert not result.passed
    assert (result.checks[-1].name, result.checks[-1].came) == ("mirrored", "Away.")

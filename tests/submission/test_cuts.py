"""Wherever a call is cut, the commands say what is certain, and of what else, that it is not."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import example, given, settings
from hypothesis import strategies as st

from disrupt.client import terminal
from disrupt.client.calls import call
from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    OverloadedError,
    StorageFullError,
    UnavailableError,
)
from disrupt.submission import client as submission_client
from disrupt.submission import waiting
from disrupt.submission.client import SubmissionClient
from disrupt.submission.showing import SubmissionPrinter
from disrupt.v1 import registration_pb2
from rig.callers.shell import Done, typed
from rig.media.generated import picture
from rig.servers.scripted import Answer, ScriptedServer, scripted, status_of
from rig.servers.scripted_registration import OTHER_CASE, SHOWN, asked, derived, receipt, register

PIN = "210987654321"


class Cut(enum.Enum):
    """What comes of an attempt: an error, or what is said."""

    ANSWERED = None
    BUSY = OverloadedError("Busy, for a moment.", retry_after_s=0.01)
    REFUSED = OverloadedError("Busy.", retry_after_s=3600)
    FULL = StorageFullError("Full.")
    LOST = UnavailableError("Away, and soon tried again.")
    GONE = UnavailableError("Away.", retry_after_s=3600)
    LATE = DeadlineExceededError("Late.")
    FAILED = DisruptError("The server failed.")
    MISFIT = "an answer that does not fit the request"
    CTRL_C = "during the attempt"
    CTRL_C_BETWEEN = "in the pause before the next attempt"

    @property
    def reason(self) -> str:
        """The reason given for each file that it stopped."""
        if isinstance(self.value, DisruptError):
            return self.value.reason
        return DisruptError.reason if self is Cut.MISFIT else "INTERRUPTED"


INTERRUPTS = {Cut.CTRL_C, Cut.CTRL_C_BETWEEN}
PAUSED = {Cut.BUSY, Cut.LOST}
"""Cuts after which a call waits and is tried again."""


@dataclass(frozen=True)
class Kind:
    """A kind of call. Cuts in ``clear`` change nothing; ``lates`` late answers end the call."""

    clear: frozenset[Cut]
    lates: int
    possible: tuple[Cut, ...]

    def ends(self, cuts: Sequence[Cut]) -> bool:
        """Tell whether no attempt follows after these."""
        if cuts[-1] is Cut.LATE:
            return cuts.count(Cut.LATE) == self.lates
        return cuts[-1] not in PAUSED


CLEAR = frozenset({Cut.BUSY, Cut.REFUSED, Cut.CTRL_C_BETWEEN})
SUBMISSION = Kind(CLEAR | {Cut.FULL}, 2, tuple(Cut))
WITHDRAWAL = Kind(CLEAR, 1, tuple(cut for cut in Cut if cut is not Cut.MISFIT))


@st.composite
def attempts(draw: st.DrawFn, kind: Kind) -> list[Cut]:
    """Draw what comes of the attempts of one call."""
    cuts: list[Cut] = []
    while not (cuts and kind.ends(cuts)):
        is_paused = bool(cuts) and cuts[-1] in PAUSED
        possible = [cut for cut in kind.possible if is_paused or cut is not Cut.CTRL_C_BETWEEN]
        cuts.append(draw(st.sampled_from(possible)))
    return cuts


@dataclass
class Service:
    """Answer attempts by the cuts that are left; ``given`` has those before, with requests."""

    done: Message | None
    """What answers a withdrawal; None where registrations are answered."""
    left: list[Cut]
    given: list[tuple[bytes, Cut]] = field(default_factory=list)

    def answer(self, request: bytes) -> Message:
        cut = self.left.pop(0)
        self.given.append((request, cut))
        if isinstance(cut.value, DisruptError):
            return status_of(cut.value)
        if cut is Cut.MISFIT:
            return receipt(case_number=OTHER_CASE)
        return self.done or register(request)

    def sleep(self, _pause_s: float) -> None:
        if self.left[:1] == [Cut.CTRL_C_BETWEEN]:
            self.given.append((self.given[-1][0], self.left.pop(0)))
            raise KeyboardInterrupt

    def call(self, *arguments: Any, **options: Any) -> Any:
        """Call, and be interrupted before the answer is seen."""
        answer = call(*arguments, **options)
        if self.given and self.given[-1][1] is Cut.CTRL_C:
            raise KeyboardInterrupt
        return answer

    @property
    def calls(self) -> list[list[Cut]]:
        """What came of the attempts of each call, all of which sent the same bytes."""
        by_request = itertools.groupby(self.given, lambda attempt: attempt[0])
        return [[cut for _, cut in attempts] for _, attempts in by_request]


PLACES = {
    "reach": SubmissionClient,
    "announce": SubmissionPrinter,
    "close": SubmissionClient,
    "__exit__": terminal.Progress,
}
"""Where Ctrl-C may meet a command beside its calls: before it sends, or once all is answered."""


@contextmanager
def cutting(
    cuts: Sequence[Cut], place: str | None, *, done: Message | None = None, adds: bool = False
) -> Iterator[tuple[Service, ScriptedServer]]:
    """Serve attempts by cuts, without pauses; press Ctrl-C at a place of PLACES, too."""
    service = Service(done, list(cuts))
    script: list[Answer] = [*([SHOWN] if adds else []), service.answer]
    with scripted(*script) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting, "time", SimpleNamespace(sleep=service.sleep, monotonic=lambda: 0.0))
        patch.setattr(submission_client, "call", service.call)
        if place is not None:
            method = getattr(PLACES[place], place)

            def interrupt(*arguments: object) -> None:
                method(*arguments)
                raise KeyboardInterrupt

            patch.setattr(PLACES[place], place, interrupt)
        yield service, server
    assert not service.left


def ran(server: ScriptedServer, *arguments: str) -> Done:
    return typed(*arguments, DISRUPT_SERVER=server.address, DISRUPT_KEY="key", DISRUPT_PIN=PIN)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return files that take two requests."""
    directory = tmp_path_factory.mktemp("files")
    return [str(picture(directory / f"{at}.png", at)) for at in range(3)]


submissions = attempts(SUBMISSION).flatmap(
    lambda cuts: attempts(SUBMISSION).map(
        lambda others: cuts + (others if cuts[-1] is Cut.ANSWERED else [])
    )
)


@given(
    cuts=submissions,
    adds=st.booleans(),
    place=st.none() | st.sampled_from(["close", "__exit__"]),
    as_json=st.booleans(),
)
@example(cuts=[Cut.LATE, Cut.ANSWERED, Cut.ANSWERED], adds=False, place=None, as_json=True)
@example(cuts=[Cut.LOST, Cut.REFUSED], adds=False, place=None, as_json=True)
@example(cuts=[Cut.GONE], adds=False, place=None, as_json=False)
@example(cuts=[Cut.GONE], adds=True, place=None, as_json=False)
@example(cuts=[Cut.ANSWERED, Cut.FULL], adds=False, place="__exit__", as_json=True)
@example(cuts=[Cut.ANSWERED, Cut.LOST, Cut.BUSY, Cut.FULL], adds=True, place=None, as_json=True)
@example(cuts=[Cut.REFUSED], adds=False, place="close", as_json=False)
@settings(max_examples=150)
def test_a_submission_says_of_each_file_what_is_certain(
    files: list[str], *, cuts: list[Cut], adds: bool, place: str | None, as_json: bool
) -> None:
    options = [*(["--json"] if as_json else []), *(["--case", OTHER_CASE] if adds else [])]
    with cutting(cuts, place, adds=adds) as (service, server):
        done = ran(server, "submit", "--age=adult", *options, *files)
    registered, unknown = list[str](), list[str]()
    for came, sent in zip(service.calls, (files[:2], files[2:]), strict=False):
        if came[-1] is Cut.ANSWERED:
            registered += sent
        elif not SUBMISSION.clear.issuperset(came):
            unknown += sent
    if not (registered or unknown):
        assert done.code == terminal.EXIT_FAILED
        assert "nothing_was_registered" in done.said
        is_interrupted = cuts[-1] in INTERRUPTS or place is not None
        assert ("interrupted" in done.said) == is_interrupted
        assert (cuts[-1].reason in done.err) == (not is_interrupted)
        assert not as_json or adds or (done.json["items"], done.json["rejected"]) == ([], [])
        return
    rejected = [file for file in files if file not in registered + unknown]
    some = terminal.EXIT_SOME_REJECTED if rejected else 0
    assert done.code == (terminal.EXIT_NOT_KNOWN if unknown else some)
    assert not done.said & {"nothing_was_registered", "interrupted"}
    if as_json:
        assert [file["input"] for file in done.json["items"]] == registered
        assert done.json.get("unknown", []) == unknown
        left = [(file["input"], file["reason"]) for file in done.json["rejected"]]
        assert left == [(file, cuts[-1].reason) for file in rejected]
        if adds:
            access = OTHER_CASE, PIN if registered else None
        else:
            access = derived(server), asked(server.seen[0].request).access.pin
        assert (done.json["case"], done.json["pin"]) == access
    else:
        is_new = not adds and not registered
        assert done.said & {
            "registered",
            "not_known",
            "not_known_of_new",
            "not_known_of_added",
        } == {
            *(["registered"] if registered else []),
            *(["not_known", f"not_known_of_{'new' if is_new else 'added'}"] if unknown else []),
        }
        says_of_rest = bool(unknown and rejected) and is_new
        assert ("stopped_before_a_case" in done.said) == says_of_rest


WITHDRAWN = registration_pb2.Case(
    case_number=OTHER_CASE, status=registration_pb2.CASE_STATUS_WITHDRAWN
)
WHOLE = registration_pb2.WithdrawCaseResponse(case=WITHDRAWN)
ITEM = registration_pb2.WithdrawItemsResponse(
    case=WITHDRAWN, withdrawn=[registration_pb2.WithdrawnItem(number=1)]
)


@given(
    cuts=attempts(WITHDRAWAL),
    answer=st.sampled_from([WHOLE, ITEM]),
    place=st.none() | st.just("close"),
    as_json=st.booleans(),
)
@example(cuts=[Cut.LOST, Cut.REFUSED], answer=WHOLE, place=None, as_json=False)
@example(cuts=[Cut.FULL], answer=ITEM, place=None, as_json=False)
@example(cuts=[Cut.REFUSED], answer=WHOLE, place="close", as_json=False)
@settings(max_examples=100)
def test_a_withdrawal_is_done_or_not_or_not_known(
    *, cuts: list[Cut], answer: Message, place: str | None, as_json: bool
) -> None:
    options = [*(["--json"] if as_json else []), *(["--item", "1"] if answer is ITEM else [])]
    with cutting(cuts, place, done=answer) as (_, server):
        done = ran(server, "withdraw", "--yes", *options, OTHER_CASE)
    if cuts[-1] is Cut.ANSWERED:
        code, key = 0, "items_withdrawn" if answer is ITEM else "withdraw.done"
    elif WITHDRAWAL.clear.issuperset(cuts):
        code, key = terminal.EXIT_FAILED, "nothing_was_withdrawn"
    else:
        code, key = terminal.EXIT_NOT_KNOWN, "withdrawal_not_known"
    assert (done.code, bool(done.out)) == (code, code == 0)
    if as_json and code == 0:
        assert done.json["status"] == "WITHDRAWN"
    else:
        keys = {"items_withdrawn", "withdraw.done", "nothing_was_withdrawn", "withdrawal_not_known"}
        assert done.said & keys == {key}


@pytest.mark.parametrize("place", ["reach", "announce"])
def test_ctrl_c_before_anything_is_sent_says_so(files: list[str], place: str) -> None:
    with cutting([], place) as (_, server):
        done = ran(server, "submit", "--age=adult", *files)
        assert (done.code, server.seen) == (terminal.EXIT_FAILED, [])
        assert done.said >= {"interrupted", "nothing_was_registered"}

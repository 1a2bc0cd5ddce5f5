"""No request is lost or sent twice, whatever happens to the service."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from disrupt.core.cases import case_number
from disrupt.core.registrations import Outcome, ShownState
from disrupt.errors import (
    CaseRefusedError,
    StorageFullError,
    UnavailableError,
)
from disrupt.submission import client as submission_client
from disrupt.submission.client import SubmissionClient
from disrupt.v1 import registration_pb2, types_pb2
from rig.media.generated import no_picture, picture, plain
from rig.servers.scripted import scripted, status_of
from rig.servers.scripted_registration import (
    OTHER_CASE,
    QUICK,
    SHOWN,
    asked,
    derived,
    item,
    receipt,
    register,
)

REAL, EACH = submission_client.ITEMS_PER_REQUEST, 2
"""Files in a request: of the program, and as conftest.py sets it for these tests."""


def test_two_submissions_share_neither_request_id_nor_pin(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 1)
    with scripted(register) as server:
        for _ in range(2):
            with SubmissionClient(server.address, key="key") as client:
                client.submit([file])
    first, second = (asked(call.request) for call in server.seen)
    assert first.request_id != second.request_id
    assert first.access.pin != second.access.pin


def test_many_files_become_one_case_under_one_pin(tmp_path: Path) -> None:
    files = [picture(tmp_path / f"{at}.png", at) for at in range(2 * EACH + 1)]
    with scripted(register) as server, SubmissionClient(server.address, key="key") as client:
        done = client.submit(files)
    contexts, case = [asked(call.request) for call in server.seen], derived(server)
    assert [context.access.case_number for context in contexts] == ["", case, case]
    assert [context.new_case_number for context in contexts] == [case, "", ""]
    assert {context.access.pin for context in contexts} == {done.pin}
    assert len({context.request_id for context in contexts}) == 3
    assert [registered.source for registered in done.registered] == [str(file) for file in files]
    assert len({registered.item_id for registered in done.registered}) == len(files)


def test_an_outcome_that_is_not_known_is_added_and_a_state_that_is_not_known_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission_client, "ITEMS_PER_REQUEST", 8)
    said = [0, 1, 2, 3, 4]
    files = [picture(tmp_path / f"{at}.png", at) for at in said]

    def answer(request: bytes) -> registration_pb2.RegisterHashesResponse:
        response = register(request)
        for named, value in zip(response.receipt.items, said, strict=True):
            named.outcome = named.state = value  # type: ignore[assignment]  # one is to come
        return response

    with scripted(answer) as server, SubmissionClient(server.address, key="key") as client:
        done = client.submit(files)
    added, renewed, kept = Outcome
    outcomes = [registered.outcome for registered in done.registered]
    assert outcomes == [added, added, renewed, kept, added]
    states = [registered.state for registered in done.registered]
    assert states == [None, *ShownState, None]


def test_an_interrupt_at_any_line_after_the_answer_loses_no_case(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 1)
    lines_left = 0
    answered = False
    traced = {SubmissionClient.submit.__code__, SubmissionClient._send.__code__}

    def interrupt(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines_left, answered
        if frame.f_code not in traced:
            return None
        answered = answered or frame.f_locals.get("receipt") is not None
        if event == "line" and answered:
            lines_left -= 1
            if lines_left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return interrupt

    with scripted(register) as server:
        for lines in range(100):
            lines_left, answered = lines, False
            with SubmissionClient(server.address, key="key") as client:
                tracing = sys.gettrace()
                sys.settrace(interrupt)
                try:
                    done = client.submit([file])
                except KeyboardInterrupt:
                    assert client.may_have_changed
                else:
                    number = asked(server.seen[-1].request).new_case_number
                    pin = asked(server.seen[-1].request).access.pin
                    assert (done.case_number, done.pin) == (number, pin), f"after {lines} lines"
                    assert len(done.registered) + len(done.unknown) == 1
                finally:
                    sys.settrace(tracing)
            if lines_left >= 0:
                break
    assert lines > 10


def test_a_path_that_is_given_several_times_is_reported_as_often(tmp_path: Path) -> None:
    first, second = picture(tmp_path / "a.png", 1), picture(tmp_path / "b.png", 2)
    files = [first, first, first, second, first]
    for failure, unknown in ((StorageFullError("Full."), 0), (UnavailableError("Away."), 2)):
        with (
            scripted(register, status_of(failure)) as server,
            SubmissionClient(server.address, key="key", retries=QUICK) as client,
        ):
            done = client.submit(files)
        assert [file.source for file in done.registered] == [str(first)] * 2
        assert len(done.unknown) == unknown
        left = [file.source for file in (*done.unknown, *done.rejected)]
        assert left == [str(file) for file in files[2:]]


def reject(request: bytes) -> registration_pb2.RegisterHashesResponse:
    """Reject all items as too featureless for this server."""
    items = registration_pb2.RegisterHashesRequest.FromString(request).items
    low = types_pb2.LowQuality(quality=40)
    rejected = [
        registration_pb2.RejectedItem(index=at, low_quality=low) for at in range(len(items))
    ]
    return registration_pb2.RegisterHashesResponse(
        receipt=registration_pb2.Receipt(rejected=rejected)
    )


def test_the_case_that_was_shown_is_opened_by_the_first_request_that_registers_something(
    tmp_path: Path,
) -> None:
    files = [picture(tmp_path / f"{at}.png", at) for at in range(2 * EACH + 1)]
    shown: list[tuple[str, str]] = []
    with (
        scripted(reject, register) as server,
        SubmissionClient(server.address, key="key") as client,
    ):
        done = client.submit(files, announce=lambda *numbers: shown.append(numbers))
    assert shown == [(done.case_number, done.pin)]
    contexts = [asked(call.request) for call in server.seen]
    case = done.case_number
    assert [context.new_case_number for context in contexts] == [case, case, ""]
    assert [context.access.case_number for context in contexts] == ["", "", case]
    assert (len(done.rejected), len(done.registered)) == (EACH, EACH + 1)
    with scripted(reject) as server, SubmissionClient(server.address, key="key") as client:
        assert client.submit(files[:1]).case_number == ""


def test_number_and_pin_are_announced_before_anything_is_sent(tmp_path: Path) -> None:
    files = [plain(tmp_path / "plain.png"), picture(tmp_path / "a.png", 1)]
    with (
        scripted(register, SHOWN, register) as server,
        SubmissionClient(server.address, key="key") as client,
    ):

        def announce(case: str, pin: str) -> None:
            shown.append((case, pin, len(server.seen)))

        shown: list[tuple[str, str, int]] = []
        done = client.submit(files, announce=announce)
        assert shown == [(done.case_number, done.pin, 0)]
        client.submit(files, announce=announce, case_number=OTHER_CASE, pin="210987654321")
        assert len(shown) == 1, "known already"
        asked_before = len(server.seen)
        done = client.submit(files[:1], announce=announce)
        assert (done.case_number, done.pin, done.registered) == ("", "", ())
        assert (len(shown), len(server.seen)) == (1, asked_before), "nothing to send"


def test_files_that_cannot_be_hashed_are_not_sent_and_the_others_are(tmp_path: Path) -> None:
    files = [
        no_picture(tmp_path / "note.txt"),
        picture(tmp_path / "a.png", 1),
        plain(tmp_path / "plain.png"),
        tmp_path / "missing.png",
        tmp_path,
        picture(tmp_path / "b.png", 2),
    ]
    with scripted(register) as server, SubmissionClient(server.address, key="key") as client:
        done = client.submit(files)
    assert [Path(registered.source).name for registered in done.registered] == ["a.png", "b.png"]
    assert [(Path(rejection.source).name, rejection.reason) for rejection in done.rejected] == [
        ("note.txt", "INVALID_MEDIA"),
        ("plain.png", "LOW_QUALITY"),
        ("missing.png", "UNREADABLE_MEDIA"),
        (tmp_path.name, "UNREADABLE_MEDIA"),
    ]
    low = done.rejected[1]
    assert low.quality is not None
    assert low.quality < 50
    assert len(server.seen) == 1


def test_a_wrong_pin_is_noticed_before_anything_is_hashed(tmp_path: Path) -> None:
    hashed: list[str] = []

    def watched(files: Sequence[str]) -> Iterator[str]:
        for file in files:
            hashed.append(file)
            yield file

    with (
        scripted(status_of(CaseRefusedError())) as server,
        SubmissionClient(server.address, key="key") as client,
        pytest.raises(CaseRefusedError),
    ):
        client.submit(
            [picture(tmp_path / "a.png", 1)],
            case_number=OTHER_CASE,
            pin="210987654321",
            watched=watched,
        )
    assert not hashed
    assert not client.may_have_changed


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"items": [item(1)]},
        {"items": [item(0), item(0)]},
        {"items": [item(0)], "rejected": [registration_pb2.RejectedItem(index=0)]},
        {"items": [item(0, b"short")]},
        {"items": [item(0)], "case_number": ""},
        {"items": [item(0)], "case_number": "ABCD-EFGH-JKL"},
    ],
)
def test_an_answer_that_does_not_fit_its_request_loses_neither_files_nor_case(
    tmp_path: Path, answer: dict[str, Any]
) -> None:
    file = picture(tmp_path / "a.png", 1)
    with (
        scripted(receipt(**{"case_number": OTHER_CASE} | answer)) as server,
        SubmissionClient(server.address, key="key") as client,
    ):
        done = client.submit([file])
    assert [(unknown.source, unknown.reason) for unknown in done.unknown] == [
        (str(file), "INTERNAL")
    ]
    assert (done.registered, done.rejected) == ((), ())
    assert "answer" in done.unknown[0].message
    (seen,) = server.seen
    assert (done.case_number, done.pin) == (derived(server), asked(seen.request).access.pin)


def test_an_answer_of_another_case_than_the_named_one_is_not_believed(tmp_path: Path) -> None:
    foreign = receipt(case_number=case_number(3), items=[item(0)])
    with (
        scripted(SHOWN, foreign) as server,
        SubmissionClient(server.address, key="key") as client,
    ):
        done = client.submit(
            [picture(tmp_path / "a.png", 1)], case_number=OTHER_CASE, pin="210987654321"
        )
    assert (done.case_number, len(done.unknown)) == (OTHER_CASE, 1)


def test_whatever_fails_after_a_registration_what_was_acknowledged_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission_client, "ITEMS_PER_REQUEST", 1)
    files = [picture(tmp_path / f"{at}.png", at) for at in range(2)]

    def watched(sources: Sequence[str]) -> Iterator[str]:
        yield sources[0]
        raise ZeroDivisionError

    with scripted(register) as server, SubmissionClient(server.address, key="key") as opened:
        done = opened.submit(files, watched=watched)
        assert opened.may_have_changed
    assert (done.case_number, len(done.registered)) == (derived(server), 1)
    assert [(file.source, file.reason) for file in done.rejected] == [(str(files[1]), "INTERNAL")]
    assert done.rejected[0].message.startswith("ZeroDivisionError")


def test_the_pin_of_a_named_case_is_given_back_only_where_something_is_in_it_for_certain(
    tmp_path: Path,
) -> None:
    files = no_picture(tmp_path / "note.txt"), picture(tmp_path / "a.png", 1)
    with (
        scripted(SHOWN, SHOWN, reject) as server,
        SubmissionClient(server.address, key="key") as client,
    ):
        for file in files:
            done = client.submit([file], case_number=OTHER_CASE, pin="210987654321")
            assert (done.case_number, done.pin, len(done.rejected)) == (OTHER_CASE, "", 1)
            assert not client.may_have_changed


def test_what_only_asks_changes_nothing() -> None:
    with (
        scripted(status_of(UnavailableError("Away.", retry_after_s=3600))) as server,
        SubmissionClient(server.address, key="key") as client,
    ):
        client.reach()
        with pytest.raises(UnavailableError):
            client.case(OTHER_CASE, "210987654321")
        assert not client.may_have_changed

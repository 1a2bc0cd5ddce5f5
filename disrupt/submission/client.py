"""Register, show and withdraw from a person's device. Files are hashed here, and hashes sent."""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from disrupt.client.calls import CallSettings, call
from disrupt.client.connection import DEFAULT_SERVER, connect
from disrupt.client.retries import RetryPolicy
from disrupt.core.cases import PIN_DIGITS, AgeBand, new_case_number, parse_case_number
from disrupt.core.media import ITEM_ID_BYTES, LowQuality
from disrupt.core.registrations import REQUEST_ID_BYTES
from disrupt.errors import (
    CaseClosedError,
    ClientUnusableError,
    DeadlineExceededError,
    DisruptError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RequestIdReusedError,
    StorageFullError,
    TooManyAttemptsError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)
from disrupt.hashing import fingerprint_frames, fingerprint_image
from disrupt.submission import requests, results
from disrupt.submission.ages import Aged, AgeRule, Ages
from disrupt.submission.files import Hashed, Hashing, too_plain
from disrupt.submission.results import (
    NOT_SENT,
    Case,
    Registered,
    Rejected,
    Submission,
    Withdrawal,
    WithdrawalReceipt,
)
from disrupt.submission.waiting import Waiting
from disrupt.v1 import registration_pb2
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub

TIMEOUT_S = 30.0

RETRIES = RetryPolicy(attempts=None)
"""Tries as often as time allows: a server that restarts is soon back and has the answer then."""

ITEMS_PER_REQUEST = 8
"""Most files in one request; more are registered in several, into the same case."""

_AFTER_ITS_TURN_S = 0.5
"""Added to the wait of a throttled call, so that it does not come too early."""

_REFUSALS = (
    CaseClosedError,
    ClientUnusableError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RequestIdReusedError,
    UnauthenticatedError,
    UnimplementedError,
)
"""Errors of calls that changed nothing: refused by the server, or never sent."""

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def new_pin() -> str:
    """Draw the PIN of a new case: 12 random digits."""
    return f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}}"


@dataclass(slots=True)
class _Begun:
    """The state of a submission while it runs. ``sending`` are the files of the last request.

    ``opens`` names the case once it exists, ``number`` is the one that a new case gets. ``adds`` is
    True where the case existed before.
    """

    sources: Sequence[str] = ()
    number: str = ""
    opens: registration_pb2.CaseAccess = field(default_factory=registration_pb2.CaseAccess)
    adds: bool = False
    registered: list[Registered] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    sending: list[Hashed] = field(default_factory=list)
    failure: BaseException = field(default_factory=KeyboardInterrupt)


class SubmissionClient:
    """Register a person's files, and show or withdraw their case.

    For example::

        with SubmissionClient("disrupt.example:50051", key=key) as client:
            done = client.submit(["a.jpg"], age=AgeBand.ADULT, announce=show_number_and_pin)
            case = client.case(done.case_number, done.pin)
            client.withdraw(done.case_number, done.pin)

    Files are hashed in this process, and only hashes are sent. ``server``, ``key`` and ``tls_ca``
    are as in MatchClient; a call may take ``timeout_s``, its retries included; ``waiting`` is told
    when a call is tried again. Every method raises classes of disrupt.errors only, and is safe to
    repeat after an UnavailableError. Not thread-safe; close it, or use it as a context.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        key: str,
        tls_ca: bytes | str | Path | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: RetryPolicy = RETRIES,
        waiting: Waiting | None = None,
    ) -> None:
        self._connection = connect(server, key, tls_ca)
        self._timeout_s = timeout_s
        self._retries = retries
        self._waiting = waiting or Waiting()
        self._unclear = False
        self._begun = _Begun()
        self._channel = self._connection.open()
        self._stub = RegistrationServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    @property
    def may_have_changed(self) -> bool:
        """True if the last submission or withdrawal changed a case, or may have, unanswered."""
        return self._unclear or bool(self._begun.registered)

    def reach(self) -> None:
        """Raise UnavailableError or DeadlineExceededError unless the server answers.

        It requests nothing else. A call that fails later may have taken effect; one that is not
        made because this failed has not.
        """
        check = self._channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            self._call(check, HealthCheckRequest(), retries=RetryPolicy(attempts=6))
        except (UnavailableError, DeadlineExceededError):
            raise
        except DisruptError:
            return  # an error is an answer, too

    def submit(
        self,
        files: Sequence[str | os.PathLike[str]],
        *,
        age: AgeBand | AgeRule = AgeBand.UNSURE,
        case_number: str = "",
        pin: str = "",
        every_frame: bool = False,
        announce: Callable[[str, str], None] = lambda _case_number, _pin: None,
        watched: Callable[[Sequence[str]], Iterable[str]] = iter,
        within: Callable[[int, int], None] = lambda _time_ms, _duration_ms: None,
    ) -> Submission:
        """Register pictures and videos, as a new case or into ``case_number``, which ``pin`` opens.

        ``age`` is that of the person shown; UNSURE is treated as minor. A picture that the case has
        already keeps its age, unless ``age`` says another. An AgeRule may ask and confirm.

        An empty ``pin`` draws a random one, for a new case. ``announce`` is called with number and
        PIN of a new case before anything is sent; if it raises, nothing is sent. Of an animation
        the first frame that is not too plain is registered, or with ``every_frame`` each that
        differs from those before. Number and PIN of a case are checked before anything is hashed.
        ``watched`` passes the files on and may show progress; ``within`` is called with the time
        that hashing of a video has reached, and the declared duration, in ms. A file that cannot
        be registered is rejected, and the others go through. Any exception and an interrupt are
        raised if it is certain that nothing was registered; else the files that were not sent yet
        are rejected, and those of which no answer came are ``unknown``.
        """
        pin = pin or new_pin()
        request_id = secrets.token_bytes(REQUEST_ID_BYTES)
        opens = requests.access(case_number, pin)
        number = opens.case_number or new_case_number(request_id)
        sources = [os.fspath(file) for file in files]
        self._unclear = False
        self._begun = begun = _Begun(sources, number, opens, adds=bool(opens.case_number))
        announced = begun.adds
        hashing = Hashing(
            fingerprint_frames if every_frame else fingerprint_image, within, begun.rejected
        )
        hashed = hashing.each(watched(sources))
        ages = Ages(age if isinstance(age, AgeRule) else AgeRule(age), begun.rejected)
        if begun.adds:
            ages.know(self.case(case_number, pin))
        try:
            while batch := list(itertools.islice(hashed, ITEMS_PER_REQUEST)):
                groups = ages.groups(batch)
                if not announced:
                    announce(number, pin)
                    announced = True
                for group in groups:
                    if self._send(group, request_id):
                        request_id = secrets.token_bytes(REQUEST_ID_BYTES)
        except (Exception, KeyboardInterrupt) as error:
            begun.failure = error
            if not self.may_have_changed:
                raise
        return self.so_far()

    def _send(self, group: Sequence[Aged], request_id: bytes) -> bool:
        """Register files of one age; return whether that used the request id up."""
        begun, opens = self._begun, self._begun.opens
        files = [aged.file for aged in group]
        request = requests.register(
            [file.item for file in files], request_id=request_id, opens=opens, age=group[0].sent
        )
        self._unclear, begun.sending = False, files
        receipt = self._register(request)
        _check_receipt(receipt, len(files), opens.case_number)
        if receipt.items:
            opens.case_number = receipt.case_number
        for item in receipt.items:
            file = files[item.index]
            begun.registered.append(
                Registered(
                    file.source,
                    item.item_id.hex(),
                    item.hashes,
                    file.incomplete,
                    file.first_frame_only,
                    results.outcome(item.outcome),
                    item.number,
                    group[item.index].treated,
                    state=results.state(item.state),
                )
            )
        for refused in receipt.rejected:
            quality = LowQuality(refused.low_quality.quality)
            begun.rejected.append(too_plain(files[refused.index].source, quality))
        self._unclear, begun.sending = False, []
        return bool(receipt.items)

    def so_far(self) -> Submission:
        """Return what is known of the last ``submit``, wherever an interrupt ended it."""
        begun = self._begun
        rejected, unknown = list(begun.rejected), list[Rejected]()
        # Count the paths: one may be given several times.
        done = Counter([file.source for file in begun.registered])
        done.update([file.source for file in begun.rejected])
        unanswered = Counter(file.source for file in begun.sending if self._unclear)
        for source in begun.sources:
            if done[source]:
                done[source] -= 1
                continue
            into = unknown if unanswered[source] else rejected
            unanswered[source] -= into is unknown
            into.append(_not_sent(source, begun.failure))
        opened = begun.opens.case_number or (begun.number if unknown else "")
        return Submission(
            opened,
            begun.opens.pin if begun.registered or (unknown and not begun.adds) else "",
            tuple(begun.registered),
            tuple(rejected),
            tuple(unknown),
        )

    def case(self, case_number: str, pin: str) -> Case:
        """Return a case. Raises CaseRefusedError for an unknown number and a wrong PIN alike."""
        request = registration_pb2.GetCaseRequest(access=requests.access(case_number, pin))
        return results.case(self._call(self._stub.GetCase, request).case)

    def keep(self, case_number: str, pin: str) -> Case:
        """Keep a case that is about to be erased, since somebody said that its PIN is lost."""
        request = registration_pb2.KeepCaseRequest(access=requests.access(case_number, pin))
        return results.case(self._call(self._stub.KeepCase, request).case)

    def receipt(self, code: str) -> WithdrawalReceipt:
        """Return the receipt of a withdrawal, by its code.

        NotFoundError where no withdrawal has that code, UnavailableError while the audit log has no
        checkpoint with it, for up to an hour.
        """
        request = registration_pb2.GetReceiptRequest(code=code)
        return results.withdrawal_receipt(self._call(self._stub.GetReceipt, request))

    def withdraw(
        self, case_number: str, pin: str, items: Sequence[str] | None = None
    ) -> Withdrawal:
        """Withdraw items of a case, or with None all of it.

        An item is named by its number or its id (32 hex digits); an id from before it was
        registered again names it too. They stop matching within a second. Raises NotFoundError if
        one is not of this case; then nothing is withdrawn.
        """
        opens = requests.access(case_number, pin)
        self._unclear, self._begun = False, _Begun()
        if items is None:
            whole = registration_pb2.WithdrawCaseRequest(access=opens)
            return results.withdrawal(
                self._call(self._stub.WithdrawCase, whole, refusals=_REFUSALS)
            )
        some = requests.withdraw(opens, items)
        return results.withdrawal(self._call(self._stub.WithdrawItems, some, refusals=_REFUSALS))

    def _register(
        self, request: registration_pb2.RegisterHashesRequest
    ) -> registration_pb2.Receipt:
        """Send a registration until it is answered.

        All attempts have one request id: where only the answer was lost, the server repeats it.
        """
        refusals = (*_REFUSALS, StorageFullError)
        try:
            return self._call(self._stub.RegisterHashes, request, refusals=refusals).receipt
        except DeadlineExceededError:
            return self._call(self._stub.RegisterHashes, request, refusals=refusals).receipt

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        *,
        refusals: tuple[type[DisruptError], ...] | None = None,
        retries: RetryPolicy | None = None,
    ) -> _Response:
        """Call until there is an answer, or patience ends.

        ``refusals`` are the errors after which a call that changes a case has not changed it: all
        attempts of such a call keep ``may_have_changed`` up to date. None for other calls.
        """
        unclear = self._unclear
        ends_at_s = time.monotonic() + self._waiting.patience_s

        def attempt() -> grpc.UnaryUnaryMultiCallable[_Request, _Response]:
            self._unclear = unclear or refusals is not None
            return method

        def settle(failure: DisruptError) -> None:
            nonlocal unclear
            unclear = unclear or not (refusals is None or isinstance(failure, refusals))
            self._unclear = unclear

        def pause(failure: DisruptError, pause_s: float) -> None:
            settle(failure)
            self._waiting.pause(failure, pause_s)

        with self._waiting.calling():
            while True:
                try:
                    return call(
                        attempt,
                        request,
                        CallSettings(self._connection, self._timeout_s, retries or self._retries),
                        pause=pause,
                    )
                except TooManyAttemptsError as early:
                    pause_s = (early.retry_after_s or 0) + _AFTER_ITS_TURN_S
                    if time.monotonic() + pause_s >= ends_at_s:
                        settle(early)
                        raise
                    pause(early, pause_s)
                except DisruptError as failure:
                    settle(failure)
                    raise


def _check_receipt(receipt: registration_pb2.Receipt, files: int, case_number: str) -> None:
    """Refuse a receipt that does not fit its request; ``case_number`` is the one that it named.

    Raises DisruptError unless the receipt names each of the ``files`` once, with item ids and a
    case number that later calls can use.
    """
    places = [item.index for item in receipt.items] + [item.index for item in receipt.rejected]
    if sorted(places) != list(range(files)):
        raise DisruptError("The service's answer does not name each file that was sent, once.")
    if any(len(item.item_id) != ITEM_ID_BYTES for item in receipt.items):
        raise DisruptError("The service's answer has an item id that is none.")
    if receipt.items and not _names_case(receipt.case_number, case_number):
        raise DisruptError("The service's answer names no case, or another one.")


def _names_case(answered: str, asked: str) -> bool:
    """Tell whether an answer's case number is the ``asked`` one, or valid where that is empty."""
    try:
        return parse_case_number(answered) == (asked or answered)
    except InvalidRequestError:
        return False


def _not_sent(source: str, failure: BaseException) -> Rejected:
    if isinstance(failure, DisruptError):
        return Rejected(source, failure.reason, failure.message, cause=NOT_SENT)
    if isinstance(failure, KeyboardInterrupt):
        message = "Interrupted before it was known that this file is registered."
        return Rejected(source, "INTERRUPTED", message, cause=NOT_SENT)
    return Rejected(source, "INTERNAL", f"{type(failure).__name__}: {failure}", cause=NOT_SENT)

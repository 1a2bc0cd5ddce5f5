"""From a person's device: register, show, withdraw. Pictures are hashed here, hashes are sent."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self, TypeVar

import grpc

from disrupt.client.calls import call
from disrupt.client.connection import DEFAULT_SERVER, connect
from disrupt.client.retries import RetryPolicy
from disrupt.core.cases import PIN_DIGITS, AgeBand
from disrupt.core.registrations import MediaItem
from disrupt.errors import DeadlineExceededError, DisruptError
from disrupt.hashing import fingerprint_frames, fingerprint_image
from disrupt.submission import requests, results
from disrupt.submission.files import Hashing, too_plain
from disrupt.submission.results import Case, Registered, Rejected, Submission
from disrupt.v1 import registration_pb2
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub

TIMEOUT_S = 30.0
REQUEST_ID_BYTES = 16

ITEMS_PER_REQUEST = 8
"""More files are registered in several requests, into the same case."""

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def new_pin() -> str:
    """PIN of a new case: 8 random digits."""
    return f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}}"


class SubmissionClient:
    """Registers a person's pictures. Not for several threads at once; to be closed, or a context.

    ``server``, ``key`` and ``tls_ca`` as for MatchClient. Every method raises classes of
    disrupt.errors only, and is safe to repeat after an UnavailableError.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        key: str,
        tls_ca: bytes | str | Path | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: RetryPolicy | None = None,
    ) -> None:
        self._connection = connect(server, key, tls_ca)
        self._timeout_s = timeout_s
        self._retries = retries or RetryPolicy()
        self._channel = self._connection.open()
        self._stub = RegistrationServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def submit(
        self,
        files: Sequence[str | os.PathLike[str]],
        *,
        age: AgeBand = AgeBand.UNSURE,
        case_number: str = "",
        pin: str = "",
        every_frame: bool = False,
        watched: Callable[[Sequence[str]], Iterable[str]] = iter,
        within: Callable[[int, int], None] = lambda _time_ms, _duration_ms: None,
    ) -> Submission:
        """Register pictures and videos, as a new case or into ``case_number``, which ``pin`` opens.

        ``pin`` empty: a random one, for a new case. Of an animation the first frame is registered,
        or ``every_frame`` that differs from those before. ``watched`` passes the files on and may
        show progress; ``within`` is told where the hashing of a video is, and how long it says that
        it lasts, in ms. A file that cannot be registered is rejected, and the others go through.
        Once something is registered, a failure or an interrupt rejects the files that were not sent
        yet, so that case number and PIN are never lost; before that, it is raised.
        """
        sources = [os.fspath(file) for file in files]
        pin = pin or new_pin()
        opens = requests.access(case_number, pin)
        registered: list[Registered] = []
        rejected: list[Rejected] = []
        hashing = Hashing(
            fingerprint_frames if every_frame else fingerprint_image, within, rejected
        )
        hashed = hashing.each(watched(sources))
        try:
            while batch := list(itertools.islice(hashed, ITEMS_PER_REQUEST)):
                receipt = self._register([one.item for one in batch], opens, age)
                opens.case_number = receipt.case_number or opens.case_number
                for item in receipt.items:
                    one = batch[item.index]
                    registered.append(
                        Registered(one.source, item.item_id.hex(), item.hashes, one.incomplete)
                    )
                for refused in receipt.rejected:
                    source = batch[refused.index].source
                    rejected.append(too_plain(source, refused.low_quality.quality))
        except (DisruptError, KeyboardInterrupt) as failure:
            if not registered:
                raise
            known = {one.source for one in registered} | {one.source for one in rejected}
            rejected += [_not_sent(one, failure) for one in sources if one not in known]
        opened = opens.case_number
        return Submission(opened, pin if opened else "", tuple(registered), tuple(rejected))

    def case(self, case_number: str, pin: str) -> Case:
        """The case. CaseRefusedError for an unknown number and for a wrong PIN alike."""
        request = registration_pb2.GetCaseRequest(access=requests.access(case_number, pin))
        return results.case(self._call(self._stub.GetCase, request).case)

    def withdraw(self, case_number: str, pin: str, item_ids: Sequence[str] | None = None) -> Case:
        """Withdraw items of a case (32 hex digits each), or with None all of it; what is left.

        They stop matching within a second. NotFoundError if one is not of this case; then nothing
        is withdrawn.
        """
        opens = requests.access(case_number, pin)
        if item_ids is None:
            whole = registration_pb2.WithdrawCaseRequest(access=opens)
            return results.case(self._call(self._stub.WithdrawCase, whole).case)
        some = registration_pb2.WithdrawItemsRequest(
            access=opens, item_ids=[requests.item_id(one) for one in item_ids]
        )
        return results.case(self._call(self._stub.WithdrawItems, some).case)

    def _register(
        self,
        items: Sequence[MediaItem],
        opens: registration_pb2.CaseAccess,
        age: AgeBand,
    ) -> registration_pb2.Receipt:
        # one id for all attempts: where only the answer was lost, it is given again
        request_id = secrets.token_bytes(REQUEST_ID_BYTES)
        request = requests.register(items, request_id=request_id, opens=opens, age=age)
        try:
            return self._call(self._stub.RegisterHashes, request).receipt
        except DeadlineExceededError:
            # it may be registered, and only its number lost: nobody could withdraw it then
            return self._call(self._stub.RegisterHashes, request).receipt

    def _call(
        self, method: grpc.UnaryUnaryMultiCallable[_Request, _Response], request: _Request
    ) -> _Response:
        return call(
            lambda: method,
            request,
            connection=self._connection,
            timeout_s=self._timeout_s,
            retries=self._retries,
        )


def _not_sent(source: str, failure: DisruptError | KeyboardInterrupt) -> Rejected:
    if isinstance(failure, DisruptError):
        return Rejected(source, failure.reason, failure.message)
    return Rejected(source, "INTERRUPTED", "Interrupted before this file was registered.")

"""Erase cases whose PIN is lost: the calls of staff."""

from __future__ import annotations

from disrupt.client.staff import StaffClient
from disrupt.core.cases import parse_case_number
from disrupt.v1 import erasure_pb2, registration_pb2
from disrupt.v1.erasure_pb2_grpc import ErasureServiceStub

Days = dict[str, str | None]
"""``requested_on``, ``confirmed_on`` and ``due_on`` as ISO dates (UTC), None for what is not."""


class ErasureClient(StaffClient[ErasureServiceStub]):
    """Request, confirm and cancel erasures of cases. A context; arguments as MatchClient's.

    Every method takes a case number, is safe to repeat, and raises classes of disrupt.errors only:
    NotFoundError if there is no such case, CaseClosedError if it is withdrawn, InvalidRequestError
    for what is no case number.
    """

    _stub_type = ErasureServiceStub

    def request(self, case_number: str) -> Days:
        """Request an erasure, which waits 24 hours for a second person; return how it stands."""
        request = erasure_pb2.RequestErasureRequest(case_number=parse_case_number(case_number))
        return _days(self._call(self._stub.RequestErasure, request).erasure)

    def confirm(self, case_number: str) -> Days:
        """Confirm a request as the second person; return how it stands.

        Raises ErasureNotRequestedError and SecondKeyNeededError, besides.
        """
        request = erasure_pb2.ConfirmErasureRequest(case_number=parse_case_number(case_number))
        return _days(self._call(self._stub.ConfirmErasure, request).erasure)

    def cancel(self, case_number: str) -> bool:
        """Cancel an erasure, confirmed or not; return whether there was one to cancel."""
        request = erasure_pb2.CancelErasureRequest(case_number=parse_case_number(case_number))
        return not self._call(self._stub.CancelErasure, request).nothing_to_cancel


def _days(erasure: registration_pb2.CaseErasure) -> Days:
    return {
        "requested_on": erasure.requested_on,
        "confirmed_on": erasure.confirmed_on or None,
        "due_on": erasure.due_on or None,
    }

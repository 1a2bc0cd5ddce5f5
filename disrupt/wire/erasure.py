"""Convert the messages of ErasureService."""

from __future__ import annotations

from disrupt.core.case_erasures import CaseErasure
from disrupt.core.cases import parse_case_number
from disrupt.v1 import erasure_pb2
from disrupt.wire import registration


def case_number(
    message: erasure_pb2.RequestErasureRequest
    | erasure_pb2.ConfirmErasureRequest
    | erasure_pb2.CancelErasureRequest,
) -> str:
    """Return the canonical case number of a request. InvalidRequestError for what is none."""
    return parse_case_number(message.case_number)


def requested_answer(value: CaseErasure) -> erasure_pb2.RequestErasureResponse:
    """Make the answer to a request."""
    return erasure_pb2.RequestErasureResponse(erasure=registration.case_erasure(value))


def confirmed_answer(value: CaseErasure) -> erasure_pb2.ConfirmErasureResponse:
    """Make the answer to a confirmation."""
    return erasure_pb2.ConfirmErasureResponse(erasure=registration.case_erasure(value))


def cancelled_answer(*, was_requested: bool) -> erasure_pb2.CancelErasureResponse:
    """Make the answer to a cancellation."""
    return erasure_pb2.CancelErasureResponse(nothing_to_cancel=not was_requested)

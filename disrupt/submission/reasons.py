"""Why something was not done, and what can be done then."""

from __future__ import annotations

from disrupt.errors import ConfigurationError, DisruptError
from disrupt.submission.results import NOT_SENT, Rejected
from disrupt.submission.texts import LOST_PIN, by_name, text
from disrupt.texts import Phrase

ERRORS = by_name("error")
"""Why nothing was done."""
ERRORS["CASE_REFUSED"] = ERRORS["CASE_REFUSED"].then(LOST_PIN)
ERRORS["DEADLINE_EXCEEDED"] = ERRORS["UNAVAILABLE"]
ANY_ERROR = text("any_error")
BAD_SETTINGS = by_name("setting")

REJECTIONS = by_name("refused")
"""Why one file was not registered."""
REJECTIONS["UNREADABLE_MEDIA"] = REJECTIONS["UNREADABLE"]
REJECTIONS["NO_HEIC_DECODER"] = REJECTIONS["INVALID_MEDIA"]
REJECTIONS["LIMIT_EXCEEDED"] = ERRORS["LIMIT_EXCEEDED"]

STOPPED = by_name("stopped")
"""Why sending stopped before a file."""
STOPPED["RIGHT_MISSING"] = STOPPED["KEY_REFUSED"]
STOPPED_EARLY = text("stopped_early")
STOPPED_BEFORE_A_CASE = text("stopped_before_a_case")


def rejection(rejected: Rejected, *, has_case: bool = True) -> Phrase:
    """Return why a file was not registered, and what can be done.

    ``has_case``: there is certainly a case that the file can be added to, or none was opened.
    """
    if rejected.cause == NOT_SENT:
        if not has_case:
            return STOPPED_BEFORE_A_CASE
        return STOPPED.get(rejected.reason, STOPPED_EARLY)
    return REJECTIONS.get(rejected.cause) or REJECTIONS.get(rejected.reason) or ANY_ERROR


def explain(error: DisruptError) -> Phrase:
    """Return what an error means for the person."""
    if isinstance(error, ConfigurationError):
        return BAD_SETTINGS.get(error.metadata.get("setting", ""), ANY_ERROR)
    wait_s = max(1, round(error.retry_after_s or 0))
    return ERRORS.get(error.reason, ANY_ERROR).format(wait_s=wait_s)

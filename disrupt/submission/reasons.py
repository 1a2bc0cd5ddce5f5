"""Why something was not done, and what can be done then."""

from __future__ import annotations

from disrupt.errors import ConfigurationError, DisruptError
from disrupt.hashing.decoding.pictures import FORMATS
from disrupt.submission.results import NOT_SENT, Rejected
from disrupt.submission.texts import by_name
from disrupt.texts import Phrase

REJECTIONS = by_name("refused")
"""Why one file was not registered, by cause or reason."""
STOPPED = by_name("stopped")
"""Why sending stopped before a file."""
ERRORS = by_name("error")
"""Why nothing was done."""
BAD_SETTINGS = by_name("setting")
"""What is wrong with how the command was told to reach the service."""

STOPPED["CERTIFICATE_REFUSED"] = STOPPED["RIGHT_MISSING"] = STOPPED["KEY_REFUSED"]
ERRORS["DEADLINE_EXCEEDED"] = ERRORS["UNAVAILABLE"]
REJECTIONS["UNREADABLE_MEDIA"] = REJECTIONS["UNREADABLE"]
REJECTIONS["LIMIT_EXCEEDED"] = ERRORS["LIMIT_EXCEEDED"]
ANY_ERROR = ERRORS["OTHER"]


def rejection(rejected: Rejected, *, has_case: bool = True) -> Phrase:
    """Return why a file was not registered, and what can be done.

    ``has_case``: there is certainly a case that the file can be added to, or none was opened.
    """
    if rejected.cause == NOT_SENT:
        if not has_case:
            return STOPPED["BEFORE_A_CASE"]
        return STOPPED.get(rejected.reason, STOPPED["OTHER"])
    reason = rejected.reason
    if reason == "INVALID_MEDIA" and "HEIC" in FORMATS:
        reason = "INVALID_MEDIA_BESIDE_HEIC"
    return REJECTIONS.get(rejected.cause) or REJECTIONS.get(reason) or ANY_ERROR


def explain(error: DisruptError) -> Phrase:
    """Return what an error means for the person."""
    if isinstance(error, ConfigurationError):
        return BAD_SETTINGS.get(error.metadata.get("setting", ""), ANY_ERROR)
    wait_s = max(1, round(error.retry_after_s or 0))
    return ERRORS.get(error.reason, ANY_ERROR).format(wait_s=wait_s)

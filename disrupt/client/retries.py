"""Decide when a failed call is tried again: with jitter, and within its deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from disrupt.client.arguments import configuring, seconds, whole_number
from disrupt.client.failures import NOT_TRUSTED
from disrupt.errors import DisruptError, OverloadedError, SnapshotRefusedError, UnavailableError

_MOST_ATTEMPTS = 1_000_000
_MOST_DOUBLINGS = 30

RETRYABLE = (UnavailableError, OverloadedError, SnapshotRefusedError)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Number of attempts of a call, and the pauses between them.

    A pause doubles from ``first_pause_s`` up to ``longest_pause_s``; each is shortened at random by
    up to half. ``attempts=None`` tries as often as the call's time allows;
    ``RetryPolicy(attempts=1)`` never tries again, for callers that retry themselves. The default
    outlasts a restart of the server, which takes up to 15 s to stop and some seconds to start.
    """

    attempts: int | None = 15
    first_pause_s: float = 0.2
    longest_pause_s: float = 5.0

    def __post_init__(self) -> None:
        """Raise ConfigurationError for what is no number or out of bounds."""
        with configuring():
            if self.attempts is not None:
                whole_number("attempts", self.attempts, 1, _MOST_ATTEMPTS)
            seconds("first_pause_s", self.first_pause_s)
            seconds("longest_pause_s", self.longest_pause_s)


class Attempts:
    """The attempts of one call that may take ``timeout_s`` in all. For one thread."""

    def __init__(
        self,
        policy: RetryPolicy,
        timeout_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._jitter = jitter
        self._ends_at_s = clock() + timeout_s
        self._failed = 0

    def remaining_s(self) -> float:
        """Return the time left for this attempt."""
        return max(0.0, self._ends_at_s - self._clock())

    def pause_s(self, error: DisruptError) -> float:
        """Return the time to wait before the next attempt. Raises ``error`` where there is none.

        It is at least the server's RetryInfo; jitter is added, so that its callers do not return
        all at once. A pause of our own takes at most half of the time left, so that a server that
        comes back before the end is tried. Limits, a full disk and a certificate that is not
        trusted are not tried again.
        """
        self._failed += 1
        policy = self._policy
        backoff_s = min(
            policy.longest_pause_s,
            # the exponent is bounded, because a float is
            policy.first_pause_s * 2.0 ** min(self._failed - 1, _MOST_DOUBLINGS),
            max(policy.first_pause_s, self.remaining_s() / 2),
        )
        pause_s = max(0.0, error.retry_after_s or 0.0) + backoff_s * (1 - self._jitter() / 2)
        if (
            not isinstance(error, RETRYABLE)
            or error.metadata.get("cause") == NOT_TRUSTED
            or (policy.attempts is not None and self._failed >= policy.attempts)
            or pause_s >= self.remaining_s()
        ):
            raise error
        return pause_s

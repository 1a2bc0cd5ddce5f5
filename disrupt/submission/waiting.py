"""Show a person that the service keeps them waiting, why, and for how long."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console
from rich.live import Live
from rich.text import Text

from disrupt.client.language import spoken
from disrupt.errors import DisruptError, OverloadedError, TooManyAttemptsError
from disrupt.submission import texts
from disrupt.submission.showing import say
from disrupt.texts import Phrase

_SHOWN_AFTER_S = 1.0
"""Time before a wait is shown: most calls are answered sooner, so that nothing flickers."""


class Waiting:
    """Wait and print nothing.

    ``patience_s`` is how long a throttled call may wait for its turn, beyond its timeout.
    """

    patience_s = 0.0

    def calling(self) -> AbstractContextManager[None]:
        """Return a context of a call, which may show that it lasts."""
        return nullcontext()

    def pause(self, _failure: DisruptError, pause_s: float) -> None:
        """Wait for the next attempt; within ``calling``."""
        time.sleep(pause_s)


class LoggedWaiting(Waiting):
    """Say once, in a log or pipe, that a throttled call waits for its turn."""

    patience_s = 1800.0
    """Whoever has the right PIN has had a turn by then; see docs/throttle.md."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_logged = False

    def pause(self, failure: DisruptError, pause_s: float) -> None:
        """Say why it waits, then wait."""
        if isinstance(failure, TooManyAttemptsError) and not self._is_logged:
            self._is_logged = True
            minutes = round(self.patience_s / 60)
            say(self._console, texts.WAITING_FOR_TURN.format(minutes=minutes))
        super().pause(failure, pause_s)


class ShownWaiting(Waiting):
    """Show the wait on a terminal. ``aside`` hides whatever else is shown there meanwhile."""

    patience_s = math.inf
    """No bound: whoever sees the wait can end it."""

    def __init__(
        self,
        console: Console,
        aside: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._console = console
        self._aside = aside
        self._said: Sequence[str] = ()
        self._since_s = self._until_s = 0.0

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Show, after a second, how long there has been no answer."""
        self._no_answer_yet()
        with (
            self._aside(),
            Live(
                console=self._console,
                get_renderable=self._render,
                transient=True,
                refresh_per_second=4,
            ),
        ):
            yield

    def pause(self, failure: DisruptError, pause_s: float) -> None:
        """Count the seconds down, and say why."""
        self._said = spoken(_reason(failure).typeset())
        self._until_s = time.monotonic() + pause_s
        time.sleep(pause_s)
        self._no_answer_yet()

    def _no_answer_yet(self) -> None:
        # Rendered in another thread, which knows no language.
        self._said = spoken(texts.NO_ANSWER_YET.typeset())
        self._since_s, self._until_s = time.monotonic(), 0.0

    def _render(self) -> Text:
        now_s = time.monotonic()
        left_s, waited_s = self._until_s - now_s, now_s - self._since_s
        if left_s <= 0 and waited_s < _SHOWN_AFTER_S:
            return Text()
        seconds = math.ceil(left_s) if left_s > 0 else int(waited_s)
        return Text("\n".join(text.format(wait_s=seconds) for text in self._said))


def _reason(failure: DisruptError) -> Phrase:
    if isinstance(failure, TooManyAttemptsError):
        return texts.WAITING_FOR_ATTEMPTS
    return texts.WAITING_WHILE_BUSY if isinstance(failure, OverloadedError) else texts.TRYING_AGAIN

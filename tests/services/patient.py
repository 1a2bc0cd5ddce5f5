"""A throttle without waiting times, for tests of what PINs open."""

from __future__ import annotations

from disrupt.services.throttle import Asked, NotYetError, Throttle


class Patient(Throttle):
    """Wait as required, on a clock of its own, so that every attempt is answered at once."""

    clock_s = 0.0

    def ask(self, asked: Asked, pin_hash: str | None, now_s: float) -> bool:  # noqa: ARG002
        """Ask as ``Throttle.ask`` does, and wait when refused."""
        while True:
            try:
                return super().ask(asked, pin_hash, self.clock_s)
            except NotYetError as error:
                self.work(lambda: self.clock_s)
                self.clock_s += error.wait_s

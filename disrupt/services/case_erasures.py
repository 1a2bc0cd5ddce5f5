"""Erase cases whose PIN is lost, by two persons of staff, in time for whoever has it to object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.case_erasures import CaseErasure
from disrupt.core.changes import Cursor
from disrupt.registry.contract import RegistryWriter


@dataclass(frozen=True, slots=True)
class CaseErasures:
    """The use cases of ErasureService, and what follows from them in time. Thread-safe.

    ``case_handle`` returns what stands for a case in the log of acts, from the registry's own
    number of it: no case number is ever written there. ``caller`` in the methods is the id of the
    key that calls, ``at_s`` now in seconds since 1970 (UTC), and ``day`` its ISO date.
    """

    registry: RegistryWriter
    case_handle: Callable[[int], str]

    def request(self, number: str, *, caller: str, at_s: int) -> CaseErasure:
        """Let a request wait for a second key. Idempotent; errors as ``request_erasure``'s."""
        act = self._act(number, caller, Action.ERASURE_REQUESTED, at_s)
        return self.registry.request_erasure(number, act=act)

    def confirm(self, number: str, *, caller: str, day: str, at_s: int) -> CaseErasure:
        """Disable a case, to be erased in 7 days. Idempotent; errors as ``confirm_erasure``'s."""
        act = self._act(number, caller, Action.ERASURE_CONFIRMED, at_s)
        return self.registry.confirm_erasure(number, day=day, act=act)

    def cancel(self, number: str, *, caller: str, day: str, at_s: int) -> bool:
        """Forget the erasure of a case, for staff; return whether there was one.

        Idempotent; errors as ``stop_erasure``'s.
        """
        act = self._act(number, caller, Action.ERASURE_CANCELLED, at_s)
        case = self.registry.case(number)
        self.registry.stop_erasure(number, day=day, act=act)
        return case is not None and case.erasure is not None

    def stop(self, number: str, *, day: str, at_s: int) -> Cursor:
        """Forget the erasure of a case, for whoever has shown its PIN. As ``cancel``.

        That this happened is in the log: it shows staff that the request may have been an abuse.
        """
        act = self._act(number, SERVER, Action.ERASURE_STOPPED, at_s)
        return self.registry.stop_erasure(number, day=day, act=act)

    def complete_due(self, *, day: str, at_s: int) -> int:
        """Erase every case that is due; return how many were. Safe to repeat after any error."""
        numbers = self.registry.due_erasures(at_s)
        for number in numbers:
            act = self._act(number, SERVER, Action.CASE_ERASED, at_s)
            self.registry.complete_erasure(number, day=day, act=act)
        return len(numbers)

    def _act(self, number: str, actor: str, action: Action, at_s: int) -> Act:
        """Return an act on a case, which says nothing of a number that is no case's."""
        case = self.registry.case_id(number)
        subject = {} if case is None else {"case": self.case_handle(case)}
        return Act(actor, action, at_s, subject)

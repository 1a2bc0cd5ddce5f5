"""The role of erasures of cases without their PIN."""

from typing import Protocol

from disrupt.core.acts import Act
from disrupt.core.case_erasures import CaseErasure
from disrupt.core.changes import Cursor


class ErasureWriter(Protocol):
    """Request, confirm, stop and complete the erasure of cases without their PIN."""

    def request_erasure(self, number: str, *, act: Act) -> CaseErasure:
        """Note that a case is to be erased without its PIN; a second key has to confirm that.

        Here and in the next two methods the actor of the act is the key that calls, its time that
        of the call, and its subject says which case it is. A request that stands, confirmed or not,
        is returned as it is; one whose key may not review any more does not stand. NotFoundError if
        there is no such case, CaseClosedError if it is withdrawn, PermissionDeniedError if the key
        has not the banks of all its items. A refused call is an act of its own, ERASURE_REFUSED,
        with ``tried`` and ``reason``.
        """

    def confirm_erasure(self, number: str, *, day: str, act: Act) -> CaseErasure:
        """Disable all items of a case for PIN_LOST; the case is due for erasure in 7 days.

        Items that are DISABLED before stay as they are. The subject of the act gets ``items``, the
        number of those that were disabled, and ``due_on``. What is confirmed is returned as it is.

        Errors as for ``request_erasure``. ErasureNotRequestedError if no request of the last 24
        hours waits, or the key that made it may not review any more. SecondKeyNeededError if the
        two keys may be one person's (``core.case_erasures``). The reserve is used as by
        ``set_states``.
        """

    def stop_erasure(self, number: str, *, day: str, act: Act) -> Cursor:
        """Forget the erasure of a case, confirmed or not; return a cursor that includes that.

        Items that it has disabled get the state and reason from before again, unless somebody has
        changed them since. Idempotent. The subject of the act gets ``items``. NotFoundError and
        CaseClosedError as for ``request_erasure``: any key may stop it. The reserve is used, too.
        """

    def due_erasures(self, at_s: int) -> tuple[str, ...]:
        """Return the numbers of the cases to erase at a time, oldest first.

        Requests that were not confirmed in time are forgotten. After a restore, confirmed ones are
        due in 7 days again: whoever has stopped one since the backup can do so anew.
        """

    def complete_erasure(self, number: str, *, day: str, act: Act) -> Cursor:
        """Withdraw a whole case if its erasure is due at the time of the act, as ``withdraw`` does.

        The case says that it was erased so. The subject of the act gets ``items``. Nothing happens
        to a case that is not due, was withdrawn, or is not there.
        """

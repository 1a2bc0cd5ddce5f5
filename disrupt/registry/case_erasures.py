"""The part of the registry's contract for erasing cases whose PIN is lost."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from disrupt.core.acts import Act
from disrupt.core.case_erasures import CaseErasure


class ErasurePage(NamedTuple):
    """A page of erasures; ``before`` is where the next one goes on, 0 at the end."""

    erasures: Sequence[CaseErasure]
    before: int


class ErasureReader(Protocol):
    """Reading erasures of cases, as ``contract.RegistryReader`` reads."""

    def erasures(
        self, limit: int, before: int | None = None, *, banks: Collection[int], at_s: int
    ) -> ErasurePage:
        """Return up to ``limit`` (≥ 1) erasures, those of newer cases first.

        They are due, or asked for within ``CONFIRM_WITHIN_S`` before ``at_s``, and of cases that
        have no item in another bank than ``banks``.
        """


class ErasureWriter(ErasureReader, Protocol):
    """Writing for erasures of cases, as ``contract.RegistryWriter`` writes.

    Acts name the case, and none of its items: nothing links a withdrawn item to its case.
    """

    def ask_erasure(
        self, number: str, act: Act, *, partners: Collection[str], banks: Collection[int]
    ) -> CaseErasure:
        """Note that the key of the act asks for the erasure of a case without its PIN.

        If one of ``partners``, ids of other keys, asked within ``CONFIRM_WITHIN_S`` before, the
        case is due after ``DELAY_S``; its items stay as they are until then. The act is
        ERASE_CONFIRMED then, whatever it says, else ERASE_REQUESTED, and this key is the one to be
        confirmed. A case that is due stays so, and no act is noted.

        NotFoundError if there is no such case, or an item of it is in another bank than ``banks``;
        CaseClosedError if it is withdrawn.
        """

    def stop_erasure(self, number: str, act: Act) -> None:
        """Forget the erasure of a case.

        Idempotent; an act is noted where there was something to stop.
        """

    def erase_due(self, *, at_s: int, day: str) -> bool:
        """Withdraw the case that is due the longest, as ``withdraw`` does; False if none is due.

        The act of that, CASE_ERASED, is the server's.
        """

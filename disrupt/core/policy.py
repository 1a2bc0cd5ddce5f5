"""Banks and rights: who may search what, and how far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from disrupt.core.cases import AgeBand
from disrupt.core.hashes import MAX_DISTANCE_BITS, OPERATOR_MAX_DISTANCE_BITS
from disrupt.errors import InvalidRequestError, PermissionDeniedError, Violation

_WHOLE_PERCENT = 100

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Bank:
    """A named set of media items with one policy. Stored columns carry ``number``, 1-65535.

    ``max_distance_bits`` is the largest distance of a match, inclusive. Items registered into a
    bank that is ``waiting`` wait for review. ``visible_to`` are the organisations whose keys may
    search and mirror it, empty for all; a key has to name it, too. Lookups answer
    ``share_percent``, 1-100, of its items.
    """

    number: int
    name: str
    max_distance_bits: int = MAX_DISTANCE_BITS
    waiting: bool = False
    visible_to: frozenset[str] = frozenset()
    share_percent: int = 100

    def is_visible_to(self, organisation: str) -> bool:
        """Tell whether keys of an organisation may search and mirror this bank."""
        return not self.visible_to or organisation in self.visible_to


@dataclass(frozen=True, slots=True)
class BankPolicy:
    """New values for fields of a ``Bank``; None keeps the present value."""

    max_distance_bits: int | None = None
    waiting: bool | None = None
    visible_to: frozenset[str] | None = None
    share_percent: int | None = None

    def __post_init__(self) -> None:
        """Raise InvalidRequestError for a distance or share that no bank may have."""
        _check_range("max_distance_bits", self.max_distance_bits, 0, MAX_DISTANCE_BITS)
        _check_range("share_percent", self.share_percent, 1, _WHOLE_PERCENT)

    def of(self, bank: Bank) -> Bank:
        """Return a bank with this policy."""
        return replace(
            bank,
            max_distance_bits=_said(self.max_distance_bits, bank.max_distance_bits),
            waiting=_said(self.waiting, bank.waiting),
            visible_to=_said(self.visible_to, bank.visible_to),
            share_percent=_said(self.share_percent, bank.share_percent),
        )


def _said(value: _T | None, before: _T) -> _T:
    return before if value is None else value


def _check_range(field: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise InvalidRequestError.of(
            Violation(field, f"{value} is outside {least}-{most} (inclusive)")
        )


TEST = Bank(0, "test")
"""The bank of published pictures that a worker holds beside the registry (``disrupt.test_bank``).

No stored column has its number, and no other bank its name.
"""

ADULTS = Bank(1, "adults")
MINORS = Bank(2, "minors")
FIRST_BANKS = (ADULTS, MINORS)
"""The banks of a new registry: own cases."""


def bank_for(age_band: AgeBand) -> Bank:
    """Return the bank of the items of a registration: minors when unsure."""
    return ADULTS if age_band == AgeBand.ADULT else MINORS


def age_of(bank: int) -> AgeBand:
    """Return the age that a bank says of its items; UNSURE for a bank that operators made."""
    ages = {ADULTS.number: AgeBand.ADULT, MINORS.number: AgeBand.MINOR}
    return ages.get(bank, AgeBand.UNSURE)


class Right(IntEnum):
    """Right of a key; the numbers are those of proto/ and of stored columns."""

    MATCH = 1
    REGISTER = 2
    STAFF = 3
    FEED = 4
    OPERATOR = 5
    REVIEW = 6


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A caller's key. The secret is 256 random bits, so its SHA-256 is enough.

    ``banks`` are bank numbers. An organisation may have several keys, and answers for all of them.
    Days are ISO dates (UTC): ``revoked_on`` is empty while valid, ``expires_on`` is the last day on
    which the key is valid, empty for no end, and ``used_on`` the last on which it was used, empty
    for none.
    """

    key_id: str
    name: str
    secret_sha256: bytes
    rights: frozenset[Right]
    banks: frozenset[int]
    created_on: str
    revoked_on: str = ""
    organisation: str = ""
    expires_on: str = ""
    used_on: str = ""

    def valid_on(self, day: str) -> bool:
        """Tell whether the key is neither revoked nor, on this day, expired."""
        return not self.revoked_on and (not self.expires_on or day <= self.expires_on)

    def require(self, right: Right) -> None:
        """Raise PermissionDeniedError unless the key has the right."""
        if right not in self.rights:
            raise PermissionDeniedError(
                f"This key does not have the right {right.name.lower()}; ask for one that has.",
                right=right.name,
            )


class Held(Protocol):
    """Items that lookups do not answer although they are LIVE. Compared by value."""

    def holds(self, item_ids: NDArray[np.uint8], banks: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """Tell which of these items, uint8 (n, 16), of these banks, (n,), are held back, (n,)."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Banks that one lookup searches: the largest distance of a match, in bits, by bank number.

    ``held`` are items of these that it does not answer; None where it answers all.
    """

    limits: dict[int, int]
    held: Held | None = None
    radius_bits: int = field(init=False)
    """Radius that covers every bank; -1 for no bank."""

    def __post_init__(self) -> None:
        """Compute radius_bits, the largest distance of any bank."""
        object.__setattr__(self, "radius_bits", max(self.limits.values(), default=-1))

    @property
    def is_test(self) -> bool:
        """True if the scope is the test bank alone."""
        return TEST.number in self.limits


def visible(key: ApiKey, banks: Iterable[Bank]) -> frozenset[int]:
    """Return the numbers of the banks that a key may search and mirror."""
    return frozenset(
        bank.number
        for bank in banks
        if bank.number in key.banks and bank.is_visible_to(key.organisation)
    )


def scope(
    key: ApiKey,
    banks: tuple[Bank, ...],
    names: tuple[str, ...],
    max_distance_bits: int | None,
) -> Scope:
    """Return the banks and distances of a lookup by ``key``.

    ``names`` empty: every bank of the key but the test bank, which any key may search, and only by
    itself. A threshold above a searched bank's own is refused, not lowered (operators: above 63).
    Raises InvalidRequestError for a threshold out of range, an unknown bank, or the test bank
    beside others, and PermissionDeniedError for a bank that the key may not search.
    """
    limits = {bank.number: bank.max_distance_bits for bank in _wanted(key, banks, names)}
    if max_distance_bits is not None:
        most = OPERATOR_MAX_DISTANCE_BITS
        if Right.OPERATOR not in key.rights:
            most = min(limits.values(), default=MAX_DISTANCE_BITS)
        _check_range("options.max_distance_bits", max_distance_bits, 0, most)
        limits = dict.fromkeys(limits, max_distance_bits)
    return Scope(limits)


def _wanted(key: ApiKey, banks: tuple[Bank, ...], names: tuple[str, ...]) -> list[Bank]:
    """Return the banks that a lookup searches; errors as of ``scope``."""
    if TEST.name in names:
        if set(names) != {TEST.name}:
            raise InvalidRequestError.of(
                Violation("options.banks", f"the bank {TEST.name!r} is searched by itself only")
            )
        return [TEST]
    searchable = visible(key, banks)
    by_name = {bank.name: bank for bank in banks}
    for name in names:
        if name not in by_name:
            raise InvalidRequestError.of(Violation("options.banks", f"no bank is named {name!r}"))
    for name in names:
        if by_name[name].number not in searchable:
            raise PermissionDeniedError(f"This key may not search the bank {name!r}.", bank=name)
    return [by_name[name] for name in names] or [
        bank for bank in banks if bank.number in searchable
    ]

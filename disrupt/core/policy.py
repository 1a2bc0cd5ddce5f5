"""Banks and rights: who may search what, and how far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any

from disrupt.core.cases import AgeBand
from disrupt.core.hashes import MAX_DISTANCE_BITS, OPERATOR_MAX_DISTANCE_BITS
from disrupt.errors import InvalidRequestError, PermissionDeniedError, Violation


@dataclass(frozen=True, slots=True)
class Bank:
    """A named set of media items with one policy. Stored columns carry ``number``, 1-65535.

    ``max_distance_bits`` is inclusive. Registrations of new items wait for a review unless
    ``goes_live``. Only keys of ``organisations`` see it, of all if that is empty.
    """

    number: int
    name: str
    max_distance_bits: int = MAX_DISTANCE_BITS
    goes_live: bool = True
    organisations: frozenset[str] = frozenset()

    @property
    def is_test(self) -> bool:
        """Tell whether it holds the examples, and nothing that anybody registered."""
        return self.name == TEST_BANK

    @property
    def is_common(self) -> bool:
        """Tell whether it holds the pictures in common use, which nobody looks for."""
        return self.number == COMMON.number

    @property
    def is_fixed(self) -> bool:
        """Tell whether it is the same on every server: nothing of it is set."""
        return self.is_test or self.is_common


@dataclass(frozen=True, slots=True)
class BankPolicy:
    """Settings to change in a bank; None leaves one unchanged, in a new bank at its default."""

    max_distance_bits: int | None = None
    goes_live: bool | None = None
    organisations: frozenset[str] | None = None

    def applied(self, bank: Bank) -> Bank:
        """Return the bank with what is set."""
        return replace(bank, **self._given())

    @property
    def reason(self) -> str:
        """Return what is set, as the reason of an act."""
        words = {"max_distance_bits": "distance", "goes_live": "review"}
        return "_".join(words.get(name, name) for name in self._given())

    def _given(self) -> dict[str, Any]:
        given = {
            "max_distance_bits": self.max_distance_bits,
            "goes_live": self.goes_live,
            "organisations": self.organisations,
        }
        return {name: value for name, value in given.items() if value is not None}


BAND_ENDS_BITS = (0, 15, 23, 31, OPERATOR_MAX_DISTANCE_BITS)
"""Ends of the bands of distances, inclusive: those that tallies count, and 0, which copies have."""

TEST_BANK = "test"
"""Name of the bank of ``core.examples``: searched only by this name, by every key of right MATCH,
and counted in no statistic of matches."""


ADULTS = Bank(1, "adults")
MINORS = Bank(2, "minors")
FIRST_BANKS = (ADULTS, MINORS)
"""The banks of own cases, which a new registry has."""

COMMON = Bank(3, "common")
"""The bank of pictures in common use, which a new registry has too: staff alone fill it, and no key
or lookup names it. What is as near to one of them says little (``services.common_pictures``)."""


def bank_for(age_band: AgeBand) -> Bank:
    """Return the bank of the items of a registration: minors when unsure."""
    return ADULTS if age_band == AgeBand.ADULT else MINORS


def age_of(bank: int) -> AgeBand:
    """Return the age as which the items of a bank are treated: ADULT or MINOR."""
    return AgeBand.ADULT if bank == ADULTS.number else AgeBand.MINOR


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

    ``organisation`` is who answers for it: what is counted by organisation is counted for all keys
    that name the same. ``banks`` are bank numbers. Days are ISO dates (UTC), empty for none;
    ``expires_on`` is the first day on which the key is refused. With ``distance_bands`` answers
    have the ends of BAND_ENDS_BITS for distances.
    """

    key_id: str
    name: str
    organisation: str
    secret_sha256: bytes
    rights: frozenset[Right]
    banks: frozenset[int]
    created_on: str
    revoked_on: str = ""
    expires_on: str = ""
    last_used_on: str = ""
    distance_bands: bool = False

    def valid_on(self, day: str) -> bool:
        """Tell whether it was neither revoked, nor has expired on a day."""
        return not self.revoked_on and (not self.expires_on or day < self.expires_on)

    def require(self, right: Right) -> None:
        """Raise PermissionDeniedError unless the key has the right."""
        if right not in self.rights:
            raise PermissionDeniedError(
                f"This key does not have the right {right.name}; ask for one that has.",
                right=right.name,
            )


def without_hidden(key: ApiKey, banks: Iterable[Bank]) -> ApiKey:
    """Return a key without those of its banks that are not for its organisation."""
    hidden = {
        bank.number
        for bank in banks
        if bank.organisations and key.organisation not in bank.organisations
    }
    return key if hidden.isdisjoint(key.banks) else replace(key, banks=key.banks - hidden)


@dataclass(frozen=True, slots=True)
class LookupQuota:
    """Most uploads that an organisation may look up, and most hashes of MatchHashes; 0: no limit.

    A minute and a day are those of the clock, UTC.
    """

    organisation: str
    per_minute: int = 0
    per_day: int = 0
    hashes_per_minute: int = 0
    hashes_per_day: int = 0

    @property
    def is_limit(self) -> bool:
        """Tell whether it limits anything."""
        return any(value for name, value in asdict(self).items() if name != "organisation")


@dataclass(frozen=True, slots=True)
class Scope:
    """Banks that one lookup searches: the largest distance of a match, in bits, by bank number."""

    limits: dict[int, int]

    @property
    def radius_bits(self) -> int:
        """Return the radius that covers every bank; -1 for no bank."""
        return max(self.limits.values(), default=-1)


def scope(
    key: ApiKey,
    banks: tuple[Bank, ...],
    names: tuple[str, ...],
    max_distance_bits: int | None,
) -> Scope:
    """Return the banks and distances of a lookup by ``key``.

    ``names`` empty: every bank of the key but the test bank, or that where the key has no other;
    every key may name it. Nobody may name the bank of pictures in common use: it is as unknown as
    any. A threshold above a searched
    bank's own is refused, not lowered (operators: above 63), and so is one within a band for a key
    with bands, which would tell distances apart. Raises InvalidRequestError for a
    threshold out of range or an unknown bank, and PermissionDeniedError for a bank that the key may
    not search.
    """
    by_name = {bank.name: bank for bank in banks if not bank.is_common}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise InvalidRequestError.of(Violation("options.banks", f"no bank is named {unknown[0]!r}"))
    own = [bank for bank in by_name.values() if bank.number in key.banks]
    wanted = [by_name[name] for name in names] or [bank for bank in own if not bank.is_test] or own
    for bank in wanted:
        if bank.number not in key.banks and not bank.is_test:
            raise PermissionDeniedError(
                f"This key may not search the bank {bank.name!r}.", bank=bank.name
            )
    limits = {bank.number: bank.max_distance_bits for bank in wanted}
    if max_distance_bits is not None:
        largest_bits = OPERATOR_MAX_DISTANCE_BITS
        if Right.OPERATOR not in key.rights:
            largest_bits = min(limits.values(), default=MAX_DISTANCE_BITS)
        if not 0 <= max_distance_bits <= largest_bits:
            raise InvalidRequestError.of(
                Violation(
                    "options.max_distance_bits",
                    f"{max_distance_bits} is outside 0-{largest_bits} (inclusive)",
                )
            )
        if key.distance_bands and max_distance_bits not in {*BAND_ENDS_BITS, *limits.values()}:
            ends = ", ".join(str(end) for end in BAND_ENDS_BITS if end <= largest_bits)
            raise InvalidRequestError.of(
                Violation(
                    "options.max_distance_bits",
                    f"this key gets distances in bands: give the end of one, {ends}",
                )
            )
        limits = dict.fromkeys(limits, max_distance_bits)
    return Scope(limits)

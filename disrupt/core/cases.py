"""Cases: what a person gets for a registration, and what may become of it."""

from __future__ import annotations

from enum import IntEnum

from disrupt.errors import CaseClosedError, InvalidRequestError, Violation

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""30 characters that are neither misread nor misheard as one another: no 0/O, 1/I/L, U/V."""

_RADIX = len(ALPHABET)
_RANDOM_CHARACTERS = 10
CASE_NUMBERS: int = _RADIX**_RANDOM_CHARACTERS
"""How many case numbers there are: 30^10, 49 bits."""

PIN_DIGITS = 8
_PIN_DIGITS_MAX = 16


class CaseStatus(IntEnum):
    """Where a case stands; the numbers are those of proto/ and of stored columns."""

    RECEIVED = 1
    ACTIVE = 2
    WITHDRAWN = 3
    REJECTED = 4


_TRANSITIONS = {
    CaseStatus.RECEIVED: {CaseStatus.ACTIVE, CaseStatus.WITHDRAWN, CaseStatus.REJECTED},
    CaseStatus.ACTIVE: {CaseStatus.WITHDRAWN, CaseStatus.REJECTED},
    CaseStatus.REJECTED: {CaseStatus.WITHDRAWN},
    CaseStatus.WITHDRAWN: set[CaseStatus](),
}


class AgeBand(IntEnum):
    """Self-declared age of the person shown; unsure is treated as minor."""

    UNSURE = 0
    ADULT = 1
    MINOR = 2


def advance(current: CaseStatus, to: CaseStatus) -> CaseStatus:
    """Status after a step; CaseClosedError where the step is not allowed."""
    if to not in _TRANSITIONS[current]:
        raise CaseClosedError(
            f"The case is {current.name.lower()}; it cannot become {to.name.lower()}."
        )
    return to


def _check_character(characters: str) -> str:
    """ISO 7064 hybrid system MOD 31,30.

    Finds every single wrong character, and every swap of neighbours but of one pair at each place.
    """
    check = _RADIX
    for character in characters:
        check = (check + ALPHABET.index(character)) % _RADIX or _RADIX
        check = check * 2 % (_RADIX + 1)
    return ALPHABET[(1 - check) % _RADIX]


def case_number(value: int) -> str:
    """Case number for 0 ≤ value < CASE_NUMBERS, which the caller draws at random.

    ``ABCD-EFGH-JKM``: the last character checks the others.
    """
    characters = ""
    for _ in range(_RANDOM_CHARACTERS):
        value, digit = divmod(value, _RADIX)
        characters += ALPHABET[digit]
    return _grouped(characters + _check_character(characters))


def parse_case_number(text: str) -> str:
    """Canonical form of what a person typed: spaces, hyphens and letter case do not matter.

    InvalidRequestError when it is no case number at all, which its check character tells.
    """
    characters = text.upper().replace("-", "").replace(" ", "")
    if (
        len(characters) != _RANDOM_CHARACTERS + 1
        or any(character not in ALPHABET for character in characters)
        or _check_character(characters[:-1]) != characters[-1]
    ):
        raise InvalidRequestError.of(
            Violation(
                "case_number",
                "not a case number; a character is missing, extra or mistyped",
            )
        )
    return _grouped(characters)


def parse_pin(text: str) -> str:
    """PIN without spaces; InvalidRequestError unless it is 8-16 digits."""
    pin = text.replace(" ", "")
    if not (pin.isascii() and pin.isdigit() and PIN_DIGITS <= len(pin) <= _PIN_DIGITS_MAX):
        raise InvalidRequestError.of(
            Violation("pin", f"a PIN is {PIN_DIGITS} to {_PIN_DIGITS_MAX} digits")
        )
    return pin


def _grouped(characters: str) -> str:
    return "-".join(characters[at : at + 4] for at in range(0, len(characters), 4))

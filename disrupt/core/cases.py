"""Cases: what a person gets for a registration, and the steps of its status."""

from __future__ import annotations

import hashlib
import unicodedata
from enum import IntEnum

from disrupt.errors import CaseClosedError, InvalidRequestError, Violation

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""30 characters that are neither misread nor misheard as one another: no 0/O, 1/I/L, U/V."""

_RADIX = len(ALPHABET)
_RANDOM_CHARACTERS = 10
CASE_NUMBERS: int = _RADIX**_RANDOM_CHARACTERS
"""Number of case numbers: 30^10, 49 bits."""

_DERIVATION = b"disrupt case number 1\0"

PIN_DIGITS = 12
"""Digits of a PIN. At three guesses a second, a year finds one of 10 000 PINs."""


class CaseStatus(IntEnum):
    """Status of a case; the numbers are those of proto/ and of stored columns."""

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
    """Self-declared age of the person shown.

    UNSURE is treated as minor, but a picture that its case has already keeps its age.
    """

    UNSURE = 0
    ADULT = 1
    MINOR = 2


def advance(current: CaseStatus, to: CaseStatus) -> CaseStatus:
    """Return the status after a step; CaseClosedError where the step is not allowed."""
    if to not in _TRANSITIONS[current]:
        raise CaseClosedError(
            f"The case is {current.name.lower()}; it cannot become {to.name.lower()}."
        )
    return to


def _check_character(characters: str) -> str:
    """Return the check character by the ISO 7064 hybrid system MOD 31,30.

    Detects every single wrong character, and every swap of neighbours but one pair at each place.
    """
    check = _RADIX
    for character in characters:
        check = (check + ALPHABET.index(character)) % _RADIX or _RADIX
        check = check * 2 % (_RADIX + 1)
    return ALPHABET[(1 - check) % _RADIX]


def case_number(value: int) -> str:
    """Return the case number of a value, 0 ≤ value < CASE_NUMBERS: ``ABCD-EFGH-JKM``.

    The first ten characters are the value's digits in base 30, the least significant first, each
    the character of ALPHABET at its place; the last character checks the others.
    """
    characters = ""
    for _ in range(_RANDOM_CHARACTERS):
        value, digit = divmod(value, _RADIX)
        characters += ALPHABET[digit]
    return _grouped(characters + _check_character(characters))


def new_case_number(request_id: bytes) -> str:
    """Return the number of the case that a registration of this request id (16 bytes) opens.

    The device and the server both compute it, so the device knows it before it sends anything:
    SHA-256 over the 21 ASCII bytes of ``disrupt case number 1``, one zero byte and the request id;
    all 32 bytes of that as one big-endian integer, modulo CASE_NUMBERS; ``case_number`` of it.
    docs/case-numbers.md has examples. The remainder is uniform to within 2^-207. The number has 49
    bits and the request id 128, so that the number reveals nothing with which a request could be
    replayed.
    """
    digest = hashlib.sha256(_DERIVATION + request_id).digest()
    return case_number(int.from_bytes(digest, "big") % CASE_NUMBERS)


def parse_case_number(text: str) -> str:
    """Return the canonical form of a typed case number.

    Spaces, dashes and letter case do not matter. InvalidRequestError when it is no case number at
    all, as its check character shows.
    """
    characters = _without_separators(text.upper())
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
    """Return the PIN without spaces and dashes.

    InvalidRequestError unless it is PIN_DIGITS digits.
    """
    pin = _without_separators(text)
    if not (pin.isascii() and pin.isdigit() and len(pin) == PIN_DIGITS):
        raise InvalidRequestError.of(Violation("pin", f"a PIN is {PIN_DIGITS} digits"))
    return pin


_DIGITS = {zero + digit: str(digit) for zero in (0x660, 0x6F0) for digit in range(10)}
"""ASCII digit for each code point of a digit that keyboards for Arabic and Persian type."""


def _without_separators(text: str) -> str:
    """Drop spaces and dashes of any kind, and invisible characters out of documents."""
    return "".join(
        character
        for character in text.translate(_DIGITS)
        if not character.isspace() and unicodedata.category(character) not in {"Cf", "Pd"}
    )


def _grouped(characters: str) -> str:
    return "-".join(characters[at : at + 4] for at in range(0, len(characters), 4))

"""Case numbers, PINs and the steps of a case."""

import hashlib
import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from disrupt.core.cases import (
    ALPHABET,
    CASE_NUMBERS,
    CaseStatus,
    advance,
    case_number,
    new_case_number,
    parse_case_number,
    parse_pin,
)
from disrupt.errors import CaseClosedError, InvalidRequestError

VALUES = st.integers(0, CASE_NUMBERS - 1)

DASHES = ["\N{NON-BREAKING HYPHEN}", "\N{EN DASH}", "\N{EM DASH}"]
SPACES = ["\t", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}", "\N{ZERO WIDTH SPACE}",
          "\N{LEFT-TO-RIGHT MARK}", "\N{ZERO WIDTH NO-BREAK SPACE}"]  # fmt: skip
"""Characters that word processors and messengers put in place of a hyphen or a space."""


def accepted(text: str) -> bool:
    try:
        parse_case_number(text)
    except InvalidRequestError:
        return False
    return True


@pytest.mark.parametrize(
    ("value", "number"),
    [(0, "2222-2222-223"), (1, "3222-2222-222"), (CASE_NUMBERS - 1, "ZZZZ-ZZZZ-ZZ3")],
)
def test_numbers_given_out_stay_what_they_are(value: int, number: str) -> None:
    assert case_number(value) == number
    assert parse_case_number(number) == number


def test_the_number_of_a_new_case_is_derived_as_is_documented_for_other_clients() -> None:
    page = (Path(__file__).parents[2] / "docs" / "case-numbers.md").read_text("utf-8")
    documented = re.findall(r"\| `([0-9a-f]{32})` \| `([0-9A-Z-]{13})` \|", page)
    assert len(documented) == 3
    alphabet = re.search(r"`(2[2-9A-Z]{29})`", page)
    prefix = re.search(r"ASCII bytes `([^`]+)`", page)
    assert alphabet is not None
    assert prefix is not None
    for request_id, number in documented:
        hashed = hashlib.sha256(f"{prefix[1]}\0".encode() + bytes.fromhex(request_id)).hexdigest()
        left, digits, check = int(hashed, 16) % 30**10, [], 30
        for _ in range(10):
            digits.append(left % 30)
            left //= 30
        for digit in digits:
            check = ((check + digit) % 30 or 30) * 2 % 31
        characters = "".join(alphabet[1][at] for at in [*digits, (1 - check) % 30])
        assert f"{characters[:4]}-{characters[4:8]}-{characters[8:]}" == number
        assert new_case_number(bytes.fromhex(request_id)) == number


@given(VALUES, VALUES)
def test_different_values_have_different_numbers(left: int, right: int) -> None:
    assume(left != right)
    assert case_number(left) != case_number(right)


@given(VALUES, st.data())
def test_spaces_dashes_and_letter_case_do_not_matter(value: int, data: st.DataObject) -> None:
    number = case_number(value)
    typed = ""
    for character in number.replace("-", ""):
        typed += data.draw(st.sampled_from(["", "-", " ", " - ", *DASHES, *SPACES]))
        typed += data.draw(st.sampled_from([character, character.lower()]))
    assert parse_case_number(typed) == number


@given(VALUES)
def test_every_single_wrong_character_is_found(value: int) -> None:
    number = case_number(value)
    for at, right in enumerate(number):
        if right != "-":
            wrong = [
                number[:at] + symbol + number[at + 1 :] for symbol in ALPHABET if symbol != right
            ]
            assert not any(map(accepted, wrong))


@given(VALUES)
def test_every_missing_or_doubled_character_is_found(value: int) -> None:
    number = case_number(value).replace("-", "")
    for at in range(len(number)):
        assert not accepted(number[:at] + number[at + 1 :])
        assert not accepted(number[:at] + number[at] + number[at:])


@given(VALUES, st.integers(0, 8))
def test_swapped_neighbours_are_found_but_for_one_pair_at_each_place(
    value: int, place: int
) -> None:
    around = value - value // 30**place % 900 * 30**place
    missed = 0
    for left, right in combinations(range(30), 2):
        number = case_number(around + (left + 30 * right) * 30**place).replace("-", "")
        pair = number[place : place + 2]
        missed += accepted(number[:place] + pair[::-1] + number[place + 2 :])
    assert missed <= 1


@given(st.text())
def test_any_text_is_a_case_number_or_refused_by_field(text: str) -> None:
    if accepted(text):
        assert parse_case_number(parse_case_number(text)) == parse_case_number(text)
    else:
        with pytest.raises(InvalidRequestError) as caught:
            parse_case_number(text)
        assert [violation.field for violation in caught.value.violations] == ["case_number"]


@pytest.mark.parametrize(
    "text",
    [
        "123456789012",
        " 0000 0000 0000 ",
        *(f"{space}1234{space}56789012" for space in SPACES),
    ],
)
def test_pin_is_read_with_or_without_spaces(text: str) -> None:
    assert parse_pin(text) == re.sub("[^0-9]", "", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1" * 11,
        "1" * 13,
        "12345678901a",
        "\N{FULLWIDTH DIGIT ONE}" * 12,
        "+123456789012",
        "1234.5678.9012",
    ],
)
def test_what_is_no_pin_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_pin(text)
    assert not text or text not in str(caught.value)


def test_digits_of_arabic_and_persian_keyboards_are_digits() -> None:
    typed = "\N{ARABIC-INDIC DIGIT FOUR}" * 6 + "\N{EXTENDED ARABIC-INDIC DIGIT NINE}" * 6
    assert parse_pin(typed) == "444444999999"


def test_case_takes_only_the_allowed_steps() -> None:
    allowed = {
        (CaseStatus.RECEIVED, CaseStatus.ACTIVE),
        (CaseStatus.RECEIVED, CaseStatus.WITHDRAWN),
        (CaseStatus.RECEIVED, CaseStatus.REJECTED),
        (CaseStatus.ACTIVE, CaseStatus.WITHDRAWN),
        (CaseStatus.ACTIVE, CaseStatus.REJECTED),
        (CaseStatus.REJECTED, CaseStatus.WITHDRAWN),
    }
    for current in CaseStatus:
        for to in CaseStatus:
            if (current, to) in allowed:
                assert advance(current, to) == to
            else:
                with pytest.raises(CaseClosedError):
                    advance(current, to)

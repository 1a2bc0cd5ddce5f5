"""Check the SDK's arguments; a wrong type and a wrong value both raise InvalidRequestError."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from numbers import Real
from typing import SupportsIndex, TypeVar, cast

from disrupt.errors import ConfigurationError, InvalidRequestError, Violation

MAX_TIMEOUT_S = 86_400
"""A day: longer than any call may take, and short enough for every timer below."""

_Member = TypeVar("_Member", bound=Enum)


def invalid(field: str, description: str) -> InvalidRequestError:
    """Make the error for an argument, named as in proto/ where it has a field there."""
    return InvalidRequestError.of(Violation(field, description))


@contextmanager
def configuring() -> Iterator[None]:
    """Turn InvalidRequestError into ConfigurationError, for arguments that make a client."""
    try:
        yield
    except InvalidRequestError as error:
        raise ConfigurationError(error.message) from error


def whole_number(field: str, value: object, least: int, most: int) -> int:
    """Return an integer of any type within bounds, inclusive; a bool is refused."""
    try:
        number = operator.index(cast("SupportsIndex", value))
    except TypeError:
        raise invalid(field, f"give a whole number, not {type(value).__name__}") from None
    if isinstance(value, bool):
        raise invalid(field, "give a whole number, not bool")
    if not least <= number <= most:
        raise invalid(field, f"{number} is outside {least}-{most} (inclusive)")
    return number


def seconds(field: str, value: object) -> float:
    """Return a finite time above 0 and of at most a day."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise invalid(field, f"give a number of seconds, not {type(value).__name__}")
    try:
        time_s = float(value)
    except OverflowError:
        time_s = math.inf
    if not 0 < time_s <= MAX_TIMEOUT_S:  # NaN is in no range
        raise invalid(field, f"give more than 0 and at most {MAX_TIMEOUT_S} seconds, not {time_s}")
    return time_s


def buffer(field: str, value: bytes | bytearray | memoryview) -> bytes:
    """Return the bytes of a buffer; a released memoryview has none."""
    try:
        return bytes(value)
    except ValueError:
        raise invalid(field, "give a memoryview that is not released") from None


def flag(field: str, value: object) -> bool:
    """Return True or False; other values are refused, since their truth is easily mistaken."""
    if not isinstance(value, bool):
        raise invalid(field, f"give True or False, not {type(value).__name__}")
    return value


def member(field: str, value: object, of: type[_Member]) -> _Member:
    """Return a member of an enum; its number or name is refused."""
    if not isinstance(value, of):
        names = ", ".join(f"{of.__name__}.{choice.name}" for choice in of)
        raise invalid(field, f"give one of {names}, not {type(value).__name__}")
    return value

"""What a check found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from disrupt.errors import DisruptError


class Verdict(StrEnum):
    """Worst last; only ``FAIL`` makes the command fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``advice`` says what to do, and is empty where all is well."""

    name: str
    verdict: Verdict
    meaning: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A named check; what it raises is a failure, with ``advice`` as the way out."""

    name: str
    run: Callable[[], Iterable[Finding]]
    advice: str


def ok(name: str, meaning: str) -> Finding:
    """All is well."""
    return Finding(name, Verdict.OK, meaning)


def warn(name: str, meaning: str, advice: str) -> Finding:
    """A server starts and runs like this, and somebody should look at it."""
    return Finding(name, Verdict.WARN, meaning, advice)


def fail(name: str, meaning: str, advice: str) -> Finding:
    """A server refuses to start or answers no lookup like this, or data are in danger."""
    return Finding(name, Verdict.FAIL, meaning, advice)


def findings(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run checks, one after the other; one that breaks does not hide the others."""
    for check in checks:
        try:
            yield from check.run()
        except DisruptError as error:
            yield fail(check.name, error.message, check.advice)
        except OSError as error:
            yield fail(check.name, f"{error.strerror or error}.", check.advice)

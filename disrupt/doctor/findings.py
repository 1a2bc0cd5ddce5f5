"""Findings of checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from disrupt.errors import DisruptError


class Verdict(StrEnum):
    """Verdict on one finding, worst last; only ``FAIL`` makes the command fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``advice`` says what to do, and is empty with ``OK``.

    ``name`` is that of its check, which ``findings`` sets.
    """

    name: str
    verdict: Verdict
    meaning: str
    advice: str


@dataclass(frozen=True, slots=True)
class Check:
    """A named check; an error that it raises becomes a failure with ``advice``."""

    name: str
    run: Callable[[], Iterable[Finding]]
    advice: str


def ok(meaning: str) -> Finding:
    """Make a finding that all is well."""
    return Finding("", Verdict.OK, meaning, "")


def warn(meaning: str, advice: str) -> Finding:
    """Make a finding with which a server starts and runs, but that somebody should look at."""
    return Finding("", Verdict.WARN, meaning, advice)


def fail(meaning: str, advice: str) -> Finding:
    """Make a finding with which a server refuses to serve, or that endangers data."""
    return Finding("", Verdict.FAIL, meaning, advice)


def findings(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run checks, one after the other; one that raises does not hide the others."""
    for check in checks:
        for finding in _found(check):
            yield replace(finding, name=check.name)


def _found(check: Check) -> Iterator[Finding]:
    try:
        yield from check.run()
    except DisruptError as error:
        yield fail(error.message, check.advice)
    except OSError as error:
        yield fail(f"{error.strerror or error}.", check.advice)

"""Decide on uploads by the operator's settings for bank and extent, without I/O."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from disrupt.client import rows
from disrupt.client.results import HashAnswer, ImageAnswer, Match, VideoAnswer
from disrupt.core.lookups import Effort, Extent
from disrupt.core.policy import FIRST_BANKS
from disrupt.errors import ConfigurationError, DisruptError

REVIEW = "_REVIEW"
"""End of the name under which HMA's clients see matches of a bank that a person has to look at."""

_DAY_S = 86_400
_BANKS = tuple(bank.name for bank in FIRST_BANKS)


class Action(StrEnum):
    """Action on an upload, the mildest first."""

    PASS = "pass"  # noqa: S105 no password
    """Let it pass."""
    SHADOW = "shadow"
    """Let it pass, and count it."""
    HOLD = "hold"
    """Keep it from everybody until a person has looked, or until it can be looked up."""
    REFUSE = "refuse"
    """Refuse it, and report that it was blocked."""


_MILDEST_FIRST = tuple(Action)
_OF_MATCHES = (Action.SHADOW, Action.HOLD, Action.REFUSE)
_WITHOUT_ANSWER = (Action.PASS, Action.HOLD, Action.REFUSE)

DEFAULT_ACTIONS: Mapping[Extent, Action] = {
    Extent.WHOLE: Action.REFUSE,
    Extent.PART: Action.HOLD,
    Extent.UNKNOWN: Action.HOLD,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """Action on one upload, and its reason.

    ``reason`` is ``match``, ``no_match``, or why it was not looked up, or not to its end.
    """

    action: Action
    reason: str
    matches: tuple[tuple[Match, Action], ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's settings.

    ``actions`` by bank, then by extent; those of ``*`` are of every other bank. ``no_answer`` is
    done where no answer came, or none about the whole file, and ``featureless`` to a picture that
    shows too little to be told apart. ``names`` are those under which HMA's clients know the banks.
    ``patience_s`` is how long a request waits for the hotline. ``url_hosts`` are the hosts from
    which ``url=`` is fetched, with a port where it is no usual one; ``matrix_media`` is the address
    below which a homeserver keeps media.
    """

    actions: Mapping[str, Mapping[Extent, Action]] = field(default_factory=dict)
    no_answer: Action = Action.HOLD
    featureless: Action = Action.HOLD
    effort: Effort = Effort.STANDARD
    names: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = 10.0
    url_hosts: frozenset[str] = frozenset()
    matrix_media: str = ""

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Read a TOML file. Raises ConfigurationError, which names the setting."""
        if path is None:
            return cls()
        try:
            with path.open("rb") as file:
                return cls.of(tomllib.load(file))
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"The policy (--policy) cannot be read: {error}.", setting="policy"
            ) from error

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Check settings as they come from a file. Raises ConfigurationError."""
        known: dict[str, Any] = {
            "actions": _actions,
            "no_answer": lambda value: _action("no_answer", value, _WITHOUT_ANSWER),
            "featureless": lambda value: _action("featureless", value, _WITHOUT_ANSWER),
            "effort": _effort,
            "names": _names,
            "patience_s": _seconds,
            "url_hosts": _hosts,
            "matrix_media": _address,
        }
        for name in settings:
            if name not in known:
                raise _wrong(name, f"there is no such setting; there are {', '.join(known)}")
        return cls(**{name: known[name](value) for name, value in settings.items()})

    @property
    def banks(self) -> tuple[str, ...]:
        """Names of the banks that the settings know, in the hotline's words."""
        named = dict.fromkeys((*_BANKS, *self.names, *self.actions))
        return tuple(bank for bank in named if bank != "*")

    def action_of(self, match: Match) -> Action:
        """Return what a match alone makes of an upload.

        What something in common use explains, and what the organisation disputes, is at most held.
        """
        chosen = self.actions.get(match.bank, self.actions.get("*", {}))
        action = chosen.get(match.extent, DEFAULT_ACTIONS[match.extent])
        if match.common or match.common_only or match.disputed:
            return min(action, Action.HOLD, key=_MILDEST_FIRST.index)
        return action

    def decide(self, answer: HashAnswer | ImageAnswer | VideoAnswer) -> Decision:
        """Return what becomes of an upload that was looked up."""
        reason, _ = rows.problem(answer)
        if reason:
            return Decision(self.featureless, reason)
        matches = tuple((match, self.action_of(match)) for match in answer.matches)
        strictest = self._strictest(action for _, action in matches)
        if _is_partly(answer) and (not matches or strictest == Action.SHADOW):
            return Decision(self.no_answer, "NOT_WHOLLY_LOOKED_UP", matches)
        return Decision(strictest, "match" if matches else "no_match", matches)

    def failed(self, error: DisruptError) -> Decision:
        """Return what becomes of an upload that could not be looked up."""
        return Decision(self.no_answer, error.reason)

    def name(self, bank: str, action: Action = Action.REFUSE) -> str:
        """Return the name of a bank for HMA's clients, by what a match of it makes of an upload."""
        name = self.names.get(bank, bank.upper())
        return name if action == Action.REFUSE else name + REVIEW

    def _strictest(self, actions: Iterable[Action]) -> Action:
        return max(actions, key=_MILDEST_FIRST.index, default=Action.PASS)


def _is_partly(answer: HashAnswer | ImageAnswer | VideoAnswer) -> bool:
    """Tell whether there may be matches that the answer does not name, or parts not looked at."""
    if isinstance(answer, ImageAnswer) and answer.frames_skipped:
        return True
    return answer.truncated or (isinstance(answer, VideoAnswer) and answer.incomplete)


def _wrong(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{name}: {why}.", setting=name)


def _action(name: str, value: object, among: tuple[Action, ...]) -> Action:
    if value not in among:
        raise _wrong(name, f"choose one of {', '.join(among)}, not {value!r}")
    return Action(str(value))


def _actions(value: object) -> dict[str, dict[Extent, Action]]:
    """Check tables by bank, ``*`` for every other, each with actions by extent."""
    if not isinstance(value, dict):
        raise _wrong("actions", "write a table for each bank, as [actions.minors], or [actions.*]")
    checked: dict[str, dict[Extent, Action]] = {}
    for bank, table in value.items():
        name = f"actions.{bank}"
        if not isinstance(table, dict):
            raise _wrong(name, 'write a table, as whole = "refuse"')
        for extent in table:
            if extent not in tuple(Extent):
                raise _wrong(name, f"{extent!r} is none of {', '.join(Extent)}")
        checked[bank] = {
            Extent(extent): _action(f"{name}.{extent}", action, _OF_MATCHES)
            for extent, action in table.items()
        }
    return checked


def _effort(value: object) -> Effort:
    names = {effort.name.lower(): effort for effort in Effort}
    if not isinstance(value, str) or value not in names:
        raise _wrong("effort", f"choose one of {', '.join(names)}, not {value!r}")
    return names[value]


def _names(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(name, str) and name and "," not in name for name in value.values()
    ):
        raise _wrong("names", 'write a table of names without commas, as adults = "NCII"')
    if len({*value.values()}) < len(value):
        raise _wrong("names", "two banks have the same name")
    return dict(value)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _DAY_S:
        raise _wrong("patience_s", f"give a number of seconds, at most {_DAY_S}, not {value!r}")
    return float(value)


def _hosts(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(
        isinstance(host, str) and host and "/" not in host for host in value
    ):
        raise _wrong("url_hosts", 'list names of hosts, as ["media.example.org"]')
    return frozenset(host.lower() for host in value)


def _address(value: object) -> str:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise _wrong("matrix_media", f"give an http or https address, not {value!r}")
    return value.rstrip("/")

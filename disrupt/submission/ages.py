"""Choose the age under which each picture of a submission is registered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from disrupt.core.cases import AgeBand
from disrupt.core.registrations import sufficient
from disrupt.core.renewals import identity_of
from disrupt.submission.files import Hashed
from disrupt.submission.results import Case, CaseItem, Rejected

OTHER_AGE = "OTHER_AGE"
"""Reason of a file that is in the case under another age, which is not to change."""


@dataclass(frozen=True, slots=True)
class AgeChange:
    """A file that the case has already, and whose age would change: its number, from and to."""

    source: str
    number: int
    before: AgeBand
    after: AgeBand


@dataclass(frozen=True, slots=True)
class Aged:
    """A file with the age to send, and the age as which it is treated then; UNSURE is minor."""

    file: Hashed
    sent: AgeBand
    treated: AgeBand


@dataclass(frozen=True, slots=True)
class AgeRule:
    """The age of the person shown, and what to ask.

    Where ``age`` is UNSURE, ``ask`` is called once, before the first picture that is new in the
    case is sent. Where it is not, ``confirm`` is called with pictures that the case has under
    another age, before they are sent; if it is False, they are rejected and stay as they are.
    """

    age: AgeBand = AgeBand.UNSURE
    ask: Callable[[], AgeBand] = lambda: AgeBand.UNSURE
    confirm: Callable[[Sequence[AgeChange]], bool] = lambda _changes: True


@dataclass(slots=True)
class Ages:
    """Applies a rule to the files of a submission; those that are rejected go to ``rejected``."""

    rule: AgeRule
    rejected: list[Rejected]
    known: Mapping[bytes, CaseItem] = field(default_factory=dict)
    _asked: AgeBand | None = None

    def know(self, case: Case) -> None:
        """Take what is in the case already from the case itself."""
        self.known = {item.identity: item for item in case.items if item.identity}

    def groups(self, batch: Iterable[Hashed]) -> list[list[Aged]]:
        """Return the files to send, those of one age together, in their order."""
        aged, changes, age = list[Aged](), list[AgeChange](), self.rule.age
        for file in batch:
            stored = self.known.get(_identity(file))
            if stored is None:
                aged.append(Aged(file, self._of_new(), self._of_new()))
                continue
            before = stored.age or AgeBand.UNSURE
            if age not in {AgeBand.UNSURE, before}:
                changes.append(AgeChange(file.source, stored.number, before, age))
            aged.append(Aged(file, age, before if age == AgeBand.UNSURE else age))
        if changes and not self.rule.confirm(changes):
            kept = {change.source for change in changes}
            message = "It is in the case already, under another age."
            self.rejected += [
                Rejected(each.file.source, OTHER_AGE, message, cause=OTHER_AGE)
                for each in aged
                if each.file.source in kept
            ]
            aged = [each for each in aged if each.file.source not in kept]
        ages = dict.fromkeys(each.sent for each in aged)
        return [[each for each in aged if each.sent == sent] for sent in ages]

    def _of_new(self) -> AgeBand:
        if self._asked is None:
            age = self.rule.age
            self._asked = self.rule.ask() if age == AgeBand.UNSURE else age
        return self._asked


def _identity(file: Hashed) -> bytes:
    item = sufficient(file.item)
    return identity_of(item.kind, item.fingerprints)

"""Print a submission, or a case with its items, for a person or for a program."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from typing import Any, Self

from rich.console import Console
from rich.text import Text

from disrupt.client import terminal
from disrupt.client.language import in_line, spoken
from disrupt.core.cases import AgeBand, CaseStatus
from disrupt.core.registrations import Outcome, ShownState
from disrupt.submission import reasons, texts
from disrupt.submission.ages import AgeChange
from disrupt.submission.language import is_helping
from disrupt.submission.results import (
    Case,
    CaseItem,
    Registered,
    Rejected,
    Submission,
    Withdrawal,
    WithdrawalReceipt,
)
from disrupt.texts import Phrase

_PIN_GROUP = 4


class NotShownError(Exception):
    """Standard output cannot be written; ``phrase`` says what that means."""

    def __init__(self, phrase: Phrase) -> None:
        super().__init__(phrase.en)
        self.phrase = phrase


@contextmanager
def shown(otherwise: Phrase) -> Iterator[None]:
    """Raise NotShownError unless all that is printed within has left this process.

    It has not, either, where an interrupt kept it from being printed.
    """
    if sys.stdout is None:  # closed when the process began
        raise NotShownError(otherwise)
    try:
        yield
        sys.stdout.flush()
    except (OSError, ValueError, KeyboardInterrupt) as error:
        # What is left in the buffer would fail again when the process ends: discard it.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise NotShownError(otherwise) from error


class SubmissionPrinter:
    """Print what ``submit`` shows: number and PIN before anything is sent, then the outcome.

    JSON is one object in two parts, the first with number and PIN: a program that reads all of it
    reads one object, and the first part of a killed command needs only a brace. Used as a context,
    it completes the object if the submission fails or showing it does. ``options`` are those that
    the next commands need, too.
    """

    def __init__(self, *, as_json: bool, options: str = "") -> None:
        self._as_json = as_json
        self._options = options
        self._number = self._pin = ""
        self._is_open = False
        self._outcome = Submission("", "", (), ())
        self.is_finished = False
        """True once the outcome was shown."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_open:
            with suppress(NotShownError), shown(texts.NOT_SHOWN):
                self._print_rest(self._outcome)

    def announce(self, case_number: str, pin: str) -> None:
        """Print number and PIN of a new case. Raises NotShownError."""
        with shown(texts.NOT_SHOWN):
            if self._as_json:
                print(_opening(case_number, pin), end="", flush=True)  # noqa: T201
                self._is_open = True
            else:
                console = terminal.output()
                say(console, texts.BEFORE_SENDING, style="bold")
                _number_and_pin(console, case_number, pin)
                console.print()
        self._number, self._pin = case_number, pin

    def finish(self, submission: Submission) -> None:
        """Print what became of the files. Raises NotShownError."""
        self._outcome = submission
        number = submission.case_number
        if self._number and number and number != self._number:
            phrase = texts.OTHER_NUMBER.format(number=terminal.clean(number))
            say(Console(stderr=True, highlight=False), phrase, style="bold")
        with shown(texts.DONE_NOT_SHOWN.format(number=number or self._number)):
            if self._as_json:
                if not self._is_open:
                    print(_opening(number or None, submission.pin or None), end="")  # noqa: T201
                self._print_rest(submission)
            else:
                self._show(submission)
        self.is_finished = True

    def _print_rest(self, submission: Submission) -> None:
        self._is_open = False
        print(", " + json.dumps(_rest(submission)).removeprefix("{"))  # noqa: T201

    def _show(self, submission: Submission) -> None:
        console = terminal.output()
        if submission.registered:
            _show_registered(console, submission.registered)
        if submission.unknown:
            is_new = bool(self._number) and not submission.registered
            _show_unknown(console, submission, is_new=is_new)
        if submission.rejected:
            has_case = bool(submission.registered) or not (self._number and submission.unknown)
            _show_rejected(console, submission.rejected, has_case=has_case)
        if not (submission.registered or submission.unknown):
            say(console, texts.NOTHING_REGISTERED, style="bold")
            if self._number:
                say(console, texts.VOID_NUMBER, style="bold")
            say(console, texts.STAYED)
        elif self._number:
            _number_and_pin(console, submission.case_number, submission.pin)
            say(console, texts.KEEP_BOTH, style="bold")
            console.print()
        else:
            _line(console, texts.CASE_NUMBER, terminal.clean(submission.case_number))
        if any(file.age == AgeBand.UNSURE for file in submission.registered):
            say(console, texts.TREATED_AS_MINOR)
        if submission.registered or submission.unknown:
            say(console, texts.NEVER_LEFT)
        console.print()
        if submission.registered:
            number = terminal.clean(submission.case_number)
            show_next(console, number, self._options, submission.registered[0].number)
        say_help(console, (file.age for file in submission.registered))


def show_next(console: Console, number: str, options: str, item: int) -> None:
    """Print the next commands of a case, to be copied; ``item`` is the number of an item."""
    say(console, texts.NEXT)
    for what, command in (
        (texts.NEXT_STATUS, f"status {number}"),
        (texts.NEXT_ADD, f"submit --case {number} {spoken(texts.FILE)[0]}"),
        (texts.NEXT_WITHDRAW_ONE.format(item=item), f"withdraw {number} --item {item}"),
        (texts.NEXT_WITHDRAW, f"withdraw {number}"),
    ):
        _whole(console, f"  {in_line(what)}")
        _whole(console, f"    disrupt {command}{options}")
    console.print()


def say_help(console: Console, ages: Iterable[AgeBand | None]) -> None:
    """Say where to find help, to whom may be a minor in words for minors.

    Where no age is known, as of a case that was withdrawn, it may be a minor. Whoever helps the
    person reads what to tell them instead.
    """
    if is_helping():
        say(console, texts.HELP_TO_TELL)
        return
    said = set(ages)
    if said != {AgeBand.MINOR}:
        say(console, texts.HELP)
    if said != {AgeBand.ADULT}:
        say(console, texts.HELP_MINOR)


def show_withdrawn(console: Console, withdrawal: Withdrawal) -> None:
    """Print which items a withdrawal by items has withdrawn."""
    if not withdrawal.items:
        say(console, texts.NOTHING_LEFT_TO_WITHDRAW, style="bold")
        return
    done = texts.ITEMS_WITHDRAWN.format(count=len(withdrawal.items))
    say(console, done, style="bold green")
    for item in withdrawal.items:
        _whole(console, f"  {in_line(texts.ITEM.format(number=item.number))}")
        if item.by_older_id:
            say(console, texts.BY_OLDER_ID, indent="    ")
    if withdrawal.case.status == CaseStatus.WITHDRAWN:
        say(console, texts.CASE_WITHDRAWN_TOO, style="bold")


def show_receipt_code(console: Console, code: str) -> None:
    """Print the code of the receipt of a withdrawal."""
    say(console, texts.RECEIPT_CODE)
    _whole(console, f"  {code}")
    say(console, texts.RECEIPT_LATER)


def show_receipt(console: Console, receipt: WithdrawalReceipt) -> None:
    """Print what the receipt of a withdrawal shows."""
    say(console, texts.RECEIPT_LOGGED, style="bold")
    if receipt.erased_on:
        say(console, texts.RECEIPT_ERASED.format(day=receipt.erased_on), style="bold green")
        say(console, texts.RECEIPT_MIRRORS.format(count=receipt.mirrors))
        if receipt.silent:
            say(console, texts.RECEIPT_SILENT.format(count=receipt.silent))
    else:
        say(console, texts.RECEIPT_NOT_YET)


def show_items(console: Console, items: Iterable[CaseItem], ids: Iterable[bytes]) -> None:
    """Print which pictures are meant, those whose number is not known by their ids."""
    for item in items:
        say(console, item_named(item), indent="  ")
    for item_id in ids:
        _whole(console, f"  {item_id.hex()}")


def show_age_changes(console: Console, changes: Iterable[AgeChange]) -> None:
    """Print what would change the age of which picture."""
    say(console, texts.AGE_CHANGES, style="bold")
    for change in changes:
        before, after = texts.AGE_NAMES[change.before], texts.AGE_NAMES[change.after]
        change_of = Phrase(f"{before.fr} → {after.fr}", f"{before.en} → {after.en}")
        _whole(console, f"  {change.number}  {terminal.clean(change.source)}: {in_line(change_of)}")


def show_case(console: Console, case: Case, options: str) -> None:
    """Print a case and its items, grouped by the age as which they are treated.

    ``options`` are those that the next command needs, too.
    """
    known = texts.STATUSES.get(case.status) if case.status else None
    _line(console, texts.CASE_NUMBER, terminal.clean(case.number))
    _line(console, texts.STATUS, in_line(known or texts.UNKNOWN_VALUE))
    _show_meaning(console, case, options)
    _line(console, texts.OPENED_ON, terminal.clean(case.opened_on))
    if case.closed_on:
        _line(console, texts.CLOSED_ON, terminal.clean(case.closed_on))

    def age(item: CaseItem) -> int:
        return item.age or 0

    standings = [*texts.STANDINGS]
    urgent_first = sorted(case.items, key=lambda item: standings.index(_standing(item)))
    for _, group in groupby(sorted(urgent_first, key=age), age):
        items = list(group)
        say(console, _heading(texts.AGES[items[0].age], len(items)))
        for item in items:
            state = texts.STATES.get(item.state) if item.state else None
            state, named = state or known or texts.UNKNOWN_VALUE, item_named(item)
            said = Phrase(f"{named.fr}, {state.fr}", f"{named.en}, {state.en}")
            say(console, said, indent="  ")
            if item.state in texts.STATE_MEANS:
                say(console, texts.STATE_MEANS[item.state], indent="     ")
            for phrase, came_on in (
                (texts.BLOCKED_ON, item.blocked_on),
                (texts.LEFT_UP_ON, item.left_up_on),
            ):
                if came_on:
                    say(console, phrase.format(day=terminal.clean(came_on)), indent="     ")
    if case.withdrawn_numbers:
        _line(console, texts.WITHDRAWN_NUMBERS, ", ".join(map(str, case.withdrawn_numbers)))


def item_named(item: CaseItem) -> Phrase:
    """Name an item of a case by its number, its kind, and the day since which it is there."""
    number, kind = texts.ITEM.format(number=item.number), texts.KINDS[item.kind]
    since = texts.REGISTERED_ON.format(day=terminal.clean(item.registered_on))
    return Phrase(
        f"{number.fr} : {kind.fr} {since.fr}",
        f"{number.en}: {kind.en} {since.en}",
    )


def _show_meaning(console: Console, case: Case, options: str) -> None:
    """Say what the status means, or that the case is about to be erased."""
    if case.erased_on:
        say(console, texts.ERASED_ON.format(day=terminal.clean(case.erased_on)), style="bold")
        _whole(console, f"  {in_line(texts.HOW_TO_KEEP)}")
        _whole(console, f"    disrupt keep {terminal.clean(case.number)}{options}")
    elif case.status == CaseStatus.ACTIVE:
        say(console, Phrase(f"{texts.COUNTS.fr} :", f"{texts.COUNTS.en}:"))
        counts = Counter(map(_standing, case.items))
        for standing, (one, many) in texts.STANDINGS.items():
            if count := counts[standing]:
                say(console, (one if count == 1 else many).format(count=count), indent="  ")


def _standing(item: CaseItem) -> str:
    """Return how an item stands, as a key of STANDINGS."""
    if item.left_up_on:
        return "left_up"
    return item.state.name.lower() if item.state else "unknown"


def case_json(case: Case) -> dict[str, Any]:
    """Return a case as a JSON object."""
    return {
        "case": case.number,
        "status": case.status.name if case.status else None,
        "opened_on": case.opened_on,
        "closed_on": case.closed_on or None,
        "erased_on": case.erased_on or None,
        "items": [
            {
                "item": item.item_id,
                "kind": item.kind.name if item.kind else None,
                "hashes": item.hashes,
                "age": item.age.name.lower() if item.age else None,
                "number": item.number,
                "registered_on": item.registered_on,
                "state": item.state.name.lower() if item.state else None,
                "blocked_on": item.blocked_on or None,
                "left_up_on": item.left_up_on or None,
            }
            for item in case.items
        ],
        "withdrawn_numbers": list(case.withdrawn_numbers),
    }


def withdrawal_json(withdrawal: Withdrawal) -> dict[str, Any]:
    """Return a case after a withdrawal as a JSON object, with what this one withdrew."""
    withdrawn = [{"item": item.item_id, "number": item.number} for item in withdrawal.items]
    return case_json(withdrawal.case) | {"withdrawn": withdrawn}


def say(console: Console, phrase: Phrase, style: str = "", indent: str = "") -> None:
    """Print a phrase, French first where both are spoken, without breaking lines within a word."""
    for text, styled in zip(spoken(phrase.typeset()), (style, "italic"), strict=False):
        _wrapped(console, text, styled, indent)


def _wrapped(console: Console, text: str, style: str, indent: str) -> None:
    # not by rich, which breaks lines at a no-break space, too
    for line in textwrap.wrap(
        text,
        console.width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        console.print(Text(line, style), soft_wrap=True)


def _opening(case_number: str | None, pin: str | None) -> str:
    """Return the first part of the object of ``submit --json``, without its closing brace."""
    return json.dumps({"case": case_number, "pin": pin}).removesuffix("}")


def _rest(submission: Submission) -> dict[str, Any]:
    rest: dict[str, Any] = {
        "items": [
            {
                "input": file.source,
                "item": file.item_id,
                "number": file.number,
                "hashes": file.hashes,
                "outcome": file.outcome.name.lower(),
                "state": file.state.name.lower() if file.state else None,
            }
            | ({"incomplete": True} if file.incomplete else {})
            | ({"first_frame_only": True} if file.first_frame_only else {})
            for file in submission.registered
        ],
        "rejected": [
            {
                "input": file.source,
                "reason": file.reason,
                "message": file.message,
                "quality": file.quality,
            }
            for file in submission.rejected
        ],
    }
    if submission.unknown:
        rest["unknown"] = [file.source for file in submission.unknown]
    return rest


def _number_and_pin(console: Console, case_number: str, pin: str) -> None:
    _line(console, texts.CASE_NUMBER, terminal.clean(case_number))
    _line(console, texts.PIN, " ".join(textwrap.wrap(pin, _PIN_GROUP)))


def _show_registered(console: Console, registered: Collection[Registered]) -> None:
    counts = Counter(file.state for file in registered)
    for state, phrase in texts.REGISTERED.items():
        if count := counts[state]:
            style = "bold green" if state == ShownState.LIVE else "bold"
            say(console, phrase.format(count=count), style=style)
    say(console, texts.ITEMS)
    for file in registered:
        _whole(console, f"  {file.number}  {terminal.clean(file.source)}")
        if file.incomplete:
            say(console, texts.ONLY_PART, indent="    ")
        if file.first_frame_only:
            say(console, texts.FIRST_FRAME_ONLY, indent="    ")
        is_off = file.state == ShownState.OFF
        if file.outcome in texts.OUTCOMES and not (is_off and file.outcome == Outcome.KEPT):
            say(console, texts.OUTCOMES[file.outcome], indent="    ")
        if is_off:
            say(console, texts.STATE_MEANS[ShownState.OFF], indent="    ")
    console.print()


def _show_unknown(console: Console, submission: Submission, *, is_new: bool) -> None:
    number = terminal.clean(submission.case_number)
    say(console, texts.NOT_KNOWN.format(number=number), style="bold")
    say(console, texts.NOT_KNOWN_OF_NEW if is_new else texts.NOT_KNOWN_OF_ADDED, style="bold")
    for file in submission.unknown:
        _whole(console, f"  {terminal.clean(file.source)}")
        _detail(console, file.message)
    console.print()


def _show_rejected(console: Console, rejected: tuple[Rejected, ...], *, has_case: bool) -> None:
    say(console, _heading(texts.REJECTED, len(rejected)), style="bold")
    for file in rejected:
        _whole(console, f"  {terminal.clean(file.source)}")
        say(console, reasons.rejection(file, has_case=has_case), indent="    ")
        _detail(console, file.message)
    console.print()


def _heading(phrase: Phrase, count: int) -> Phrase:
    return Phrase(f"{phrase.fr} : {count}", f"{phrase.en}: {count}")


def _line(console: Console, name: Phrase, value: str) -> None:
    """Print a name and a value; the value on a line of its own where both are too long for one."""
    said = in_line(name)
    between = ": " if len(f"{said}: {value}") <= console.width else ":\n  "
    _whole(console, Text.assemble(f"{said}{between}", (value, "bold")))


def _detail(console: Console, message: str) -> None:
    """Print a program's message, for whoever helps the person."""
    detail = f"({in_line(texts.DETAIL)}: {terminal.clean(message)})"
    _wrapped(console, detail, "dim", "    ")


def _whole(console: Console, text: Text | str) -> None:
    """Print a line unbroken, however narrow the terminal: people copy it."""
    console.print(text if isinstance(text, Text) else Text(text), soft_wrap=True)

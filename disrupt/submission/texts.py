"""The phrases of the commands for a victim: what was done, asked and shown.

Why a file was not registered or a call failed is in ``reasons``, the help of commands in
``commands``.
"""

from __future__ import annotations

from disrupt.core.cases import AgeBand, CaseStatus
from disrupt.core.media import ItemState
from disrupt.core.outcomes import Outcome as MatchOutcome
from disrupt.core.registrations import Outcome
from disrupt.texts import Phrase, read_catalogue

_PHRASES = {**read_catalogue("shared"), **read_catalogue("commands")}


def by_name(family: str) -> dict[str, Phrase]:
    """Return the phrases of a family by the last part of their keys, as in ``family.NAME``."""
    keys = (key for key in _PHRASES if key.startswith(f"{family}."))
    return {key.removeprefix(f"{family}."): _PHRASES[key] for key in keys}


# What was done
REGISTERED = _PHRASES["registered.all"]
REGISTERED_IN_PART = _PHRASES["registered.part"]
REGISTERED_ONLY = _PHRASES["registered.not_yet"]
REGISTERED_OFF = _PHRASES["registered.off"]
NOTHING_REGISTERED = _PHRASES["registered.none"]
VOID_NUMBER = _PHRASES["number.void"]
BEFORE_SENDING = _PHRASES["number.before_sending"]
CASE_NUMBER = _PHRASES["open.number"]
PIN = _PHRASES["open.pin"]
KEEP_BOTH = _PHRASES["number.keep"]
NEVER_LEFT = _PHRASES["privacy.only_fingerprints_sent"]
STAYED = _PHRASES["privacy.nothing_sent"]
TREATED_AS_MINOR = _PHRASES["age.treated_as_minor"]
WITHDRAWN = _PHRASES["withdrawn.case"]
REALLY_WITHDRAW = _PHRASES["withdraw.confirm"]
TYPE_YES = _PHRASES["withdraw.type_yes"]
YES = {"oui", "o", "yes", "y"}
ITEMS_WITHDRAWN = _PHRASES["withdrawn.items"]
COME_BACK = _PHRASES["withdraw.again"]
HELP = _PHRASES["help.call"]

ONLY_PART = _PHRASES["item.incomplete"]
FIRST_FRAME_ONLY = _PHRASES["item.first_frame_only"]
OUTCOMES = {
    Outcome.RENEWED: _PHRASES["outcome.renewed"],
    Outcome.KEPT: _PHRASES["outcome.kept"],
}
STATES = {
    ItemState.WAITING: _PHRASES["state.waiting"],
    ItemState.DISABLED: _PHRASES["state.disabled"],
}
NOT_FOUND_NOW = _PHRASES["state.not_found"]
MATCH_OUTCOMES = {
    MatchOutcome.BLOCKED: _PHRASES["match.blocked"],
    MatchOutcome.NOT_BLOCKED: _PHRASES["match.not_blocked"],
}

# Lists
ITEMS = _PHRASES["list.items"]
REJECTED = _PHRASES["list.refused"]
UNKNOWN = _PHRASES["list.unknown"]
STATUS = _PHRASES["case.status"]
AGES = {
    AgeBand.ADULT: _PHRASES["age.adult"],
    AgeBand.MINOR: _PHRASES["age.minor"],
    None: _PHRASES["age.unknown"],
}
OPENED_ON = _PHRASES["case.opened"]
CLOSED_ON = _PHRASES["case.closed"]
STATUSES = {status: _PHRASES[f"status.{status.name.lower()}"] for status in CaseStatus}
ACTIVE_MEANS = _PHRASES["case.live"]
ACTIVE_IN_PART_MEANS = _PHRASES["case.part"]
ACTIVE_NOT_YET_MEANS = _PHRASES["case.not_yet"]
ACTIVE_OFF_MEANS = _PHRASES["case.off"]
UNKNOWN_VALUE = _PHRASES["status.unknown"]

# The erasure of a case without its PIN
ERASURE_REQUESTED = _PHRASES["erasure.requested"]
ERASURE_PENDING = _PHRASES["erasure.pending"]
ERASED = _PHRASES["erasure.done"]
KEPT = _PHRASES["keep.done"]
TOO_LATE_TO_KEEP = _PHRASES["keep.too_late"]
NOTHING_TO_KEEP = _PHRASES["keep.nothing"]
WHO_ASKED = _PHRASES["keep.who"]

# Questions
ASK_PIN = _PHRASES["pin.ask"]
WORKING = _PHRASES["hashing.label"]

# Waiting
NO_ANSWER_YET = _PHRASES["wait.no_answer"]
TRYING_AGAIN = _PHRASES["wait.unavailable"]
WAITING_WHILE_BUSY = _PHRASES["wait.busy"]
WAITING_FOR_ATTEMPTS = _PHRASES["wait.attempts"]
WAITING_FOR_TURN = _PHRASES["wait.turn"]

# Unclear outcomes
NOT_KNOWN = _PHRASES["unknown.registration"]
NOT_KNOWN_OF_NEW = _PHRASES["unknown.new_case"]
NOT_KNOWN_OF_ADDED = _PHRASES["unknown.added"]
WITHDRAWAL_NOT_KNOWN = _PHRASES["unknown.withdrawal"]
NOTHING_WAS_REGISTERED = _PHRASES["unchanged.registration"]
TOO_MANY_TO_WITHDRAW = _PHRASES["withdraw.too_many"]
NOTHING_WAS_WITHDRAWN = _PHRASES["unchanged.withdrawal"]
KEEPING_NOT_KNOWN = _PHRASES["unknown.keeping"]
NOTHING_WAS_KEPT = _PHRASES["unchanged.keeping"]
KEPT_NOT_SHOWN = _PHRASES["not_shown.kept"]
INTERRUPTED = _PHRASES["failed.interrupted"]
UNFORESEEN = _PHRASES["failed.unforeseen"]
NOT_SHOWN = _PHRASES["not_shown.number"]
DONE_NOT_SHOWN = _PHRASES["not_shown.registered"]
OTHER_NUMBER = _PHRASES["number.other"]
CASE_NOT_SHOWN = _PHRASES["not_shown.case"]
WITHDRAWN_NOT_SHOWN = _PHRASES["not_shown.withdrawn"]

# How the command was used
SAY_YES = _PHRASES["usage.say_yes"]
ERROR = _PHRASES["usage.error"]
HELP_OPTION = _PHRASES["usage.help"]
USAGE = _PHRASES["usage.mistyped"]
NO_KEY = _PHRASES["usage.no_key"]
NO_FILE = _PHRASES["usage.no_file"]
BAD_FILE = _PHRASES["usage.bad_file"]
NO_PIN = _PHRASES["usage.no_pin"]
BAD_CASE_NUMBER = _PHRASES["open.number.bad"]
BAD_PIN = _PHRASES["usage.pin"]
BAD_ITEM = _PHRASES["usage.item"]

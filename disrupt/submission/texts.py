"""The phrases that the commands say to a victim; their words are in the catalogues.

Why a file was not registered or a call failed is in ``reasons``, the help of commands in
``commands``.
"""

from __future__ import annotations

from disrupt.core.cases import AgeBand, CaseStatus
from disrupt.core.media import MediaKind
from disrupt.core.registrations import Outcome, ShownState
from disrupt.texts import Phrase, read_catalogue

_TEXTS = {**read_catalogue("shared"), **read_catalogue("commands")}


def text(key: str) -> Phrase:
    """Return a phrase of the commands."""
    return _TEXTS[key]


def by_name(family: str) -> dict[str, Phrase]:
    """Return the phrases whose keys are ``family.NAME``, by NAME."""
    keys = (key for key in _TEXTS if key.startswith(f"{family}."))
    return {key.removeprefix(f"{family}."): _TEXTS[key] for key in keys}


# What was done
REGISTERED = {
    ShownState.LIVE: text("registered"),
    ShownState.WAITING: text("registered_waiting"),
    ShownState.OFF: text("registered_off"),
}
NOTHING_REGISTERED = text("nothing_registered")
VOID_NUMBER = text("void_number")
BEFORE_SENDING = text("before_sending")
CASE_NUMBER = text("number.case")
PIN = text("number.pin")
KEEP_BOTH = text("keep_both")
NEVER_LEFT = text("never_left")
STAYED = text("stayed")
TREATED_AS_MINOR = text("treated_as_minor")
NEXT = text("next")
NEXT_STATUS = text("next_status")
NEXT_ADD = text("next_add")
NEXT_WITHDRAW_ONE = text("next_withdraw_one")
NEXT_WITHDRAW = text("next_withdraw")
FILE = text("file")
WITHDRAWN = text("withdraw.done")
REALLY_WITHDRAW = text("really_withdraw")
REALLY_WITHDRAW_ITEMS = text("really_withdraw_items")
REALLY_WITHDRAW_LAST = text("really_withdraw_last")
TYPE_YES = text("type_yes")
YES = {"oui", "o", "yes", "y"}
ITEMS_WITHDRAWN = text("items_withdrawn")
NOTHING_LEFT_TO_WITHDRAW = text("nothing_left_to_withdraw")
BY_OLDER_ID = text("by_older_id")
CASE_WITHDRAWN_TOO = text("case_withdrawn_too")
COME_BACK = text("withdraw.again")
RECEIPT_CODE = text("receipt_code")
RECEIPT_LATER = text("receipt_later")
RECEIPT_LOGGED = text("receipt_logged")
RECEIPT_ERASED = text("receipt_erased")
RECEIPT_MIRRORS = text("receipt_mirrors")
RECEIPT_SILENT = text("receipt_silent")
RECEIPT_NOT_YET = text("receipt_not_yet")
NO_SUCH_RECEIPT = text("no_such_receipt")
HELP = text("help.call")
HELP_MINOR = text("help.minor")
HELP_TO_TELL = text("help.to_tell")

ONLY_PART = text("only_part")
FIRST_FRAME_ONLY = text("first_frame_only")
OUTCOMES = {
    Outcome.RENEWED: text("outcome.RENEWED"),
    Outcome.KEPT: text("outcome.KEPT"),
}

# Lists
ITEMS = text("items")
ITEM = text("item")
KINDS = {
    MediaKind.IMAGE: text("kind.IMAGE"),
    MediaKind.VIDEO: text("kind.VIDEO"),
    None: text("kind.unknown"),
}
REGISTERED_ON = text("registered_on")
STATES = {
    ShownState.LIVE: text("state.LIVE"),
    ShownState.WAITING: text("state.WAITING"),
    ShownState.OFF: text("state.OFF"),
}
STATE_MEANS = {
    ShownState.WAITING: text("state.WAITING.means"),
    ShownState.OFF: text("state.OFF.means"),
}
BLOCKED_ON = text("came.blocked")
LEFT_UP_ON = text("came.left_up")
WITHDRAWN_NUMBERS = text("withdrawn_numbers")
REJECTED = text("rejected")
STATUS = text("case.status")
AGES = {
    AgeBand.ADULT: text("treated.ADULT"),
    AgeBand.MINOR: text("treated.MINOR"),
    None: text("treated.unknown"),
}
OPENED_ON = text("case.opened")
CLOSED_ON = text("case.closed")
STATUSES = {status: text(f"status.{status.name}") for status in CaseStatus}
COUNTS = text("case.counts")
STANDINGS = {
    standing: (text(f"case.{standing}.one"), text(f"case.{standing}.other"))
    for standing in ("left_up", "off", "waiting", "live", "unknown")
}
"""How many items of a case stand how, for one and for several; what is urgent first."""
ERASED_ON = text("case.erased_on")
HOW_TO_KEEP = text("how_to_keep")
KEPT = text("case.kept")
CASE_NOT_KEPT = text("case_not_kept")
UNKNOWN_VALUE = text("unknown_value")

# Questions
ASK_AGE = text("ask_age")
TYPE_AGE = text("type_age")
AGE_ANSWERS = {
    **dict.fromkeys(("majeure", "majeur", "adulte", "adult"), AgeBand.ADULT),
    **dict.fromkeys(("mineure", "mineur", "minor"), AgeBand.MINOR),
    **dict.fromkeys(("incertain", "incertaine", "unsure"), AgeBand.UNSURE),
}
AGE_CHANGES = text("age_changes")
AGE_NAMES = {age: text(f"age.{age.name}") for age in AgeBand}
CHANGE_AGES = text("change_ages")
ASK_PIN = text("ask_pin")
WORKING = text("working")

# Waiting
NO_ANSWER_YET = text("no_answer_yet")
TRYING_AGAIN = text("trying_again")
WAITING_WHILE_BUSY = text("waiting_while_busy")
WAITING_FOR_ATTEMPTS = text("waiting_for_attempts")
WAITING_FOR_TURN = text("waiting_for_turn")

# Unclear outcomes
NOT_KNOWN = text("not_known")
NOT_KNOWN_OF_NEW = text("not_known_of_new")
NOT_KNOWN_OF_ADDED = text("not_known_of_added")
WITHDRAWAL_NOT_KNOWN = text("withdrawal_not_known")
NOTHING_WAS_REGISTERED = text("nothing_was_registered")
TOO_MANY_TO_WITHDRAW = text("too_many_to_withdraw")
NOTHING_WAS_WITHDRAWN = text("nothing_was_withdrawn")
INTERRUPTED = text("interrupted")
UNFORESEEN = text("unforeseen")
NOT_SHOWN = text("not_shown")
DONE_NOT_SHOWN = text("done_not_shown")
OTHER_NUMBER = text("other_number")
CASE_NOT_SHOWN = text("case_not_shown")
WITHDRAWN_NOT_SHOWN = text("withdrawn_not_shown")

# How the command was used
SAY_YES = text("say_yes")
SAY_AGE = text("say_age")
DETAIL = text("detail")
ERROR = text("error")
HELP_OPTION = text("help_option")
USAGE = text("usage")
NO_KEY = text("no_key")
NO_PIN = text("no_pin")
BAD_CASE_NUMBER = text("number.bad")
LOST_PIN = text("lost_pin")
BAD_PIN = text("bad_pin").then(LOST_PIN)
BAD_ITEM = text("bad_item")

"""Statements of reasons, as the DSA Transparency Database takes them.

Names and values are those of its API (https://transparency.dsa.ec.europa.eu/page/api-documentation,
as of 2025-07-01). docs/statement-of-reasons.md says which outcome owes one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from enum import StrEnum

from disrupt.client.arguments import invalid
from disrupt.core.media import MediaKind
from disrupt.core.outcomes import MatchOutcome

FACTS = (
    "The provider compared a perceptual hash of the upload with those in a list that a hotline "
    "keeps. The people whom the pictures show had registered them on their own devices, so that "
    "they are not shared without their consent. The hashes were near enough to be of the same "
    "picture. No notice was received."
)
"""What a match is, in the words of ``decision_facts``; how near it was would help to evade."""

_RESTRICTIONS = {
    MatchOutcome.BLOCKED: "DECISION_VISIBILITY_CONTENT_REMOVED",
    MatchOutcome.PENDING_REVIEW: "DECISION_VISIBILITY_CONTENT_DISABLED",
}


class Ground(StrEnum):
    """Basis of a decision."""

    ILLEGAL = "DECISION_GROUND_ILLEGAL_CONTENT"
    TERMS = "DECISION_GROUND_INCOMPATIBLE_CONTENT"


class Automation(StrEnum):
    """How far the decision was taken by automated means; it was found by them in any case."""

    FULLY = "AUTOMATED_DECISION_FULLY"
    PARTIALLY = "AUTOMATED_DECISION_PARTIALLY"
    NONE = "AUTOMATED_DECISION_NOT_AUTOMATED"


def statement_of_reasons(  # noqa: PLR0913 each is a fact that the database asks for
    outcome: MatchOutcome,
    *,
    kind: MediaKind,
    shows_minor: bool,
    ground: Ground,
    ground_text: str,
    explanation: str,
    automation: Automation,
    territory: Sequence[str],
    uploaded_on: date,
    decided_on: date,
    reference: str,
    facts: str = FACTS,
) -> dict[str, str | list[str]]:
    """Return the statement for a match on which an upload was blocked, or hidden until review.

    ``ground_text``, of 1-500 characters, is the law or the clause of the terms, and
    ``explanation``, of 1-2000, says why the content is against it. ``territory`` has two letters
    for each country of the EEA in which it is restricted. ``reference`` names the statement in your
    own system: 1-500 letters, digits, hyphens and underscores, and nothing of a person. ``facts``
    has at most 5000 characters. ``shows_minor`` is yours to decide: the bank ``minors`` also has
    pictures of people whose age is not known.

    Raises InvalidRequestError for other arguments, and for an outcome that restricts nothing.
    """
    if outcome not in _RESTRICTIONS:
        raise invalid("outcome", "it restricts nothing, so no reasons are owed")
    for name, text, most in (
        ("ground_text", ground_text, 500),
        ("explanation", explanation, 2000),
        ("facts", facts, 5000),
    ):
        if not text.strip() or len(text) > most:
            raise invalid(name, f"give 1-{most} characters")
    if not territory or not all(re.fullmatch("[A-Z]{2}", country) for country in territory):
        raise invalid("territory", "give two capital letters for each country, as FR")
    if not re.fullmatch("[A-Za-z0-9_-]{1,500}", reference):
        raise invalid("reference", "give 1-500 letters, digits, hyphens and underscores")
    of = "illegal_content" if ground == Ground.ILLEGAL else "incompatible_content"
    return {
        "decision_visibility": [_RESTRICTIONS[outcome]],
        "decision_ground": ground.value,
        f"{of}_legal_ground" if ground == Ground.ILLEGAL else f"{of}_ground": ground_text,
        f"{of}_explanation": explanation,
        "content_type": [f"CONTENT_TYPE_{kind.name}"],
        "category": "STATEMENT_CATEGORY_PROTECTION_OF_MINORS"
        if shows_minor
        else "STATEMENT_CATEGORY_CYBER_VIOLENCE",
        "category_specification": [
            "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL"
            if shows_minor
            else "KEYWORD_NON_CONSENSUAL_IMAGE_SHARING"
        ],
        "territorial_scope": sorted(territory),
        "content_date": uploaded_on.isoformat(),
        "application_date": decided_on.isoformat(),
        "decision_facts": facts,
        "source_type": "SOURCE_VOLUNTARY",
        "automated_detection": "Yes",
        "automated_decision": automation.value,
        "puid": reference,
    }

"""Statements of reasons have the fields and values of the Transparency Database's API."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path

import pytest

from disrupt.client import Automation, Ground, MatchOutcome, MediaKind, statement_of_reasons
from disrupt.errors import InvalidRequestError

REQUIRED = {
    *("decision_visibility", "decision_ground", "content_type", "category", "territorial_scope"),
    *("content_date", "application_date", "decision_facts", "source_type", "automated_detection"),
    *("automated_decision", "puid"),
}
"""Fields that the API's page calls required; of the decisions, that on visibility stands alone."""
OF_GROUND = {
    "DECISION_GROUND_ILLEGAL_CONTENT": {
        "illegal_content_legal_ground",
        "illegal_content_explanation",
    },
    "DECISION_GROUND_INCOMPATIBLE_CONTENT": {
        "incompatible_content_ground",
        "incompatible_content_explanation",
    },
}
"""Fields that it requires with a ground."""
VALUES = {
    "decision_visibility": {
        "DECISION_VISIBILITY_CONTENT_REMOVED",
        "DECISION_VISIBILITY_CONTENT_DISABLED",
    },
    "content_type": {"CONTENT_TYPE_IMAGE", "CONTENT_TYPE_VIDEO"},
    "category": {"STATEMENT_CATEGORY_CYBER_VIOLENCE", "STATEMENT_CATEGORY_PROTECTION_OF_MINORS"},
    "category_specification": {
        "KEYWORD_NON_CONSENSUAL_IMAGE_SHARING",
        "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL",
    },
    "source_type": {"SOURCE_VOLUNTARY"},
    "automated_detection": {"Yes"},
    "automated_decision": {
        "AUTOMATED_DECISION_FULLY",
        "AUTOMATED_DECISION_PARTIALLY",
        "AUTOMATED_DECISION_NOT_AUTOMATED",
    },
}
"""Values of its page that a match can have."""


def statement(**changes: object) -> dict[str, str | list[str]]:
    values: dict[str, object] = {
        "outcome": MatchOutcome.BLOCKED,
        "kind": MediaKind.IMAGE,
        "shows_minor": False,
        "ground": Ground.ILLEGAL,
        "ground_text": "Code pénal, article 226-2-1",
        "explanation": "An intimate picture, shared without consent.",
        "automation": Automation.NONE,
        "territory": ["FR", "BE"],
        "uploaded_on": date(2026, 5, 1),
        "decided_on": date(2026, 5, 2),
        "reference": "2026-17",
    }
    outcome, *_ = (values | changes).values()
    rest = {name: value for name, value in (values | changes).items() if name != "outcome"}
    return statement_of_reasons(outcome, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("outcome", [MatchOutcome.BLOCKED, MatchOutcome.PENDING_REVIEW])
@pytest.mark.parametrize("ground", Ground)
@pytest.mark.parametrize("kind", MediaKind)
@pytest.mark.parametrize("shows_minor", [False, True])
def test_each_restriction_has_the_fields_and_values_that_the_database_asks_for(
    outcome: MatchOutcome, ground: Ground, kind: MediaKind, *, shows_minor: bool
) -> None:
    made = statement(outcome=outcome, ground=ground, kind=kind, shows_minor=shows_minor)
    assert json.loads(json.dumps(made)) == made
    assert made.keys() == REQUIRED | OF_GROUND[ground] | {"category_specification"}
    for name, allowed in VALUES.items():
        value = made[name]
        assert {*([value] if isinstance(value, str) else value)} <= allowed
    # The database's keyword of images without consent leaves out content that shows minors.
    assert ("MINORS" in made["category"]) == ("CHILD" in made["category_specification"][0])
    assert made["application_date"] == "2026-05-02"


@pytest.mark.parametrize("outcome", [MatchOutcome.NOT_BLOCKED, MatchOutcome.FALSE_POSITIVE])
def test_what_restricts_nothing_has_no_statement(outcome: MatchOutcome) -> None:
    with pytest.raises(InvalidRequestError):
        statement(outcome=outcome)


@pytest.mark.parametrize(
    ("name", "fits", "does_not"),
    [
        ("ground_text", "x" * 500, "x" * 501),
        ("explanation", "x" * 2000, "x" * 2001),
        ("explanation", "x", " "),
        ("facts", "x" * 5000, ""),
        ("territory", ["FR"], []),
        ("territory", ["FR"], ["fr"]),
        ("reference", "a-b_9", "a b"),
        ("reference", "a" * 500, "a" * 501),
    ],
)
def test_what_the_database_would_refuse_is_refused(
    name: str, fits: object, does_not: object
) -> None:
    assert statement(**{name: fits})
    with pytest.raises(InvalidRequestError):
        statement(**{name: does_not})


def test_the_page_shows_what_its_example_prints() -> None:
    page = (Path(__file__).parents[2] / "docs" / "statement-of-reasons.md").read_text("utf-8")
    example, shown = (
        page.partition(f"```{language}\n")[2].partition("```")[0] for language in ("python", "json")
    )
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(example, {})  # noqa: S102 the project's own page
    made = json.loads(printed.getvalue())
    for name, value in json.loads(shown).items():
        if isinstance(value, str) and value.endswith(" …"):
            assert made[name].startswith(value.removesuffix(" …"))
        else:
            assert made[name] == value
    assert made.keys() == json.loads(shown).keys()

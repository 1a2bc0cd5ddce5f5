"""What becomes of an upload follows from the operator's policy, never milder than it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.client import Extent, HashAnswer, ImageAnswer, Match, VideoAnswer
from disrupt.core.media import Assurance, MediaKind
from disrupt.core.transforms import IDENTITY
from disrupt.door.policy import Action, Decision, Policy
from disrupt.errors import ConfigurationError

MATCH = Match(
    item_id="ab" * 16,
    bank="adults",
    assurance=Assurance.REVIEWED,
    distance_bits=4,
    kind=MediaKind.IMAGE,
    query_transform=IDENTITY,
    transform=IDENTITY,
    plan=1,
    ordinal=0,
    match_id=b"proof",
)
AREAS = {Extent.WHOLE: (1000, 1000), Extent.PART: (300, 300), Extent.UNKNOWN: (0, 300)}
STRICTNESS = [Action.PASS, Action.SHADOW, Action.HOLD, Action.REFUSE]


def a_match(bank: str, extent: Extent, *, common: bool = False, disputed: bool = False) -> Match:
    query, stored = AREAS[extent]
    match = replace(MATCH, bank=bank, query_area_permille=query, stored_area_permille=stored)
    return replace(match, common=common, disputed=disputed)


def an_answer(*matches: Match, skipped: int = 0) -> ImageAnswer:
    return ImageAnswer(
        matches,
        truncated=False,
        quality=90,
        low_quality=False,
        advice="",
        index_cursor="",
        frames_skipped=skipped,
    )


of_matches = st.sampled_from([Action.SHADOW, Action.HOLD, Action.REFUSE])
tables = st.dictionaries(
    st.sampled_from(["adults", "minors", "*"]),
    st.dictionaries(st.sampled_from(Extent), of_matches),
)
matches = st.builds(
    a_match,
    st.sampled_from(["adults", "minors", "own"]),
    st.sampled_from(Extent),
    common=st.booleans(),
    disputed=st.booleans(),
)


@given(tables, st.lists(matches, max_size=4))
def test_the_strictest_match_decides(
    actions: dict[str, dict[Extent, Action]], found: list[Match]
) -> None:
    default = {Extent.WHOLE: Action.REFUSE, Extent.PART: Action.HOLD, Extent.UNKNOWN: Action.HOLD}
    expected = Action.PASS
    for match in found:
        table = actions[match.bank] if match.bank in actions else actions.get("*", {})
        action = table.get(match.extent, default[match.extent])
        if (match.common or match.disputed) and action == Action.REFUSE:
            action = Action.HOLD
        expected = max(expected, action, key=STRICTNESS.index)
    decision = Policy(actions=actions).decide(an_answer(*found))
    assert decision.action == expected
    assert decision.reason == ("match" if found else "no_match")


@given(st.sampled_from([Action.PASS, Action.HOLD, Action.REFUSE]), st.booleans())
def test_what_was_not_wholly_looked_up_is_no_answer(no_answer: Action, shadowed: bool) -> None:
    policy = Policy(actions={"*": {Extent.WHOLE: Action.SHADOW}}, no_answer=no_answer)
    found = [a_match("adults", Extent.WHOLE)] if shadowed else []
    decision = policy.decide(an_answer(*found, skipped=1))
    assert (decision.action, decision.reason) == (no_answer, "NOT_WHOLLY_LOOKED_UP")
    held = policy.decide(an_answer(a_match("adults", Extent.PART), skipped=1))
    assert held.action == Action.HOLD


def test_a_video_whose_frames_were_not_all_compared_is_no_answer() -> None:
    answer = VideoAnswer(
        (),
        truncated=True,
        frames_hashed=9,
        frames_low_quality=0,
        incomplete=False,
        answered_early=False,
        index_cursor="",
    )
    assert Policy().decide(answer) == Decision(Action.HOLD, "NOT_WHOLLY_LOOKED_UP")
    whole = replace(answer, truncated=False)
    assert Policy().decide(whole) == Decision(Action.PASS, "no_match")


def test_a_featureless_picture_has_an_action_of_its_own() -> None:
    blank = replace(an_answer(), quality=12, low_quality=True)
    assert Policy().decide(blank).action == Action.HOLD
    decision = Policy(featureless=Action.PASS).decide(blank)
    assert (decision.action, decision.reason) == (Action.PASS, "LOW_QUALITY")


def test_a_hash_without_matches_passes() -> None:
    assert (
        Policy().decide(HashAnswer((), truncated=False, low_quality=False, index_cursor="")).action
        == Action.PASS
    )


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("acions = {}", "acions"),
        ("actions = 1", "actions"),
        ("actions = { adults = 1 }", "actions.adults"),
        ('actions = { adults = { hole = "refuse" } }', "actions.adults"),
        ('actions = { adults = { whole = "pass" } }', "actions.adults.whole"),
        ('actions = { adults = { whole = ["refuse"] } }', "actions.adults.whole"),
        ('no_answer = "shadow"', "no_answer"),
        ("featureless = true", "featureless"),
        ('effort = "most"', "effort"),
        ("effort = []", "effort"),
        ('names = { adults = "A", minors = "A" }', "names"),
        ('names = { adults = "A,B" }', "names"),
        ("patience_s = 0", "patience_s"),
        ("patience_s = true", "patience_s"),
        ("patience_s = nan", "patience_s"),
        ('url_hosts = "example.org"', "url_hosts"),
        ('url_hosts = ["https://example.org/"]', "url_hosts"),
        ('matrix_media = "file:///etc"', "matrix_media"),
        ("no = [", "policy"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, setting: str) -> None:
    file = tmp_path / "door.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        Policy.read(file)
    assert refused.value.metadata == {"setting": setting}


def test_a_policy_is_read(tmp_path: Path) -> None:
    file = tmp_path / "door.toml"
    file.write_text('effort = "fast"\n[actions."*"]\nwhole = "shadow"\n[names]\nown = "OURS"\n')
    policy = Policy.read(file)
    assert policy.action_of(a_match("minors", Extent.WHOLE)) == Action.SHADOW
    assert policy.banks == ("adults", "minors", "own")
    assert [policy.name(bank, Action.HOLD) for bank in policy.banks] == [
        "ADULTS_REVIEW",
        "MINORS_REVIEW",
        "OURS_REVIEW",
    ]

"""The rule of docs/on-a-match.md, run as it is written, does what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disrupt.client import ImageAnswer, Match, MatchClient, MediaKind, VideoAnswer
from disrupt.core.cases import AgeBand
from disrupt.core.media import Assurance
from disrupt.core.transforms import IDENTITY
from disrupt.submission.client import SubmissionClient
from rig.media.generated import picture
from rig.servers.deployment import Deployment
from rig.waiting import eventually

PAGE = (Path(__file__).parents[2] / "docs" / "on-a-match.md").read_text()
CODE, APPLICATION = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

WHOLE = Match(
    item_id="00" * 16,
    bank="adults",
    assurance=Assurance.SELF_REPORTED,
    distance_bits=4,
    kind=MediaKind.IMAGE,
    query_transform=IDENTITY,
    transform=IDENTITY,
    plan=0,
    ordinal=0,
    match_id=b"\x01",
    query_area_permille=1000,
    stored_area_permille=1000,
)
PART = replace(WHOLE, query_area_permille=250, stored_area_permille=250)
UNKNOWN = replace(PART, query_area_permille=0)
COMMON = replace(WHOLE, common_only=True)
EXPLAINED = replace(WHOLE, common=True)
DISPUTED = replace(WHOLE, disputed=True)
MINOR = replace(PART, bank="minors", distance_bits=20)


@pytest.fixture(scope="module")
def page(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Register one picture as an adult's and as a minor's, and run the page's code on it."""
    directory = tmp_path_factory.mktemp("platform")
    file = picture(directory / "upload.jpg", 77)
    key = deployment.make_key("platform with a rule", "match")
    (directory / "platform.key").write_text(key)
    helpline = deployment.make_key("helpline of two persons", "register")
    with SubmissionClient(deployment.address, key=helpline) as submission:
        for age in (AgeBand.ADULT, AgeBand.MINOR):
            submission.submit([file], age=age)
    with MatchClient(deployment.address, key=key) as client:
        eventually(lambda: all(len(client.match_image(file).matches) == 2 for _ in range(8)))
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.chdir(directory), contextlib.redirect_stdout(printed):
        exec(CODE.replace("127.0.0.1:50051", deployment.address), names)  # noqa: S102 our own words
    return names | {"printed": printed.getvalue().splitlines()}


def test_a_picture_of_an_adult_and_of_a_minor_is_blocked_as_one_of_a_minor(
    page: dict[str, Any],
) -> None:
    verdict, first, second = page["printed"]
    assert verdict == "block minor"
    assert re.fullmatch("[0-9a-f]+ minors whole 0 SELF_REPORTED", first)
    assert re.fullmatch("[0-9a-f]+ adults whole 0 SELF_REPORTED", second)


@pytest.mark.parametrize(
    ("matches", "more", "verdict"),
    [
        ((WHOLE,), {}, "block"),
        ((PART, WHOLE), {}, "block"),
        ((PART,), {}, "review"),
        ((UNKNOWN,), {}, "review"),
        ((COMMON,), {}, "review"),
        ((EXPLAINED,), {}, "review"),
        ((WHOLE, EXPLAINED), {}, "block"),
        ((DISPUTED,), {}, "review"),
        ((WHOLE, DISPUTED), {}, "block"),
        ((), {"frames_skipped": 3}, "hold"),
        ((), {}, "publish"),
    ],
)
def test_whole_is_blocked_a_part_is_looked_at_and_what_was_not_seen_is_held(
    page: dict[str, Any], matches: tuple[Match, ...], more: dict[str, Any], verdict: str
) -> None:
    answer = ImageAnswer(matches, False, 90, False, "", "", **more)  # noqa: FBT003 as answered
    assert page["decide"](answer) == verdict


@pytest.mark.parametrize(("incomplete", "verdict"), [(True, "hold"), (False, "publish")])
def test_a_video_that_was_not_seen_to_its_end_is_held(
    page: dict[str, Any], incomplete: bool, verdict: str
) -> None:
    answer = VideoAnswer((), False, 9, 0, incomplete, False, "")  # noqa: FBT003 as answered
    assert page["decide"](answer) == verdict


def test_a_minor_is_seen_behind_a_nearer_adult(page: dict[str, Any]) -> None:
    answer = ImageAnswer((WHOLE, MINOR), False, 90, False, "", "")  # noqa: FBT003 as answered
    assert page["of_a_minor"](answer)
    assert not page["of_a_minor"](replace(answer, matches=(WHOLE,)))

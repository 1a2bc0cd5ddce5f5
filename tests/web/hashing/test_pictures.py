"""Files of pictures, decoded by browsers, have the fingerprints that Python gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from disrupt.hashing import ImageFingerprints, fingerprint_image
from rig.callers.browsers import PROGRAMS, distances, rows_of
from tests.needs import needs
from tests.web.hashing.engines import EACH_ENGINE, hashed
from tests.web.hashing.files import files, refused

MAX_BITS = {
    "chromium": {"plain": (0, 0, 0, 0), "other": (4, 8, 20, 12)},
    "firefox": {"plain": (2, 4, 4, 0), "other": (4, 8, 26, 12)},
}
"""Most bits between fingerprints of the picture, of its crops and of its regions, and most of some
96 regions of both sides of which a lookup finds none of the other, by kind of file."""

REFUSED = list(refused())

LACKING: dict[str, set[str]] = {
    "chromium": set(),
    # It shows the one a little lighter, and passes over the profile of the other.
    "firefox": {"other_gamma.png", "other_cmyk_profile.jpg"},
}
"""Files that an engine does not show as the others do."""


@pytest.fixture(scope="module", params=EACH_ENGINE)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def written() -> dict[str, bytes]:
    return dict(files())


@pytest.fixture(scope="module")
def expected(written: dict[str, bytes]) -> dict[str, ImageFingerprints]:
    """Return what Python makes of the files."""
    outcomes = {name: fingerprint_image(data) for name, data in written.items()}
    return {name: out for name, out in outcomes.items() if isinstance(out, ImageFingerprints)}


@pytest.fixture(scope="module")
def outcomes(
    engine: str, written: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return what an engine makes of the files, and of those that are refused."""
    every = [*written.items(), *((name, data) for name, data, _ in REFUSED)]
    return hashed(engine, every, tmp_path_factory.mktemp("pictures"))


def test_a_browser_registers_what_the_vectors_say(outcomes: dict[str, Any]) -> None:
    assert outcomes["vectors"] == []


def test_a_browser_sees_the_pictures_that_python_sees(
    engine: str, outcomes: dict[str, Any], expected: dict[str, ImageFingerprints]
) -> None:
    assert len(expected) == len(outcomes) - len(REFUSED) - 1
    differing = {}
    for name, ours in expected.items():
        outcome = outcomes[name]
        assert outcome.get("kind") == "picture", (name, outcome)
        bits = distances(outcome["rows"], rows_of(ours))
        plain, variant, region, unlike = MAX_BITS[engine][name.split("_")[0]]
        # Variants near to others are left out, so that one bit decides whether one is there.
        if (
            bits.plain_bits > plain
            or max(bits.variant_bits, bits.unlike) > variant
            or bits.region_bits > region
            or bits.unlike_regions > unlike
        ):
            differing[name] = bits
        assert outcome["progress"] == sorted(outcome["progress"])
        assert bool(outcome.get("firstFrameOnly")) == bool(ours.frames_left)
    assert differing.keys() == LACKING[engine], differing


def test_pictures_that_cannot_be_hashed_are_refused_with_the_reason(
    outcomes: dict[str, Any],
) -> None:
    reasons = {name: outcomes[name].get("reason") for name, _, _ in REFUSED}
    assert reasons == {name: reason for name, _, reason in REFUSED}


@needs(PROGRAMS["firefox"])
def test_a_browser_that_falsifies_canvases_is_noticed(
    tmp_path: Path, written: dict[str, bytes]
) -> None:
    some = [(name, written[name]) for name in ("plain_85.jpg", "other_photo.heic")]
    outcomes = hashed("firefox", some, tmp_path, {"privacy.resistFingerprinting": True})
    assert outcomes["plain_85.jpg"]["reason"] == "noise"
    assert outcomes["other_photo.heic"]["kind"] == "picture"

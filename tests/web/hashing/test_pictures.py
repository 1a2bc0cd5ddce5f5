"""Files of pictures, decoded by each engine, have the fingerprints that Python gives them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.browsers import Browser, browser
from benchmarks.harness.fingerprint_rows import hashes_of, rows_of
from benchmarks.harness.page_files import EMPTY_PAGE, serving
from disrupt.hashing import ImageFingerprints, fingerprint_image
from tests.web.engines import EACH_ENGINE, needs
from tests.web.hashing.files import files, refused

pytestmark = pytest.mark.slow

HASHED = """
const { hashFiles } = await import('/tests/web/hashing/worker_client.js');
return hashFiles(given[0]);
"""

DECODED = """
const [library, name] = given;
const file = await (await fetch(`/files/${name}`)).blob();
const worker = new Worker('/tests/web/hashing/library_worker.js', { type: 'module' });
return new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => reject(new Error(message));
  worker.postMessage({ library, file });
});
"""

LIMITS_BITS = {
    "chromium": {"plain": 0, "turned": 0, "turnedbox": 0, "alpha": 4, "side": 0},
    "firefox": {"plain": 4, "turned": 4, "turnedbox": 4, "alpha": 8, "side": 4},
    "webkit": {"plain": 4, "turned": 4, "alpha": 8, "side": 4},
}
"""Most bits by which any fingerprint of a kind of file may differ; 8 where nothing is said."""

LACKING = {
    "chromium": set[str](),
    # Both pass over profiles of CMYK; lookups hash such a picture with its profile and without it.
    "firefox": {"cmykprofile.jpg"},
    # It decodes only the first frame of animations, and turns only JPEG.
    "webkit": {
        *("animated_plain.gif", "animated_plain.webp", "animated_plain.png"),
        *("turnedbox_6.png", "turnedbox_6.avif", "cmykprofile.jpg"),
    },
}
"""Files that an engine does not show as the others do."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the files."""
    folder = tmp_path_factory.mktemp("files")
    for name, data in files():
        (folder / name).write_bytes(data)
    for name, data, _ in refused():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, ImageFingerprints]:
    """Return what Python makes of the files."""
    outcomes = {name: fingerprint_image((folder / name).read_bytes()) for name, _ in files()}
    hashed = {}
    for name, outcome in outcomes.items():
        assert isinstance(outcome, ImageFingerprints), name
        hashed[name] = outcome
    return hashed


@pytest.fixture(scope="module", params=EACH_ENGINE)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def page(engine: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    profile = tmp_path_factory.mktemp(engine)
    with serving(folder) as origin, browser(engine, profile) as opened:
        opened.open(origin + EMPTY_PAGE)
        yield opened


def distances(actual: dict[str, Any], expected: ImageFingerprints) -> tuple[int, int]:
    """Return the most bits between two fingerprints, and how many only one side has."""
    ours, theirs = hashes_of(actual["fingerprints"]), hashes_of(rows_of(expected))
    bits = [(ours[place] ^ theirs[place]).bit_count() for place in ours.keys() & theirs.keys()]
    return max(bits), len(ours.keys() ^ theirs.keys())


def test_an_engine_sees_the_pictures_that_python_sees(
    engine: str, page: Browser, expected: dict[str, ImageFingerprints]
) -> None:
    names = sorted(expected.keys() - LACKING[engine])
    outcomes = page.run(HASHED, names)
    differing = {}
    for name in names:
        if "fingerprints" not in outcomes[name]:
            differing[name] = outcomes[name]
            continue
        bits, unlike = distances(outcomes[name], expected[name])
        most_bits = LIMITS_BITS[engine].get(name.replace(".", "_").split("_")[0], 8)
        if bits > most_bits or unlike > most_bits:
            differing[name] = bits, unlike
        assert outcomes[name]["kind"] == "IMAGE"
        assert outcomes[name]["progress"] == sorted(outcomes[name]["progress"])
    assert differing == {}


@pytest.mark.parametrize(
    ("library", "name"),
    [
        *(("jpeg", "plain_photo.jpg"), ("jpeg", "turned_6.jpg"), ("jpeg", "profile_p3.jpg")),
        *(("heic", "heic.heic"), ("heic", "heic_6.heic"), ("heic", "heic_p3.heic")),
    ],
)
def test_the_libraries_decode_in_each_engine_under_the_headers_of_the_gateway(
    page: Browser, expected: dict[str, ImageFingerprints], library: str, name: str
) -> None:
    outcome = page.run(DECODED, library, name)
    assert "fingerprints" in outcome, outcome
    assert max(distances(outcome, expected[name])) <= 8


def test_files_that_cannot_be_hashed_are_refused_with_the_cause(page: Browser) -> None:
    outcomes = page.run(HASHED, [name for name, _, _ in refused()])
    causes = {name: (outcome["refused"] or {}).get("cause") for name, outcome in outcomes.items()}
    assert causes == {name: cause for name, _, cause in refused()}


def test_a_cancelled_file_is_dropped_and_the_next_one_hashed(page: Browser) -> None:
    cancelled, hashed = page.run("""
        const { hash } = await import('/tests/web/hashing/worker_client.js');
        const file = await (await fetch('/files/plain_photo.jpg')).blob();
        return Promise.all([hash(file, (cancel) => cancel()), hash(file)]);
    """)
    assert cancelled["refused"] == {"cause": "CANCELLED"}
    assert hashed["kind"] == "IMAGE"


@needs("firefox")
def test_a_browser_that_falsifies_canvases_is_noticed(
    folder: Path, expected: dict[str, ImageFingerprints], tmp_path: Path
) -> None:
    decoded = ["plain_photo.jpg", "turned_6.jpg", "profile_p3.jpg", "heic.heic", "heic_p3.heic"]
    given_up = ["plain_photo.png", "profile_prophoto.jpg"]
    resisting = {"privacy.resistFingerprinting": True}
    with serving(folder) as origin, browser("firefox", tmp_path, resisting) as page:
        page.open(origin + EMPTY_PAGE)
        outcomes = page.run(HASHED, decoded + given_up)
    for name in decoded:
        bits, unlike = distances(outcomes[name], expected[name])
        assert max(bits, unlike) <= 8, name
    causes = {outcomes[name]["refused"]["cause"] for name in given_up}
    assert causes == {"CANVAS_NOISE"}

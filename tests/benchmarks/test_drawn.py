"""Edits of copies and drawn kinds are what their names say, and the same every time."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.recall import originals, shape_library
from benchmarks.recall.alike import Place
from benchmarks.recall.extents import covered
from benchmarks.recall.harder_edits import EVERY_EDIT
from benchmarks.recall.kinds import KINDS, MANY_LOOKS, OF_ONE_PHOTOGRAPH, of_template
from benchmarks.recall.unequal_edits import UNEQUAL, cropped_in_collage, unequal_sides
from disrupt.distinctiveness.shapes import shapes
from rig.media.added_photographs import ADDED
from rig.media.edits import Scene, upload

SEEDS = range(20)
COFFEE, CHELSEA = (getattr(data, name)() for name in ("coffee", "chelsea"))


def ramp() -> Any:
    """Return pixels whose red is their column and whose green is their row, of 250."""
    across, down = np.meshgrid(np.arange(250), np.arange(250))
    return np.stack([across, down, np.zeros_like(across)], axis=2).astype(np.uint8)


def scene(seed: int, pixels: Any) -> Scene:
    return Scene(pixels, np.random.default_rng(seed), lambda: np.zeros_like(pixels))


@pytest.mark.parametrize(("name", "least", "most"), [("", 0.0, 0.3), ("_more", 0.1, 0.4)])
def test_each_side_is_cut_by_another_share(name: str, least: float, most: float) -> None:
    edit, cuts = UNEQUAL[f"unequal_sides{name}"][f"unequal_sides{name}"], []
    for seed in SEEDS:
        pixels, strength = edit(scene(seed, ramp()))
        first, last = pixels[0, 0, :2].astype(int), pixels[-1, -1, :2].astype(int)
        cuts.append([*first / 250, *(249 - last) / 250])
        assert strength == pytest.approx(100 - pixels[..., 0].size / 625, abs=2)
    assert np.min(cuts) >= least - 0.003
    assert np.max(cuts) <= most + 0.003
    assert np.ptp(cuts, axis=0).min() > 0.7 * (most - least)


def test_a_mirrored_crop_runs_the_other_way_and_a_stretched_one_has_another_shape() -> None:
    for seed in SEEDS:
        plain, _ = unequal_sides(scene(seed, ramp()))
        mirrored, _ = UNEQUAL["unequal_mirrored"]["unequal_mirrored"](scene(seed, ramp()))
        assert np.array_equal(mirrored, plain[:, ::-1])
        stretched, percent = UNEQUAL["unequal_stretched"]["unequal_stretched"](scene(seed, ramp()))
        ratios = sorted(np.divide(stretched.shape[:2], plain.shape[:2]))
        assert ratios == pytest.approx([1, 1 + percent / 100], abs=0.01)
        assert 5 <= percent <= 15


@pytest.mark.parametrize(
    ("name", "least_px", "most_px"), [("unequal_small", 320, 320), ("unequal_thumbnail", 100, 200)]
)
def test_small_copies_have_their_size(name: str, least_px: int, most_px: int) -> None:
    for seed in SEEDS:
        file, _ = upload(UNEQUAL[name][name], scene(seed, COFFEE))
        assert least_px <= max(Image.open(io.BytesIO(file)).size) <= most_px


@pytest.mark.parametrize("side", [2, 3])
def test_a_collage_of_crops_has_its_cells(side: int) -> None:
    white = np.full((200, 200, 3), 255, np.uint8)
    for seed in SEEDS[:3]:
        page, cells = cropped_in_collage(scene(seed, white), side=side, cut=(0, 0.3))
        assert cells == side**2
        assert np.all(page == 255, axis=2).mean() == pytest.approx(1 / cells, abs=0.08)


def test_empty_corners_are_what_their_edit_says() -> None:
    grey = np.full((300, 400, 3), 128, np.uint8)
    for corners, level in (("black", 0), ("white", 255), ("blurred", 128), ("edge", 128)):
        pixels, _ = EVERY_EDIT[f"turn_in_frame_{corners}"][1](scene(1, grey))
        assert np.all(np.abs(pixels[0, 0].astype(int) - level) <= 1), corners


def test_a_person_covers_the_share_of_a_background() -> None:
    dark, light = np.zeros((300, 400, 3), np.uint8), np.full((300, 400, 3), 255, np.uint8)
    for share in (0.3, 0.5, 0.7):
        for seed in SEEDS[:5]:
            page = covered(dark, light, np.random.default_rng(seed), share)
            assert (page == 255).mean() == pytest.approx(share, abs=0.06)


@pytest.fixture(scope="module")
def shown() -> Callable[..., Any]:
    pictures = [getattr(data, name)() for name in ("coffee", "chelsea", "astronaut", "rocket")]

    def of(kind: str, template: int, number: int) -> Any:
        return of_template(kind, template, number, pictures[number], pictures[2 + template])

    return of


@pytest.mark.parametrize("kind", sorted(MANY_LOOKS))
def test_pictures_of_a_template_share_its_look_and_differ_in_content(
    shown: Callable[..., Any], kind: str
) -> None:
    one, same, other = shown(kind, 0, 0), shown(kind, 0, 1), shown(kind, 1, 0)
    assert np.array_equal(one, shown(kind, 0, 0))
    assert not np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("kind", sorted(OF_ONE_PHOTOGRAPH - {"one thing, other angles"}))
def test_pictures_of_one_photograph_show_it_alike(shown: Callable[..., Any], kind: str) -> None:
    sizes = {shown(kind, 0, number).shape[1] for number in (0, 1)}
    assert len(sizes) == 1


def test_a_match_is_of_its_template_of_another_or_of_another_kind() -> None:
    asked = Place("maps", 1, 4)
    assert asked.relation(Place("maps", 1, 0)) == "its template"
    assert asked.relation(Place("maps", 2, 0)) == "another template"
    assert asked.relation(Place("letterheads", 1, 0)) == "another kind"
    people = Place("people, one background", 1, 4)
    assert people.shows_photograph_of(Place("memes of one template", 1, 0))
    assert not people.shows_photograph_of(Place("memes of one template", 2, 0))
    assert not asked.shows_photograph_of(Place("letterheads", 1, 0))
    assert set(KINDS) >= MANY_LOOKS >= OF_ONE_PHOTOGRAPH


def test_added_photographs_are_unseen_and_replace_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Image.fromarray(COFFEE).resize((450, 300))
    pictures = {
        "old": small,
        "same": small.resize((900, 600)),
        "new": Image.fromarray(CHELSEA),
    }
    loaders = [(name, lambda of=picture: of.copy()) for name, picture in pictures.items()]
    monkeypatch.setattr(originals, "photographs", lambda: loaders)
    monkeypatch.setattr(originals, "is_added", {"same", "new"}.__contains__)
    monkeypatch.setattr(originals, "cache_dir", lambda: tmp_path)
    halves = {photograph.name: photograph.half for photograph in originals.collection()}
    assert halves == {"new": "unseen", "old": originals.half_of("old")}


def test_a_photograph_is_listed_once() -> None:
    listed = [
        f"{package}-{Path(name).stem}"
        for package, (_, names) in ADDED.items()
        for name in names.split()
    ]
    assert len(listed) == len(set(listed)) > 250


def test_the_library_of_shapes_is_what_is_drawn() -> None:
    # All but the bits that another machine rounds otherwise.
    assert np.bitwise_count(shape_library.drawn() ^ shapes()).sum() < 100

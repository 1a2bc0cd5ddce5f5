"""Animations: looked up by their distinct frames, registered by the first or by all."""

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from disrupt.core.media import LowQuality, MediaKind, Profile
from disrupt.core.transforms import IDENTITY
from disrupt.errors import InvalidMediaError
from disrupt.hashing import (
    ImageLimits,
    ImageQuery,
    fingerprint_frames,
    fingerprint_image,
    hash_image,
    lookup,
    registration,
)
from disrupt.hashing.decoding.pictures import decode_frames
from disrupt.hashing.lookup import LIT_FRAMES, MAX_ANCHORS, MAX_NEGATIVES, MAX_PARTS
from disrupt.hashing.videos.frames import hash_video
from rig.media.files import gif
from rig.media.pictures import (
    PHOTOS,
    encode,
    fingerprints_of,
    nearest,
    query_of,
    registered,
    stored_hashes,
    upright,
    upright_query,
)


def animation(frames: list[Image.Image], kind: str = "GIF", **options: Any) -> bytes:
    return encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_is_looked_up_by_its_distinct_frames_and_registered_by_its_first(
    kind: str,
) -> None:
    frames = [Image.fromarray(PHOTOS[name]).resize((600, 400)) for name in ("coffee", "cat")]
    shown = [frames[0], frames[0], frames[1], frames[0], frames[1]]
    data = animation(shown, kind, duration=90, quality=90)
    query = upright_query(data)
    assert [transform for _, transform in query.hashes] == [IDENTITY, IDENTITY]
    for (hash_, _), frame in zip(query.hashes, frames, strict=True):
        plain = registered(encode(np.asarray(frame)))[Profile.PDQ_512]
        assert hash_.distance_bits(plain) <= 10
    first = registered(data)[Profile.PDQ_512]
    assert first.distance_bits(query.hashes[0][0]) <= 4


def test_a_blank_first_frame_hides_nothing_and_only_blank_ones_are_low_quality() -> None:
    blank = Image.new("RGB", (600, 400), "white")
    photo = Image.fromarray(PHOTOS["coffee"])
    black = Image.new("RGB", (600, 400), "black")
    outcomes = [upright(animation([blank, second], "WEBP")) for second in (photo, black)]
    assert isinstance(outcomes[0], ImageQuery)
    assert len(outcomes[0].hashes) == 1
    assert isinstance(outcomes[1], LowQuality)


def pattern(seed: int, side_px: int = 560) -> Image.Image:
    """Return a picture unlike those of other seeds."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
    return Image.fromarray(np.kron(coarse, np.ones((side_px // 8,) * 2, np.uint8)))


def _before(kind: str, shown: Image.Image) -> list[Image.Image]:
    """Return frames that are shown before a picture."""
    if kind == "fade":
        black = Image.new("RGB", shown.size)
        return [Image.blend(black, shown, at / 200) for at in range(9)]
    if kind == "blurred":
        return [shown.resize((32, 32)).resize(shown.size, Image.Resampling.BICUBIC)]
    others = (Image.fromarray(PHOTOS[name]).resize(shown.size) for name in ("coffee", "cat"))
    turned = [frame.rotate(angle) for frame in others for angle in (0, 10, 20, 30, 40, 50)]
    return [frame.convert("RGB") for frame in turned]


@pytest.mark.parametrize("kind", ["fade", "blurred", "others"])
def test_no_frames_before_it_hide_the_regions_of_a_cropped_picture(kind: str) -> None:
    photo = Image.fromarray(PHOTOS["astronaut"])
    shown = photo.crop((70, 20, 470, 400))
    query = query_of(animation([*_before(kind, shown), shown], "PNG"))
    anchored = tuple(looked_up for looked_up in query.hashes if looked_up[1].anchored)
    bits, _ = nearest(replace(query, hashes=anchored), stored_hashes(encode(photo)))
    assert bits <= 10


def test_a_picture_behind_many_frames_is_found() -> None:
    earlier = [pattern(seed) for seed in range(30)]
    late = Image.fromarray(PHOTOS["cat"]).resize((560, 560))
    query = upright_query(animation([*earlier, late], "WEBP", quality=90))
    assert (len(query.hashes), query.frames_skipped) == (31, 0)
    stored = registered(encode(np.asarray(late)))[Profile.PDQ_512]
    assert query.hashes[-1][0].distance_bits(stored) <= 10


def around(inner: Image.Image, contrast: float) -> Image.Image:
    """Return a scene that hardly changes as a whole, whatever is shown in the window beside it."""
    page = Image.new("L", (1260, 900), 255)
    coarse = Image.fromarray(np.random.default_rng(4).integers(0, 256, (7, 8), np.uint8))
    scene = coarse.resize((900, 900), Image.Resampling.BICUBIC)
    page.paste(ImageEnhance.Contrast(scene).enhance(3), (0, 0))
    faint = np.asarray(inner.convert("L").resize((300, 225)), np.float64)
    window = np.clip(200 + contrast * (faint - 128), 0, 255).astype(np.uint8)
    page.paste(Image.fromarray(window), (930, 100))
    return page


@pytest.mark.parametrize(("kind", "repeats"), [("GIF", 20), ("PNG", 1)])
def test_what_changes_in_a_window_only_is_looked_up(kind: str, repeats: int) -> None:
    cat = Image.fromarray(PHOTOS["cat"])
    earlier = around(pattern(1), 0.25)
    shown = [ImageEnhance.Brightness(earlier).enhance(1 - at / 500) for at in range(repeats)]
    late = around(cat, 0.25)
    query = query_of(animation([*shown, late], kind, duration=100))
    whole, still = (query_of(animation([page], "PNG")) for page in (earlier, late))
    assert whole.hashes[0][0].distance_bits(still.hashes[0][0]) < 16
    assert len(query.hashes) <= MAX_PARTS + MAX_NEGATIVES + 2 * MAX_ANCHORS + 24 * LIT_FRAMES
    stored = stored_hashes(encode(PHOTOS["cat"]))
    of_whole, of_query, of_still = (nearest(each, stored)[0] for each in (whole, query, still))
    assert of_whole > 40
    assert of_query <= of_still + 2 <= 24


def test_what_a_lookup_does_not_look_at_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [pattern(seed) for seed in range(20)]
    slow = ImageLimits(frames_cpu_s=0)
    query = upright_query(animation(frames), slow)
    assert (len(query.hashes), query.frames_skipped) == (1, 19)
    blank = hash_image(animation([Image.new("L", (560, 560), 255), *frames]), slow)
    assert isinstance(blank, LowQuality)
    assert blank.frames_skipped == 20
    monkeypatch.setattr(lookup, "MAX_FRAMES", 5)
    query = upright_query(animation(frames))
    assert (len(query.hashes), query.frames_skipped) == (5, 15)
    still = query_of(encode(PHOTOS["coffee"]))
    assert still.frames_skipped == 0


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_every_distinct_frame_is_registered_with_its_interval_when_asked(kind: str) -> None:
    blank = Image.new("RGB", (600, 400), "white")
    first, second = (Image.fromarray(PHOTOS[name]).resize((600, 400)) for name in ("coffee", "cat"))
    nudged = ImageEnhance.Brightness(first).enhance(1.02)
    shown = [blank, first, nudged, second, first, second]
    durations = [100, 200, 300, 400, 500, 600]
    data = animation(shown, kind, duration=durations, quality=90)
    outcome = fingerprints_of(data, fingerprint_frames)
    assert outcome.kind == MediaKind.VIDEO
    assert outcome.quality == outcome.fingerprints[0].quality
    canonical = [
        fingerprint
        for fingerprint in outcome.fingerprints
        if fingerprint.profile == Profile.PDQ_512
    ]
    assert [(fingerprint.start_ms, fingerprint.end_ms) for fingerprint in canonical] == [
        (100, 600),
        (600, 1000),
    ]
    assert {fingerprint.profile for fingerprint in outcome.fingerprints} == {
        Profile.PDQ_512,
        Profile.PDQ_FULL,
    }
    for fingerprint, frame in zip(canonical, (first, second), strict=True):
        assert (
            fingerprint.hash.distance_bits(registered(encode(np.asarray(frame)))[Profile.PDQ_512])
            <= 10
        )
    query = upright_query(data)
    for fingerprint, (looked_up, _) in zip(canonical, query.hashes, strict=True):
        assert fingerprint.hash.distance_bits(looked_up) <= 8


def test_frames_are_left_out_only_if_copies_of_them_match_what_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = pattern(1)
    frames = [Image.blend(first, pattern(2), at / 100) for at in range(0, 60, 3)]
    data = animation(frames, "PNG")
    every = [registered(encode(np.asarray(frame)))[Profile.PDQ_512] for frame in frames]

    def furthest() -> int:
        outcome = fingerprints_of(data, fingerprint_frames)
        stored = [fingerprint.hash for fingerprint in outcome.fingerprints]
        return max(min(own.distance_bits(other) for other in stored) for own in every)

    assert furthest() <= 10
    monkeypatch.setattr(registration, "MAX_FRAMES", 7)
    assert 10 < furthest() <= 15


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize(("said_ms", "shown_ms"), [(10, 100), (20, 20)])
def test_frames_last_as_long_as_browsers_show_them(kind: str, said_ms: int, shown_ms: int) -> None:
    data = animation([pattern(seed, 200) for seed in range(3)], kind, duration=said_ms)
    outcome = fingerprints_of(data, fingerprint_frames)
    expected = [(at * shown_ms, (at + 1) * shown_ms) for at in range(3)]
    assert (
        sorted({(fingerprint.start_ms, fingerprint.end_ms) for fingerprint in outcome.fingerprints})
        == expected
    )
    looked_up, _ = hash_video(io.BytesIO(data), interval_ms=40)
    assert looked_up["end_ms"].max() == 3 * shown_ms


def test_a_file_of_one_frame_is_the_same_picture_whether_every_frame_is_asked_for_or_not() -> None:
    still = encode(PHOTOS["coffee"], "GIF", duration=500)
    for data in (still, encode(PHOTOS["cat"], "JPEG"), encode(np.full((90, 90), 9, np.uint8))):
        assert fingerprint_frames(data) == fingerprint_image(data)


def test_more_different_frames_than_an_item_holds_are_refused_and_not_registered_in_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registration, "MAX_FRAMES", 4)
    frames = [pattern(seed, 400) for seed in range(5)]
    fingerprints_of(animation([*frames[:4], *frames[:4]]), fingerprint_frames)
    with pytest.raises(InvalidMediaError, match="more than 4 different frames") as refused:
        fingerprint_frames(animation(frames))
    assert refused.value.metadata == {"cause": "TOO_MANY_FRAMES"}


Placed = tuple[Image.Image, tuple[int, int], int]
"""A frame of a GIF of 320 x 240: its pixels, left and top, and what becomes of it afterwards."""


def gif_of(frames: list[Placed], table: bytes = b"") -> bytes:
    """Write frames with their own tables of colours; ``table`` is that of the whole file."""
    ramp = np.arange(256, dtype=np.uint8).repeat(3).tobytes()
    written = []
    for image, place, disposal in frames:
        clear = image.info.get("transparency")
        colours = bytes(image.getpalette() or ramp).ljust(768, b"\0")
        indices = np.asarray(image)
        written.append(gif.frame(indices, place, clear=clear, disposal=disposal, colours=colours))
    return gif.gif(*written, size=(320, 240), colours=table)


def shown(frames: list[Placed], behind: str) -> Iterator[Image.Image]:
    """Paint frames as browsers do (GIF89a, section 23): what none covers shows the page."""
    canvas = Image.new("RGBA", (320, 240))
    for image, place, disposal in frames:
        before = canvas.copy()
        canvas.alpha_composite(image.copy().convert("RGBA"), place)
        page = Image.new("RGBA", canvas.size, behind)
        page.alpha_composite(canvas)
        yield page.convert("L")
        if disposal == 2:
            canvas.paste((0, 0, 0, 0), (*place, place[0] + image.width, place[1] + image.height))
        elif disposal == 3:
            canvas = before


def keyed(image: Image.Image) -> Image.Image:
    image.info["transparency"] = 5
    return image


LARGE = Image.fromarray(PHOTOS["coffee"]).resize((320, 240))
RAMP = Image.fromarray(np.arange(320 * 240, dtype=np.uint32).astype(np.uint8).reshape(240, 320))
FIRST = {
    "grey": (RAMP, (0, 0)),
    "grey, smaller": (RAMP.resize((200, 100)), (30, 40)),
    "colours": (LARGE.quantize(64), (0, 0)),
    "colours, smaller": (LARGE.resize((200, 100)).quantize(64), (30, 40)),
    "one colour transparent": (keyed(LARGE.quantize(64)), (0, 0)),
}


@pytest.mark.parametrize("disposals", [(0, 2), (1, 3), (2, 0), (2, 2), (3, 1), (3, 3)])
@pytest.mark.parametrize("name", FIRST)
def test_frames_of_a_gif_are_painted_as_browsers_do(name: str, disposals: tuple[int, int]) -> None:
    cat = Image.fromarray(PHOTOS["cat"])
    frames = [
        (*FIRST[name], disposals[0]),
        (cat.resize((150, 150)).quantize(32), (100, 20), disposals[1]),
        (keyed(cat.resize((90, 60)).quantize(16)), (60, 90), 0),
        (RAMP.resize((64, 64)), (200, 150), 0),
    ]
    pages = [picture.page() for picture in decode_frames(gif_of(frames))]
    assert len(pages) == len(frames)
    for page, expected in zip(pages, shown(frames, "white"), strict=True):
        assert np.abs(page.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("name", ["grey", "grey, smaller", "one level transparent"])
def test_a_first_frame_of_grey_levels_is_grey_beside_a_table_of_colours(name: str) -> None:
    first = {**FIRST, "one level transparent": (keyed(RAMP.copy()), (0, 0))}[name]
    frames = [(*first, 0), (*FIRST["colours, smaller"], 0)]
    table = np.random.default_rng(1).bytes(768)
    pages = [picture.page() for picture in decode_frames(gif_of(frames, table))]
    for page, expected in zip(pages, shown(frames, "white"), strict=True):
        assert np.abs(page.astype(int) - np.asarray(expected)).max() <= 1


def test_a_gif_whose_page_grows_leaves_the_rest_transparent() -> None:
    larger: Placed = (LARGE.resize((200, 100)).quantize(64), (250, 200), 0)
    *_, page = (picture.page() for picture in decode_frames(gif_of([(*FIRST["grey"], 0), larger])))
    assert page.shape == (300, 450)
    assert (page[:200, 320:] == 255).all()
    assert (page[:200, :320] == np.asarray(RAMP)[:200]).all()

"""Picture files to pixels, by Pillow: what is accepted, what is refused and why."""

from __future__ import annotations

import contextlib
import ctypes
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from PIL import Image, ImageFile, _imaging

from disrupt.core.transforms import Dihedral
from disrupt.errors import InvalidMediaError, OverloadedError, UnimplementedError, Violation
from disrupt.hashing.decoding import isobmff, jpeg
from disrupt.hashing.decoding.colours import (
    Conversion,
    UnreadColoursError,
    conversion_to_srgb,
    to_srgb,
)
from disrupt.hashing.decoding.formats import FORMATS, File, Format
from disrupt.hashing.decoding.pixels import Picture, shows_page
from disrupt.hashing.decoding.rows import CountsRows
from disrupt.hashing.decoding.sniffing import signed_format

# Pillow warns about odd metadata and goes on. One narrow filter for the process, because
# warnings.catch_warnings is not thread-safe.
warnings.filterwarnings("ignore", module=r"PIL\.")

# libtiff writes its complaints to standard error by itself. They are errors here anyway.
with contextlib.suppress(AttributeError, OSError):
    _libtiff = ctypes.CDLL(_imaging.__file__)
    _libtiff.TIFFSetErrorHandler(None)
    _libtiff.TIFFSetWarningHandler(None)

MAX_SIDE_PX = 65_535
"""Longest side of a picture, as in JPEG. The area average relies on it, see luma.py."""

_SCALED_SIDE_PX = 512

NO_HEIC_DECODER = "NO_HEIC_DECODER"
"""Cause of the error for a HEIC file where the extra "heic" is not installed."""

_DAMAGED = "DAMAGED"
"""Cause of a refusal, for programs."""

_TOO_SHORT_MS, _UNSAID_MS = 10, 100
"""Browsers show a frame for _UNSAID_MS that declares at most _TOO_SHORT_MS, or no time."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Limits of a file, inclusive: ``max_pixels`` is width x height, ``max_bytes`` of the file.

    ``frames_cpu_s`` is processor time: a lookup reads no frame that would go beyond it.
    ``max_scanned_px`` is what all scans of a JPEG file may visit together: the largest picture 25
    times over. Progressive files have about 10 scans, of four colours 18.
    """

    max_pixels: int = 50_000_000
    max_bytes: int = 32 * 2**20
    frames_cpu_s: float = 4.0
    max_scanned_px: int = 25 * 50_000_000


DEFAULT_LIMITS = ImageLimits()


def decode(data: bytes, limits: ImageLimits = DEFAULT_LIMITS, *, scaled: bool = False) -> Picture:
    """Decode a picture file of a format in FORMATS, identified by its first bytes.

    Of an animation the first frame, of several pages the first; colours as sRGB. Sizes are checked
    in the header before memory is taken for pixels. Thread-safe.

    ``scaled``, for lookups: a JPEG file is decoded at 1/2, 1/4 or 1/8 of its size as long as no
    side falls under 512 px, and as luma alone. Hashes of it are within a few bits, most often 0.
    Where programs show different pictures of a file, ``others`` are the luma of the others.

    InvalidMediaError for anything that is not a whole picture within the limits, OverloadedError
    without memory.
    """
    return next(decode_frames(data, limits, scaled=scaled))


def decode_frames(
    data: bytes,
    limits: ImageLimits = DEFAULT_LIMITS,
    *,
    scaled: bool = False,
    colours: bool = False,
) -> Iterator[Picture]:
    """Decode as ``decode`` does, but yield all frames of an animation, each as a page shows it.

    With ``colours`` a scaled JPEG is not decoded as luma alone, which misses what chroma beyond
    white and black does to it. Each frame is decoded when it is asked for, and is to be used before
    the next one.
    """
    kind = _checked(data, limits)
    form = FORMATS[kind]
    with _refusing(kind):
        data = form.repaired(data)
        file = form.opens(io.BytesIO(data))
        for width_px, height_px in (file.size, *form.sizes(file, data)):
            _check_size(width_px, height_px, limits)
        if kind == "JPEG":
            _check_scans(file, data, limits)
        picture = _load(form, file, data, scaled=scaled, colours=colours)
        unseen = picture.unseen + form.pictures_left(file, data)
        if _lacks_rows(file) or form.is_cut(file, data):
            if not scaled:
                raise _damaged(kind)
            unseen += 1
        frames = getattr(file, "n_frames", 1) if form.is_animated else 1
    if scaled or not _is_hidden(file, data):
        yield replace(picture, frames_left=frames - 1, unseen=unseen)
    for frame in range(1, frames):
        try:
            with _refusing(kind):
                file.seek(frame)
                # A frame larger than its page enlarges a GIF.
                _check_size(file.width, file.height, limits)
                picture = _load(form, file, data, scaled=scaled, colours=colours)
        except InvalidMediaError as error:
            if scaled and error.metadata.get("cause") == _DAMAGED:
                return
            raise
        yield replace(picture, frames_left=frames - 1 - frame, unseen=unseen)


def _check_scans(image: ImageFile.ImageFile, data: bytes, limits: ImageLimits) -> None:
    size_px = image.width * image.height
    if jpeg.scanned_px(data, size_px, limits.max_scanned_px) > limits.max_scanned_px:
        raise refused(
            f"the picture of {image.width} x {image.height} pixels has too many scans for its size:"
            " save a copy of it with another program",
            cause="TOO_LARGE",
        )


def _lacks_rows(file: ImageFile.ImageFile) -> bool:
    return isinstance(file, CountsRows) and file.rows < file.height


def _is_hidden(file: ImageFile.ImageFile, data: bytes) -> bool:
    """Tell whether browsers do not show the first image, as it is no frame of the animation."""
    return file.info.get("default_image", False) and b"fdAT" in data


def _checked(data: bytes, limits: ImageLimits) -> str:
    """Return the format of a file; check the size where opening it would be too late."""
    if not data:
        raise refused("the file is empty")
    if len(data) > limits.max_bytes:
        reason = f"the file has {len(data)} bytes; at most {limits.max_bytes} are accepted"
        raise refused(reason, cause="TOO_LARGE")
    kind = _sniff(data)
    with _refusing(kind):
        for width_px, height_px in FORMATS[kind].sizes_before(data):
            _check_size(width_px, height_px, limits)
    return kind


@contextlib.contextmanager
def _refusing(kind: str) -> Iterator[None]:
    try:
        yield
    except InvalidMediaError:
        raise
    except MemoryError as error:
        raise OverloadedError(
            "Not enough memory to decode this picture now; try again.", retry_after_s=1
        ) from error
    except Exception as error:  # Pillow's parsers raise almost anything when a file is damaged
        raise _damaged(kind) from error


def _load(form: Format, file: File, data: bytes, *, scaled: bool, colours: bool) -> Picture:
    """Load the present frame.

    1. Find out how its colours are to be converted. Of a JPEG without conversion, luma is decoded.
    2. Decode it, a JPEG at a smaller size if it is ``scaled``.
    3. Convert its colours.
    4. For lookups, make what other programs show in its place.
    """
    conversions, unread = _conversions(form, file, data, every=scaled)
    if unread and not scaled:
        raise refused(
            "its colours are described in a way that programs show differently: save a copy of it"
            " in sRGB with another program",
            cause="UNREAD_COLOURS",
        )
    as_stored = conversions == [None]
    if scaled and isinstance(file, jpeg.JpegFile):
        mode = "L" if as_stored and not colours else file.mode
        file.draft(mode, (_SCALED_SIDE_PX, _SCALED_SIDE_PX))
    file.load()
    stored = shown = _pixels(form, file, luma=scaled and as_stored)
    first, *more = conversions
    differs = first is not None and (first.moves_far or bool(more))
    if first is not None:
        # Copy a frame: the next one is painted on it. And keep what is to be hashed, too.
        kept = differs or getattr(file, "is_animated", False)
        shown = to_srgb(stored.copy() if kept else stored, first)
    picture = Picture(shown, form.orientation(file, data), _shown_ms(file), unseen=unread)
    picture.luma(0, 1)  # Any row shows whether the mode and palette can be converted.
    if not scaled:
        return picture
    others = [_luma(stored)] if differs else []
    others += (_luma(to_srgb(stored.copy(), other)) for other in more if other)
    return replace(picture, others=(*others, *_others(form, shown, data)))


def _conversions(
    form: Format, file: File, data: bytes, *, every: bool
) -> tuple[list[Conversion | None], int]:
    """Return the conversion that browsers apply to the colours of a file; all with ``every``.

    None stands for colours as they are stored. Return also how many profiles cannot be read here.
    """
    conversions, unread = list[Conversion | None](), 0
    for profile in form.profiles(file, data):
        try:
            made = profile()
            if made is not None:
                conversions.append(conversion_to_srgb(file, made))
        except UnreadColoursError:
            conversions.append(None)
            unread += 1
        if conversions and not every:
            break
    return conversions or [None], unread


def _pixels(form: Format, file: File, *, luma: bool) -> Image.Image:
    """Return the pixels of the loaded frame as they are shown, but for colour profiles."""
    image = form.shown(file)
    if luma and isinstance(file, jpeg.JpegFile) and file.mode == "RGB":
        image = file.convert("L")
    if _lacks_rows(file) and not file.tell():
        return image.crop((0, 0, image.width, file.rows))
    return image


def _others(form: Format, shown: Image.Image, data: bytes) -> Iterator[Image.Image]:
    """Yield pictures that some show in its place: on a black page, without an even end, cropped."""
    if shows_page(shown):
        yield _luma(shown, "black")
    yield from form.readings(shown, data)


def _luma(image: Image.Image, behind: Literal["white", "black"] = "white") -> Image.Image:
    return Image.fromarray(Picture(image, Dihedral.IDENTITY, behind=behind).page())


def _shown_ms(file: ImageFile.ImageFile) -> int:
    """Return for how many ms browsers, and converters to video, show the present frame."""
    said_ms = round(file.info.get("duration", 0))
    return said_ms if said_ms > _TOO_SHORT_MS else _UNSAID_MS


def _sniff(data: bytes) -> str:
    name = isobmff.picture_format(data) or signed_format(data)
    if name is None:
        raise refused(f"this is no picture file; send one of {', '.join(FORMATS)}")
    if name not in FORMATS:
        if name == "HEIC":
            raise UnimplementedError(
                'HEIC files need the extra "heic", which is not installed here.',
                cause=NO_HEIC_DECODER,
            )
        raise refused(f"{name} files are not supported; send one of {', '.join(FORMATS)}")
    return name


def _check_size(width_px: int, height_px: int, limits: ImageLimits) -> None:
    size = f"the picture has {width_px} x {height_px} pixels"
    if width_px * height_px > limits.max_pixels:
        most = f"{limits.max_pixels / 1e6:g} megapixels and {limits.max_bytes / 2**20:.3g} MiB"
        raise refused(f"{size}; at most {most} are accepted", cause="TOO_LARGE")
    if max(width_px, height_px) > MAX_SIDE_PX:
        raise refused(f"{size}; a side may have at most {MAX_SIDE_PX}", cause="TOO_LARGE")


def _damaged(kind: str) -> InvalidMediaError:
    return refused(
        f"this {kind} file is damaged, ends early, or is of a rare kind that is not supported",
        cause=_DAMAGED,
    )


def refused(reason: str, cause: str = "", *, field: str = "image") -> InvalidMediaError:
    """Make the error for a file that is not hashed, for this reason.

    ``cause`` is for programs, ``field`` names what of the request the file is.
    """
    error = InvalidMediaError(f"{field}: {reason}", violations=(Violation(field, reason),))
    if cause:
        error.metadata["cause"] = cause
    return error

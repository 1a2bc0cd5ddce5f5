"""Picture files to pixels, by Pillow: what is accepted, what is refused and why."""

from __future__ import annotations

import contextlib
import ctypes
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    Image,
    ImageFile,
    TiffImagePlugin,
    WebPImagePlugin,
    _imaging,
)

from disrupt.core.transforms import Dihedral
from disrupt.errors import InvalidMediaError, OverloadedError, Violation
from disrupt.hashing.decoding import bmp, gif, isobmff, jpeg, png, tiff, webp
from disrupt.hashing.decoding.apng import AnimatedPngFile
from disrupt.hashing.decoding.pixels import Picture, shows_page, without_even_end
from disrupt.hashing.decoding.rows import CountsRows
from disrupt.hashing.decoding.srgb import UnreadProfileError, conversion_to_srgb, to_srgb

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

_FIELD = "image"

_SCALED_SIDE_PX = 512

_OPENERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    # The classes themselves: Image.open would try other formats, and follow a JPEG's multi-picture
    # index.
    "JPEG": jpeg.JpegFile,
    "PNG": AnimatedPngFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "GIF": gif.GifFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
with contextlib.suppress(ImportError):  # the extra "heic" need not be installed
    from pillow_heif import HeifImageFile

    _OPENERS["HEIC"] = HeifImageFile

FORMATS = tuple(_OPENERS)
"""Names of the formats that this installation decodes."""

HEIC_EXTRA = 'pip install "pillow-heif>=1.8.1"'
"""Command that installs the extra "heic", wherever this package itself came from."""

_REPAIRS = {
    "AVIF": isobmff.with_one_ipma,
    "HEIC": isobmff.with_one_ipma,
    "JPEG": jpeg.repaired,
    "PNG": png.repaired,
}
"""What browsers pass over, and decoders do not."""

_ANIMATED = {"GIF", "WebP", "PNG", "AVIF"}

_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WebP"),
    (0, b"GIF8", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"BM", "BMP"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
    (4, b"ftyp", "MP4 or QuickTime"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (8, b"AVI ", "AVI"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (0, b"\0\0\1\0", "icon"),
)

_DAMAGED = "DAMAGED"
"""Cause of a refusal, for programs."""

_TOO_SHORT_MS, _UNSAID_MS = 10, 100
"""A frame that declares the first time or less, or no time, is shown for the second time."""

_ORIENTATIONS = {
    2: Dihedral.MIRROR,
    3: Dihedral.ROTATE_180,
    4: Dihedral.MIRROR_ROTATE_180,
    5: Dihedral.MIRROR_ROTATE_270,
    6: Dihedral.ROTATE_90,
    7: Dihedral.MIRROR_ROTATE_90,
    8: Dihedral.ROTATE_270,
}
"""EXIF orientation to what must be done to the stored pixels; 1 and unknown values: nothing."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What a file may be, inclusive: ``max_pixels`` width x height, ``max_bytes`` of the file.

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
    A picture of which programs show different ones has the luma of the others as ``others``.

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
    with _refusing(kind):
        has_names = kind == "PNG" and png.names_colours(data)
        data = _REPAIRS.get(kind, bytes)(data)
        image = _OPENERS[kind](io.BytesIO(data))
        _check_size(*image.size, limits)
        if kind == "JPEG":
            _check_scans(image, data, limits)
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            _check_size(*tiff.tile_size(data, image), limits)  # Each tile is decoded whole.
            tiff.keep_depth_of_planes(image)
        picture = _load(image, data, scaled=scaled, colours=colours, as_stored=has_names)
        unseen = picture.unseen + _parts_left(image, data)
        if _is_cut(image, data):
            if not scaled:
                raise _damaged(kind)
            unseen += 1
        frames = getattr(image, "n_frames", 1) if kind in _ANIMATED else 1
    if scaled or not _is_hidden(image, data):
        yield replace(picture, frames_left=frames - 1, unseen=unseen)
    for frame in range(1, frames):
        try:
            with _refusing(kind):
                image.seek(frame)
                _check_size(*image.size, limits)  # A frame larger than its page enlarges a GIF.
                picture = _load(image, data, scaled=scaled, colours=colours, as_stored=has_names)
        except InvalidMediaError as error:
            if scaled and error.metadata.get("cause") == _DAMAGED:
                return
            raise
        yield replace(picture, frames_left=frames - 1 - frame)


def _check_scans(image: ImageFile.ImageFile, data: bytes, limits: ImageLimits) -> None:
    size_px = image.width * image.height
    if jpeg.scanned_px(data, size_px, limits.max_scanned_px) > limits.max_scanned_px:
        raise refused(
            f"the picture of {image.width} x {image.height} pixels has too many scans for its size:"
            " save a copy of it with another program",
            cause="TOO_LARGE",
        )


def _is_cut(image: ImageFile.ImageFile, data: bytes) -> bool:
    """Tell whether pixels, or frames, may be missing of a file whose first image is loaded."""
    if isinstance(image, CountsRows) and image.rows < image.height:
        return True
    if isinstance(image, jpeg.JpegFile):
        return image.is_open
    return isinstance(image, gif.GifFile) and not gif.is_whole(data)


def _parts_left(image: ImageFile.ImageFile, data: bytes) -> int:
    """Return how many pictures there are besides the first; of a TIFF file 1 if there is any."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(tiff.has_more_pages(data, image))
    return getattr(image, "n_frames", 1) - 1 if image.format == "HEIF" else 0


def _is_hidden(file: ImageFile.ImageFile, data: bytes) -> bool:
    """Tell whether browsers show only what comes after the first image, of which it is no part."""
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
        if kind == "WebP":
            _check_size(*webp.size(data), limits)
        if kind == "HEIC":
            for size in isobmff.declared_sizes(data):
                _check_size(*size, limits)
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


def _load(
    file: ImageFile.ImageFile, data: bytes, *, scaled: bool, colours: bool, as_stored: bool
) -> Picture:
    """Load the present frame; ``as_stored`` without its profile, which some programs apply.

    ``unseen`` of it is 1 where a lookup cannot tell what a profile shows.
    """
    conversion, unread = None, 0
    if scaled or not as_stored:
        try:
            conversion = conversion_to_srgb(file)
        except UnreadProfileError:
            unread = int(scaled)
    if scaled and isinstance(file, jpeg.JpegFile):
        luma = conversion is None and not colours
        file.draft("L" if luma else file.mode, (_SCALED_SIDE_PX, _SCALED_SIDE_PX))
    file.load()
    orientation = Dihedral.IDENTITY
    if not isinstance(file, WebPImagePlugin.WebPImageFile):  # Browsers ignore that of WebP.
        orientation = _orientation(file.info.get("exif"))
    stored = shown = _pixels(file, luma=scaled and conversion is None)
    if conversion:
        # Copy a frame: the next one is painted on it. And keep what is to be hashed, too.
        kept = getattr(file, "is_animated", False) or conversion.moves_far or as_stored
        shown = to_srgb(shown.copy() if kept else shown, conversion)
    picture = Picture(shown, orientation, _shown_ms(file), unseen=unread)
    picture.luma(0, 1)  # Any row shows whether the mode and palette can be converted.
    if not scaled:
        return picture
    others = []
    if conversion and (conversion.moves_far or as_stored):
        others.append(_luma(stored))
    return replace(picture, others=(*others, *_others(file, shown, data)))


def _pixels(file: ImageFile.ImageFile, *, luma: bool) -> Image.Image:
    """Return the pixels of the loaded frame as they are shown, but for colour profiles."""
    image: Image.Image = file
    match file:
        case TiffImagePlugin.TiffImageFile():
            image = tiff.grey_levels(file)
        case png.PngFile():
            image = file.shown()
        case BmpImagePlugin.BmpImageFile():
            image = bmp.shown(file)
        case jpeg.JpegFile() if luma and file.mode == "RGB":
            image = file.convert("L")
    if isinstance(file, CountsRows) and not file.tell() and file.rows < file.height:
        return image.crop((0, 0, image.width, file.rows))
    return image


def _others(file: ImageFile.ImageFile, shown: Image.Image, data: bytes) -> Iterator[Image.Image]:
    """Yield what pages and browsers that differ from others show in place of a picture."""
    if shows_page(shown):
        yield _luma(shown, "black")
    if isinstance(file, jpeg.JpegFile):
        part = without_even_end(shown)
        if part:
            yield part
    if isinstance(file, AvifImagePlugin.AvifImageFile):
        box = isobmff.clean_aperture(data, *shown.size)
        if box:
            yield shown.crop(box)


def _luma(image: Image.Image, behind: Literal["white", "black"] = "white") -> Image.Image:
    return Image.fromarray(Picture(image, Dihedral.IDENTITY, behind=behind).page())


def _shown_ms(file: ImageFile.ImageFile) -> int:
    """Return how long browsers show the present frame, and what converts it to a video does."""
    said_ms = round(file.info.get("duration", 0))
    return said_ms if said_ms > _TOO_SHORT_MS else _UNSAID_MS


def _sniff(data: bytes) -> str:
    for offset, signature, kind in _SIGNATURES:
        if data.startswith(signature, offset):
            name = isobmff.picture_format(data) or kind
            if name in _OPENERS:
                return name
            why = "are not supported"
            if name == "HEIC":
                why = f'need the extra "heic", which is not installed here: {HEIC_EXTRA}'
            raise refused(f"{name} files {why}; or send one of {', '.join(FORMATS)}")
    raise refused(f"this is no picture file; send one of {', '.join(FORMATS)}")


def _check_size(width_px: int, height_px: int, limits: ImageLimits) -> None:
    size = f"the picture has {width_px} x {height_px} pixels"
    if width_px * height_px > limits.max_pixels:
        most = f"{limits.max_pixels / 1e6:g} megapixels and {limits.max_bytes / 2**20:.3g} MiB"
        raise refused(f"{size}; at most {most} are accepted", cause="TOO_LARGE")
    if max(width_px, height_px) > MAX_SIDE_PX:
        raise refused(f"{size}; a side may have at most {MAX_SIDE_PX}", cause="TOO_LARGE")


def _orientation(exif: object) -> Dihedral:
    """Return the orientation of an EXIF block; IDENTITY where it is damaged."""
    tags = Image.Exif()
    try:
        tags.load(exif)  # type: ignore[arg-type]
        return _ORIENTATIONS.get(tags.get(ExifTags.Base.Orientation, 1), Dihedral.IDENTITY)
    except Exception:  # noqa: BLE001 Pillow raises several for damage
        return Dihedral.IDENTITY


def _damaged(kind: str) -> InvalidMediaError:
    return refused(
        f"this {kind} file is damaged, ends early, or is of a rare kind that is not supported",
        cause=_DAMAGED,
    )


def refused(reason: str, cause: str | None = None) -> InvalidMediaError:
    """Make the error for a file that is not hashed, for this reason; ``cause`` for programs."""
    violations = (Violation(_FIELD, reason),)
    message = f"{_FIELD}: {reason}"
    if cause is None:
        return InvalidMediaError(message, violations=violations)
    return InvalidMediaError(message, violations=violations, cause=cause)

"""Picture files to pixels, by Pillow: what is accepted, what is refused and why."""

from __future__ import annotations

import contextlib
import ctypes
import io
import re
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
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    _imaging,
)

from disrupt.core.transforms import Dihedral
from disrupt.errors import InvalidMediaError, OverloadedError, Violation
from disrupt.hashing.decoding.aperture import clean_aperture
from disrupt.hashing.decoding.apng import PngFile
from disrupt.hashing.decoding.av1 import coded_sizes
from disrupt.hashing.decoding.brands import picture_format
from disrupt.hashing.decoding.chunks import names_colours, with_sound_chunks
from disrupt.hashing.decoding.gif import GifFile
from disrupt.hashing.decoding.heif import with_one_ipma
from disrupt.hashing.decoding.pixels import (
    Picture,
    grey_of_tiff,
    keep_depth_of_planes,
    key_in_8_bits,
    shows_page,
    with_alpha_of_key,
    without_even_end,
)
from disrupt.hashing.decoding.scans import open_jpeg, scanned_px
from disrupt.hashing.decoding.segments import with_sound_segments
from disrupt.hashing.decoding.srgb import UnreadProfileError, conversion_to_srgb, to_srgb
from disrupt.hashing.decoding.truncation import (
    gif_is_whole,
    png_is_whole,
    with_end_of_jpeg,
)

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

_DECODED = 3
"""Most times that a JPEG file without its end marker is decoded, see ``with_end_of_jpeg``."""

_OPENERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    # The classes themselves: Image.open would try other formats, and follow a JPEG's multi-picture
    # index.
    "JPEG": open_jpeg,
    "PNG": PngFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "GIF": GifFile,
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
    "AVIF": with_one_ipma,
    "HEIC": with_one_ipma,
    "JPEG": with_sound_segments,
    "PNG": with_sound_chunks,
}
"""Repairs by format: they drop what browsers pass over and decoders refuse."""

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
    """Limits of one file, inclusive: ``max_pixels`` of width x height, ``max_bytes`` of its size.

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
        has_names = kind == "PNG" and names_colours(data)
        data = _REPAIRS.get(kind, bytes)(data)
        image = _OPENERS[kind](io.BytesIO(data))
        _check_size(*image.size, limits)
        if kind == "AVIF":
            # Decoding takes memory for these, and scales the result to the size that is shown.
            for size in coded_sizes(data):
                _check_size(*size, limits)
        if kind == "JPEG":
            image = _with_end(image, data, limits)
        if isinstance(image, PngImagePlugin.PngImageFile):
            key_in_8_bits(image)
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            _check_size(*_tile_size(data, image), limits)  # Each tile is decoded whole.
            keep_depth_of_planes(image)
        picture = _load(image, data, scaled=scaled, colours=colours, as_stored=has_names)
        if (kind == "PNG" and not png_is_whole(data, image)) or (
            kind == "GIF" and not gif_is_whole(data)
        ):
            raise _damaged(kind)
        frames = getattr(image, "n_frames", 1) if kind in _ANIMATED else 1
        unseen = picture.unseen + _pages_left(image, data)
    if scaled or not _is_hidden(image, data):
        yield replace(picture, frames_left=frames - 1, unseen=unseen)
    for frame in range(1, frames):
        with _refusing(kind):
            image.seek(frame)
            _check_size(*image.size, limits)  # A frame larger than its page enlarges a GIF.
            picture = _load(image, data, scaled=scaled, colours=colours, as_stored=has_names)
        yield replace(picture, frames_left=frames - 1 - frame)


def _with_end(image: ImageFile.ImageFile, data: bytes, limits: ImageLimits) -> ImageFile.ImageFile:
    """Return a JPEG picture that does not lack the marker of its end, and check its scans."""
    scans_px = scanned_px(data, image.width * image.height, limits.max_scanned_px)
    if scans_px > limits.max_scanned_px:
        raise refused(
            f"the picture of {image.width} x {image.height} pixels has too many scans for its size:"
            " save a copy of it with another program",
            cause="TOO_LARGE",
        )
    if _DECODED * scans_px > limits.max_scanned_px:
        return image
    ended = with_end_of_jpeg(data)
    return image if ended is data else open_jpeg(io.BytesIO(ended))


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
    if kind == "WebP":
        _check_size(*_webp_size(data), limits)  # Opening it already allocates its pixels.
    if kind == "HEIC":
        for size in _coded_sizes(data):  # The decoded size, before the crop to the shown one.
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
    if scaled and isinstance(file, JpegImagePlugin.JpegImageFile):
        luma = conversion is None and not colours
        file.draft("L" if luma else file.mode, (_SCALED_SIDE_PX, _SCALED_SIDE_PX))
    file.load()
    orientation = Dihedral.IDENTITY
    if not isinstance(file, WebPImagePlugin.WebPImageFile):  # Browsers ignore that of WebP.
        orientation = _orientation(file.info.get("exif"))
    stored = shown = _pixels(file, data, luma=scaled and conversion is None)
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


def _pixels(file: ImageFile.ImageFile, data: bytes, *, luma: bool) -> Image.Image:
    """Return the pixels of the loaded frame as they are shown, but for colour profiles."""
    if isinstance(file, TiffImagePlugin.TiffImageFile):
        return grey_of_tiff(file)
    if isinstance(file, PngImagePlugin.PngImageFile):
        return with_alpha_of_key(file, data)
    if isinstance(file, BmpImagePlugin.BmpImageFile) and file.mode == "RGBA":
        # Grabs of screens leave alpha at 0. Chromium shows nothing of them, others the picture.
        return file if file.getchannel("A").getbbox() else file.convert("RGB")
    is_colour = isinstance(file, JpegImagePlugin.JpegImageFile) and file.mode == "RGB"
    return file.convert("L") if luma and is_colour else file


def _others(file: ImageFile.ImageFile, shown: Image.Image, data: bytes) -> Iterator[Image.Image]:
    """Yield what pages and browsers that differ from others show in place of a picture."""
    if shows_page(shown):
        yield _luma(shown, "black")
    if isinstance(file, JpegImagePlugin.JpegImageFile):
        part = without_even_end(shown)
        if part:
            yield part
    if isinstance(file, AvifImagePlugin.AvifImageFile):
        box = clean_aperture(data, *shown.size)
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
            name = picture_format(data) or kind
            if name in _OPENERS:
                return name
            why = "are not supported"
            if name == "HEIC":
                why = f'need the extra "heic", which is not installed here: {HEIC_EXTRA}'
            raise refused(f"{name} files {why}; or send one of {', '.join(FORMATS)}")
    raise refused(f"this is no picture file; send one of {', '.join(FORMATS)}")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Read width and height from the first chunk of a WebP file (RFC 9649, sections 2.5 to 2.7)."""
    chunk, header = data[12:16], data[20:30]
    if len(header) == 10:  # noqa: PLR2004
        if chunk == b"VP8X":
            return 1 + int.from_bytes(header[4:7], "little"), 1 + int.from_bytes(
                header[7:10], "little"
            )
        if chunk == b"VP8L":
            bits = int.from_bytes(header[1:5], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        if chunk == b"VP8 ":
            bits = int.from_bytes(header[6:10], "little")
            return bits & 0x3FFF, bits >> 16 & 0x3FFF
    raise _damaged("WebP")


def _tile_size(data: bytes, file: TiffImagePlugin.TiffImageFile) -> tuple[int, int]:
    """Return width and height of a TIFF file's tiles; 0 where it has none.

    ValueError where libtiff, which decodes the file, may read others in its directory (TIFF 6.0,
    section 2): Pillow passes over entries that come again or are of a type it does not know.
    """
    order, entries = _directory(data, file)
    places = entries[: (len(data) - entries.start) // entries.step + 1]
    tags = [int.from_bytes(data[at : at + 2], order) for at in places]
    width, height = TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH
    if any(tags.count(tag) != (tag in file.tag_v2) for tag in (width, height)):
        raise ValueError("a tile of two sizes, or of an unknown one")
    return file.tag_v2.get(width, 0), file.tag_v2.get(height, 0)


def _directory(
    data: bytes, file: TiffImagePlugin.TiffImageFile
) -> tuple[Literal["little", "big"], range]:
    """Return the byte order of a TIFF file, and where the entries of its first page are."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    count_bytes, entry_bytes = (8, 20) if b"+" in data[2:4] else (2, 12)
    start = file.tag_v2.offset + count_bytes
    count = int.from_bytes(data[start - count_bytes : start], order)
    return order, range(start, start + count * entry_bytes, entry_bytes)


def _pages_left(file: ImageFile.ImageFile, data: bytes) -> int:
    """Return how many pictures there are besides the first; of a TIFF file 1 if there is any."""
    if isinstance(file, TiffImagePlugin.TiffImageFile):
        _, entries = _directory(data, file)
        pointer_bytes = 8 if b"+" in data[2:4] else 4
        return int(any(data[entries.stop : entries.stop + pointer_bytes]))
    return getattr(file, "n_frames", 1) - 1 if file.format == "HEIF" else 0


def _coded_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield width and height of every coded image that the metadata of a HEIC file declares.

    They are in ``ispe`` boxes within the ``meta`` box, which is one of the outermost boxes (ISO
    14496-12, 4.2, and 23008-12, 6.5.3).
    """
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16])
        end = len(data) if size == 0 else at + max(size, 8)
        if kind == b"meta":
            for box in re.finditer(rb"ispe.{4}(.{4})(.{4})", data[at:end], re.DOTALL):
                yield int.from_bytes(box[1]), int.from_bytes(box[2])
        at = end


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
        cause="DAMAGED",
    )


def refused(reason: str, cause: str | None = None) -> InvalidMediaError:
    """Make the error for a file that is not hashed, for this reason; ``cause`` for programs."""
    violations = (Violation(_FIELD, reason),)
    message = f"{_FIELD}: {reason}"
    if cause is None:
        return InvalidMediaError(message, violations=violations)
    return InvalidMediaError(message, violations=violations, cause=cause)

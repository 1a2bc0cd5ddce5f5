"""One photograph in every format and mode, and its hash."""

import io
import struct
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pillow_heif import register_heif_opener
from skimage.data import data_dir
from tifffile import imwrite

from benchmarks.harness.colour_profiles import (
    curve,
    fixed,
    matrix_profile,
    profile,
)
from disrupt.core.media import LowQuality, Profile
from disrupt.hashing import fingerprint_image, hash_image
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.images import canonical_hash

register_heif_opener()  # Pillow needs it to write them; the code under test uses the class itself

PHOTO = Image.open(f"{data_dir}/coffee.png").convert("RGB")
GREY = PHOTO.convert("L")
GREY_16 = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
PALETTE = PHOTO.quantize(256)
OPAQUE = PHOTO.convert("RGBA")
UNSEEN = Image.merge("RGBA", (*PHOTO.split(), Image.new("L", PHOTO.size)))


def faded() -> Image.Image:
    """Return PHOTO half transparent: a page shows it paler, with the same hash but for rounding."""
    image = PHOTO.copy()
    image.putalpha(128)
    return image


def turned(orientation: int) -> tuple[Image.Image, bytes]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return (PHOTO.transpose(undo[orientation]) if orientation > 1 else PHOTO), exif.tobytes()


def files() -> Iterator[tuple[str, int, Image.Image, str, dict[str, Any]]]:
    """Yield name, tolerance in bits, picture, format and options of each file."""
    for mode, image in {
        "RGB": PHOTO,
        "L": GREY,
        "I;16": GREY_16,
        "RGBA": OPAQUE,
        "LA": OPAQUE.convert("LA"),
        "faded": faded(),
    }.items():
        yield f"PNG {mode}", 4, image, "PNG", {}
    yield "PNG 1", 10, PHOTO.convert("1"), "PNG", {}
    yield "PNG P", 10, PALETTE, "PNG", {}
    yield "PNG P, one colour transparent", 10, PALETTE, "PNG", {"transparency": bytes([0])}
    yield "PNG P, faded", 10, PALETTE, "PNG", {"transparency": bytes([128] * 256)}
    yield "PNG animated", 4, PHOTO, "PNG", {"save_all": True, "append_images": [OPAQUE]}
    for orientation in range(1, 9):
        image, exif = turned(orientation)
        yield f"JPEG orientation {orientation}", 10, image, "JPEG", {"quality": 90, "exif": exif}
    for orientation in (3, 6):
        image, exif = turned(orientation)
        yield f"PNG orientation {orientation}", 4, image, "PNG", {"exif": exif}
        yield f"AVIF orientation {orientation}", 10, image, "AVIF", {"exif": exif}
        yield f"TIFF orientation {orientation}", 4, image, "TIFF", {"exif": exif}
    yield "JPEG L", 10, GREY, "JPEG", {}
    yield "JPEG CMYK", 10, PHOTO.convert("CMYK"), "JPEG", {"quality": 90}
    yield "JPEG progressive", 10, PHOTO, "JPEG", {"progressive": True}
    yield "JPEG progressive CMYK", 10, PHOTO.convert("CMYK"), "JPEG", {"progressive": True}
    yield "JPEG 4:4:4", 10, PHOTO, "JPEG", {"subsampling": 0}
    yield "JPEG of RGB", 10, PHOTO, "JPEG", {"keep_rgb": True}
    yield "JPEG restart markers", 10, PHOTO, "JPEG", {"restart_marker_blocks": 9}
    yield "JPEG quality 40", 10, PHOTO, "JPEG", {"quality": 40}
    yield "WebP", 10, PHOTO, "WEBP", {}
    yield "WebP lossless", 4, PHOTO, "WEBP", {"lossless": True}
    yield "WebP faded", 10, faded(), "WEBP", {}
    yield "WebP animated", 10, PHOTO, "WEBP", {"save_all": True, "append_images": [OPAQUE]}
    yield "AVIF", 10, PHOTO, "AVIF", {"speed": 10}
    yield "AVIF faded", 10, faded(), "AVIF", {"speed": 10}
    yield "HEIC", 10, PHOTO, "HEIF", {}
    yield "HEIC L", 10, GREY, "HEIF", {}
    yield "HEIC faded", 10, faded(), "HEIF", {}
    for orientation in (3, 6):
        image, exif = turned(orientation)
        yield f"HEIC orientation {orientation}", 10, image, "HEIF", {"exif": exif}
    yield "GIF", 10, PALETTE, "GIF", {}
    yield "GIF L", 4, GREY, "GIF", {}
    yield "GIF animated", 10, PALETTE, "GIF", {"save_all": True, "append_images": [GREY]}
    for mode, image in {
        "RGB": PHOTO,
        "L": GREY,
        "I;16": GREY_16,
        "RGBA": OPAQUE,
        "LA": OPAQUE.convert("LA"),
        "CMYK": PHOTO.convert("CMYK"),
        "YCbCr": PHOTO.convert("YCbCr"),
        "faded": faded(),
    }.items():
        yield f"TIFF {mode}", 4, image, "TIFF", {}
    yield "TIFF P", 10, PALETTE, "TIFF", {}
    yield "TIFF PA", 10, PALETTE.convert("PA"), "TIFF", {}
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield f"TIFF {compression}", 4, PHOTO, "TIFF", {"compression": compression}
    yield "TIFF jpeg", 10, PHOTO, "TIFF", {"compression": "jpeg"}
    yield "TIFF LAB", 4, in_lab(PHOTO), "TIFF", {}
    yield "BigTIFF", 4, PHOTO, "TIFF", {"big_tiff": True}
    yield "TIFF of two pages", 4, PHOTO, "TIFF", {"save_all": True, "append_images": [GREY_16]}
    yield "BMP", 4, PHOTO, "BMP", {}
    yield "BMP L", 4, GREY, "BMP", {}
    yield "BMP P", 10, PALETTE, "BMP", {}


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def ycck() -> bytes:
    """Return a JPEG as Photoshop writes it: Y, Cb, Cr of inverted cyan, magenta, yellow; not-K.

    Pillow writes four planes unchanged, inverted and marked as CMYK; this changes the mark.
    """
    cyan, magenta, yellow, key = PHOTO.convert("CMYK").split()
    planes = Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr").split()
    inverted = [plane.point(lambda level: 255 - level) for plane in planes]
    data = encode(Image.merge("CMYK", (*inverted, key)), "JPEG", quality=95, subsampling=0)
    return data.replace(ADOBE + b"\0", ADOBE + b"\2")


def marked(data: bytes) -> bytes:
    """Replace the mark of JFIF with that of Adobe for YCbCr."""
    assert data[2:4] == b"\xff\xe0"
    mark = b"\xff\xee" + struct.pack(">H", 14) + ADOBE + b"\1"
    return data[:2] + mark + data[4 + struct.unpack_from(">H", data, 4)[0] :]


def without_marks(data: bytes) -> bytes:
    """Return a JPEG file without its application segments (APP)."""
    at = 2
    while 0xE0 <= data[at + 1] <= 0xEF:
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return data[:2] + data[at:]


def grey_tiff(pixels: bytes, bits: int, photometric: int) -> bytes:
    """Return PHOTO's grey as Pillow does not write it (TIFF 6.0); ``photometric`` 0: 0 is white."""
    tags = [(256, PHOTO.width), (257, PHOTO.height), (258, bits), (259, 1), (262, photometric)]
    tags += [(273, 10 + 12 * 9 + 4), (277, 1), (278, PHOTO.height), (279, len(pixels))]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    head += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"".join([head, bytes(4), pixels])


def planes_tiff(image: Image.Image, **options: Any) -> bytes:
    """Return a TIFF of 16 bits whose colours are stored one after the other."""
    file = io.BytesIO()
    planes = np.moveaxis(np.asarray(image) * SIXTEEN, -1, 0)
    photometric = "separated" if image.mode == "CMYK" else "rgb"
    imwrite(file, planes, photometric=photometric, planarconfig="separate", **options)
    return file.getvalue()


def of_12_bits(levels: NDArray[np.uint16]) -> bytes:
    """Pack the upper 12 bits of each level, two levels in three bytes."""
    left, right = levels[:, ::2] >> 4, levels[:, 1::2] >> 4
    packed = np.stack([left >> 4, (left & 15) << 4 | right >> 8, right & 255], axis=-1)
    return packed.astype(np.uint8).tobytes()


def in_lab(image: Image.Image) -> Image.Image:
    lab = ImageCms.applyTransform(
        image,
        ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        ),
    )
    assert lab is not None
    return lab


def four_colours() -> bytes:
    return encode(PHOTO.convert("CMYK"), "JPEG", quality=90)


def written(suffix: str, pixels: NDArray[Any]) -> bytes:
    """Return the file that OpenCV writes of red, green, blue, and perhaps alpha."""
    order = [2, 1, 0, 3][: pixels.shape[2]]
    return cv2.imencode(suffix, pixels[:, :, order])[1].tobytes()


def inverted(image: Image.Image) -> bytes:
    return (~np.asarray(image)).tobytes()


def branded(brand: bytes) -> bytes:
    """Return an AVIF file of another brand."""
    return encode(PHOTO, "AVIF", speed=10).replace(b"ftypavif", b"ftyp" + brand)


SIXTEEN = np.uint16(257)

STORED: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 37, "byteorder": ">"},
    "tiles": {"tile": (64, 128)},
    "deflate": {"compression": "zlib"},
}

COLOURS_1, APART = struct.pack("<HHII", 277, 4, 1, 1), struct.pack("<HHII", 284, 4, 1, 2)
"""Entries of a TIFF: of one colour, and colours stored one after the other."""

ADOBE = b"Adobe\0\x64\0\0\0\0"

# cjpeg -quality 50 -arithmetic [-progressive] of PHOTO: Pillow reads such files and writes none.
ARITHMETIC = Path(__file__).parent / "files"

FILES: dict[str, tuple[int, Callable[[], bytes]]] = {
    name: (tolerance_bits, partial(encode, image, kind, **options))
    for name, tolerance_bits, image, kind, options in files()
} | {
    "PNG RGB of 16 bits": (4, lambda: written(".png", np.asarray(PHOTO) * SIXTEEN)),
    "PNG RGBA of 16 bits": (4, lambda: written(".png", np.asarray(OPAQUE) * SIXTEEN)),
    **{
        f"BMP with a mask of alpha, {name}": (4, partial(written, ".bmp", np.asarray(image)))
        for name, image in {"all 0": UNSEEN, "opaque": OPAQUE, "faded": faded()}.items()
    },
    "TIFF L, 0 is white": (4, lambda: grey_tiff(inverted(GREY), 8, 0)),
    "TIFF I;16, 0 is white": (4, lambda: grey_tiff(inverted(GREY_16), 16, 0)),
    "TIFF of 12 bits": (4, lambda: grey_tiff(of_12_bits(np.asarray(GREY_16)), 12, 1)),
    **{
        f"TIFF {image.mode} of 16 bits, apart, {name}": (4, partial(planes_tiff, image, **options))
        for image in (PHOTO, OPAQUE, PHOTO.convert("CMYK"))
        for name, options in STORED.items()
    },
    **{
        f"TIFF of 16 bits, apart, orientation {orientation}": (
            4,
            partial(
                planes_tiff,
                turned(orientation)[0],
                extratags=[(274, "H", 1, orientation, True)],
            ),
        )
        for orientation in range(2, 9)
    },
    "TIFF of 16 bits and alpha, apart": (
        4,
        lambda: planes_tiff(OPAQUE, extrasamples=["assocalpha"]),
    ),
    "TIFF of 16 bits and another level, apart": (
        4,
        lambda: planes_tiff(OPAQUE, extrasamples=["unspecified"]),
    ),
    # The number of colours is 1 where a file does not name it.
    "TIFF L, 0 is white, apart": (
        4,
        lambda: grey_tiff(inverted(GREY), 8, 0).replace(COLOURS_1, APART),
    ),
    "AVIF of the brand mif1": (10, lambda: branded(b"mif1")),
    "AVIF of the brand MA1B": (10, lambda: branded(b"MA1B")),
    "JPEG YCCK": (10, ycck),
    # Browsers take all files of four colours as inverted.
    "JPEG CMYK without Adobe's mark": (10, lambda: without_marks(four_colours())),
    "JPEG without any mark": (10, lambda: without_marks(encode(PHOTO, "JPEG", quality=90))),
    "JPEG with Adobe's mark": (10, lambda: marked(encode(PHOTO, "JPEG", quality=90))),
    "JPEG arithmetic": (10, (ARITHMETIC / "arithmetic.jpeg").read_bytes),
    "JPEG arithmetic, progressive": (
        10,
        (ARITHMETIC / "arithmetic-progressive.jpeg").read_bytes,
    ),
}


@cache
def data_of(name: str) -> bytes:
    """Return one of the FILES."""
    return FILES[name][1]()


def registered(data: bytes) -> int:
    """Return the canonical hash as it is registered."""
    outcome = fingerprint_image(data)
    assert not isinstance(outcome, LowQuality)
    assert outcome.fingerprints[0].profile == Profile.PDQ_512
    return int.from_bytes(outcome.fingerprints[0].hash.value)


@cache
def canonical(data: bytes) -> int:
    """Return the hash that a file is to be registered with."""
    outcome = canonical_hash(decode(data))
    assert not isinstance(outcome, LowQuality)
    hash_, _ = outcome
    return int.from_bytes(hash_.value)


def looked_up(data: bytes) -> int:
    outcome = hash_image(data)
    assert not isinstance(outcome, LowQuality)
    (hash_, _), *_ = outcome.hashes
    return int.from_bytes(hash_.value)


@cache
def plain() -> int:
    """Return the hash of the plain picture."""
    return canonical(encode(PHOTO, "PNG"))


def distance_bits(hash_: int) -> int:
    """Return how far a hash is from that of the plain picture."""
    return (hash_ ^ plain()).bit_count()


def grey_profile(gamma: float) -> bytes:
    return profile(b"mntrGRAYXYZ ", {b"kTRC": curve(gamma)})


DISPLAY_P3 = matrix_profile("0.68,0.32", "0.265,0.69", "0.15,0.06", 2.2)


def ink_profile() -> bytes:
    """Return a profile of four inks that darken with their lightness squared (ICC.1, 6.5.8)."""
    steps = 9
    inks = np.stack(np.meshgrid(*[np.linspace(0, 1, steps)] * 4, indexing="ij"), axis=-1)
    light = ((1 - inks[..., :3]) * (1 - inks[..., 3:])) ** 2
    colours = Image.fromarray((light * 255).round().astype(np.uint8).reshape(-1, 1, 3))
    table = np.asarray(in_lab(colours)) ^ np.array(
        [0, 128, 128], np.uint8
    )  # the Lab image is signed, the table has an offset
    straight = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes([4, 3, steps, 0]) + fixed(np.eye(3).ravel())
    body = head + 4 * straight + table.tobytes() + 3 * straight
    return profile(b"prtrCMYKLab ", {b"A2B0": body})

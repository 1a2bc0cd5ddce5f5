"""Make ICC profiles (ICC.1, version 2), as cameras, telephones and editors write into pictures."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

D50 = np.array([0.9642, 1, 0.8249])
"""XYZ of the white that profiles stand on."""

LEVELS = np.arange(256)


def linear(levels: NDArray[Any]) -> NDArray[np.float64]:
    """Return the light, 0-1, of levels of sRGB, 0-255."""
    shown = levels / 255
    light: NDArray[np.float64] = np.where(
        shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4
    )
    return light


def fixed(values: NDArray[np.float64]) -> bytes:
    """Return numbers as s15Fixed16."""
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def curve(gamma: float) -> bytes:
    """Return the curve of one gamma."""
    return b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)


def profile(kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Return an ICC profile (version 2); ``kind``: device class, its colours, target space."""
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78),
        b"cprt": b"text\0\0\0\0-\0\0\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(D50),
        **tags,
    }
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(value))
        body += value
    head = bytes(4) + b"\x02\x10\0\0" + kind + bytes(12) + b"acsp" + bytes(28) + fixed(D50)
    whole = bytes(4) + head.ljust(124, b"\0") + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def matrix_profile(red: str, green: str, blue: str, gamma: float) -> bytes:
    """Return a profile of primaries as x,y, white D65 and one gamma."""

    def xyz(chromaticity: str) -> NDArray[np.float64]:
        x, y = map(float, chromaticity.split(","))
        return np.array([x / y, 1, (1 - x - y) / y])

    white, d50 = xyz("0.3127,0.3290"), D50
    primaries = np.stack([xyz(red), xyz(green), xyz(blue)], axis=1)
    cone = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    adapt = np.linalg.inv(cone) @ np.diag((cone @ d50) / (cone @ white)) @ cone
    colorants = adapt @ (primaries * np.linalg.solve(primaries, white))
    tags = {
        name + b"XYZ": b"XYZ \0\0\0\0" + fixed(colorants[:, at])
        for at, name in enumerate([b"r", b"g", b"b"])
    } | {name + b"TRC": curve(gamma) for name in (b"r", b"g", b"b")}
    return profile(b"mntrRGB XYZ ", tags)


def _display_p3() -> bytes:
    levels = np.round(linear(LEVELS) * 65535).astype(">u2")
    colorants = {
        b"r": (0.51512, 0.2412, -0.00105),
        b"g": (0.29198, 0.69225, 0.04189),
        b"b": (0.1571, 0.06657, 0.78407),
    }
    tags = {b"desc": b"desc" + struct.pack(">II", 0, 11) + b"Display P3\0" + bytes(78)}
    for name, xyz in colorants.items():
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + fixed(np.array(xyz))
        tags[name + b"TRC"] = b"curv" + struct.pack(">II", 0, len(LEVELS)) + levels.tobytes()
    return profile(b"mntrRGB XYZ ", tags)


DISPLAY_P3 = _display_p3()
"""The profile of telephones, by its name, with the curve of sRGB."""

ADOBE_RGB = matrix_profile("0.64,0.33", "0.21,0.71", "0.15,0.06", 563 / 256)
"""A choice of cameras (Adobe RGB (1998), 4.3.1)."""

PROPHOTO = matrix_profile("0.7347,0.2653", "0.1596,0.8404", "0.0366,0.0001", 1.8)
"""The widest colours that editors write, though of white D65 here."""

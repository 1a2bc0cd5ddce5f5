"""Convert the messages that several services share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES
from disrupt.core.media import FINGERPRINT, LowQuality, MediaKind, Profile
from disrupt.errors import InvalidRequestError, Violation
from disrupt.v1 import types_pb2

MAX_QUALITY = 100
_U16_MAX = 2**16 - 1


def low_quality_message(value: LowQuality) -> types_pb2.LowQuality:
    """Convert to a message."""
    return types_pb2.LowQuality(
        quality=value.quality, minimum_quality=value.minimum_quality, advice=value.advice
    )


def fingerprints(
    message: types_pb2.Fingerprints, kind: MediaKind, *, path: str
) -> NDArray[np.void]:
    """Return the fingerprints of one item, dtype FINGERPRINT, shape (n,), n ≥ 1.

    ``path`` is the field of the request that holds the message, for violations.
    """
    count, left_over = divmod(len(message.hashes), HASH_BYTES)
    if left_over:
        raise invalid(
            f"{path}.hashes", f"{len(message.hashes)} bytes are not a multiple of {HASH_BYTES}"
        )
    if not count:
        raise invalid(f"{path}.hashes", "no hashes; an item has at least one")
    array = np.zeros(count, FINGERPRINT)
    array["hash"] = np.frombuffer(message.hashes, np.uint8).reshape(count, HASH_BYTES)
    array["quality"] = _column(message.qualities, count, f"{path}.qualities", MAX_QUALITY)
    if message.profiles:
        profiles = _column(message.profiles, count, f"{path}.profiles")
        # Enumerations grow: store a profile that this version does not know as unknown.
        profiles[~np.isin(profiles, list(Profile))] = Profile.UNKNOWN
        array["profile"] = profiles
    else:
        array["profile"] = Profile.PDQ_512
    for name, values in (("plan", message.plans), ("ordinal", message.ordinals)):
        if values:
            array[name] = _column(values, count, f"{path}.{name}s", _U16_MAX)
    if kind == MediaKind.VIDEO:
        for name, values in (("start_ms", message.start_ms), ("end_ms", message.end_ms)):
            array[name] = _column(values, count, f"{path}.{name}")
        if (array["end_ms"] < array["start_ms"]).any():
            at = int(np.argmax(array["end_ms"] < array["start_ms"]))
            raise invalid(f"{path}.end_ms[{at}]", "an interval ends before it starts")
    elif message.start_ms or message.end_ms:
        raise invalid(f"{path}.start_ms", "a picture has no intervals: leave it empty")
    return array


def fingerprints_message(array: NDArray[np.void], kind: MediaKind) -> types_pb2.Fingerprints:
    """Convert to a message, without columns that hold defaults only."""
    message = types_pb2.Fingerprints(
        hashes=np.ascontiguousarray(array["hash"]).tobytes(), qualities=array["quality"].tobytes()
    )
    if (array["profile"] != Profile.PDQ_512).any():
        message.profiles.extend(array["profile"].tolist())
    if array["plan"].any():
        message.plans.extend(array["plan"].tolist())
    if array["ordinal"].any():
        message.ordinals.extend(array["ordinal"].tolist())
    if kind == MediaKind.VIDEO:
        message.start_ms.extend(array["start_ms"].tolist())
        message.end_ms.extend(array["end_ms"].tolist())
    return message


def invalid(field: str, description: str) -> InvalidRequestError:
    """Make the error about one field."""
    return InvalidRequestError.of(Violation(field, description))


def day(field: str, text: str) -> str:
    """Return an ISO date, or an empty text as it is. Raises InvalidRequestError for another."""
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise invalid(field, "no day: write YYYY-MM-DD") from None


def _column(
    values: Sequence[int], count: int, path: str, most: int | None = None
) -> NDArray[np.integer]:
    """Return values as an array. Raises unless there is one for each hash, at most ``most``."""
    if len(values) != count:
        raise invalid(path, f"{len(values)} entries for {count} hashes; send one a hash")
    column: NDArray[np.integer]
    if isinstance(values, bytes):
        column = np.frombuffer(values, np.uint8)
    else:
        column = np.fromiter(values, np.int64, count)
    if most is not None and column.max() > most:
        at = int(column.argmax())
        raise invalid(f"{path}[{at}]", f"{column[at]} is outside 0-{most}")
    return column

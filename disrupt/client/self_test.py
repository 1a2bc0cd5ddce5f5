"""The self-test: look up the published pictures of the test bank, and judge the answers."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from disrupt import test_bank
from disrupt.client.results import ImageAnswer
from disrupt.core.hashes import PdqHash
from disrupt.core.policy import TEST
from disrupt.errors import DisruptError, InvalidRequestError

_JPEG_QUALITY = 40
_CROPPED_PERMILLE = 100
_LATENCY_LOOKUPS = 10

_OLDER = (
    "This server is older than the test bank. Everything before this step works; ask its operator"
    " to update it."
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One lookup of the self-test: words that say what is tried, and the item it has to match.

    ``item_id`` is empty where nothing may match. Without ``hash_locally`` the picture is sent.
    """

    name: str
    tried: str
    picture: bytes
    item_id: str
    hash_locally: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One step of the self-test: what was tried, whether it holds, and what came, in words."""

    name: str
    tried: str
    passed: bool
    came: str


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Result of a self-test.

    ``checks`` end with the first that all later ones would fail with. ``latency_ms`` is the median
    time of a lookup of one hash, network included; None if it did not come so far.
    """

    checks: tuple[Check, ...]
    latency_ms: float | None = None

    @property
    def passed(self) -> bool:
        """Tell whether every check was made and passed."""
        return self.latency_ms is not None and all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class Ask:
    """A method of the client to call, and its arguments."""

    method: str
    arguments: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()


Steps = Generator[Ask, object, SelfTest]
"""Yields calls and takes each one's answer, or the DisruptError that it raised."""


def trials() -> tuple[Trial, ...]:
    """Make the edited pictures, which takes some tenths of a second."""
    amber, coral, indigo, olive = test_bank.PICTURES
    items = {
        name: test_bank.item_id(at).hex() for at, name in enumerate(test_bank.PICTURES, start=1)
    }
    plain = test_bank.picture(amber)
    return (
        Trial("same", "a picture as it is, hashed here", plain, items[amber]),
        Trial("jpeg", f"as JPEG of quality {_JPEG_QUALITY}", _edited(indigo, _jpeg), items[indigo]),
        Trial("cropped", "with a tenth cut off each side", _edited(coral, _crop), items[coral]),
        Trial("mirrored", "mirrored", _edited(olive, _mirror), items[olive]),
        Trial("sent", "sent, so that the server hashes it", plain, items[amber], False),  # noqa: FBT003 the column says it
        Trial("unregistered", "another picture", test_bank.picture(test_bank.UNREGISTERED), ""),
    )


def steps(tried: Sequence[Trial], *, is_encrypted: bool) -> Steps:
    """Try reaching the server, then the trials, then how long a lookup takes."""
    checks = list[Check]()
    how = "over TLS" if is_encrypted else "on this machine, without TLS"
    reached = yield Ask("index_status")
    checks.append(_check("server", f"reach the server {how}", reached))
    if isinstance(reached, DisruptError):
        return SelfTest(tuple(checks))
    for trial in tried:
        answer = yield Ask(
            "match_image",
            (trial.picture,),
            (("hash_locally", trial.hash_locally), ("banks", (TEST.name,))),
        )
        checks.append(_judged(trial, answer))
        if isinstance(answer, DisruptError):
            return SelfTest(tuple(checks))
    times_ms = list[float]()
    hashes = [PdqHash(test_bank.items()[0].fingerprints["hash"][0].tobytes())]
    for _ in range(_LATENCY_LOOKUPS):
        began_s = time.perf_counter()
        answer = yield Ask("match_hashes", (hashes,), (("banks", (TEST.name,)),))
        times_ms.append((time.perf_counter() - began_s) * 1000)
        if isinstance(answer, DisruptError):
            checks.append(_check("latency", "look one hash up, ten times", answer))
            return SelfTest(tuple(checks))
    median_ms = round(statistics.median(times_ms), 1)
    came = f"{median_ms:g} ms each in the middle, {max(times_ms):.1f} ms at most"
    checks.append(Check("latency", "look one hash up, ten times", passed=True, came=came))
    return SelfTest(tuple(checks), median_ms)


def _check(name: str, tried: str, answer: object) -> Check:
    if isinstance(answer, DisruptError):
        return Check(name, tried, passed=False, came=_words(answer))
    return Check(name, tried, passed=True, came="it answers, and takes the key")


def _judged(trial: Trial, answer: object) -> Check:
    """Compare the answer to a trial with what has to come."""
    if isinstance(answer, ImageAnswer):
        matched = [match.item_id for match in answer.matches]
        if matched == ([trial.item_id] if trial.item_id else []):
            bits = [match.distance_bits for match in answer.matches]
            came = f"found, {bits[0]} bits away" if bits else "not found, as it should be"
            return Check(trial.name, trial.tried, passed=True, came=came)
        came = "not found" if not matched else "another picture was found"
    else:
        came = _words(answer)
    return Check(trial.name, trial.tried, passed=False, came=came)


def _words(answer: object) -> str:
    if isinstance(answer, InvalidRequestError) and any(
        violation.field == "options.banks" for violation in answer.violations
    ):
        return _OLDER
    return answer.message if isinstance(answer, DisruptError) else "no answer to a picture"


def _edited(name: str, edit: Callable[[Image.Image], tuple[Image.Image, str]]) -> bytes:
    with Image.open(io.BytesIO(test_bank.picture(name))) as opened:
        picture, kind = edit(opened.convert("RGB"))
    file = io.BytesIO()
    picture.save(file, kind, quality=_JPEG_QUALITY)
    return file.getvalue()


def _jpeg(picture: Image.Image) -> tuple[Image.Image, str]:
    return picture, "JPEG"


def _mirror(picture: Image.Image) -> tuple[Image.Image, str]:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG"


def _crop(picture: Image.Image) -> tuple[Image.Image, str]:
    left, top = (side * _CROPPED_PERMILLE // 1000 for side in picture.size)
    return picture.crop((left, top, picture.width - left, picture.height - top)), "PNG"

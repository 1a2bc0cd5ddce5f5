"""Run one pipeline over one file in a process of its own; report times, answers and peak memory.

``python -m benchmarks.speed.hashing_pipelines PIPELINE FILE SECONDS [sabotage]`` prints JSON.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pdqhash
from PIL import Image

PIPELINES = ("disrupt_lookup", "disrupt_registration", "threatexchange")

Stages = dict[str, Callable[[], object]]


def main() -> None:
    """Run one pipeline on one file and print what it took."""
    pipeline, path, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    if "sabotage" in sys.argv:
        _sabotage()
    data = path.read_bytes()
    # Imports do not count as a cost of a picture, and each process imports its own pipeline only.
    whole = {
        "disrupt_lookup": _lookup,
        "disrupt_registration": _registration,
        "threatexchange": _threatexchange,
    }[pipeline]()
    hashes = whole(data)
    peak_mb = _high_water_mb()
    stages = {
        "disrupt_lookup": _lookup_stages,
        "disrupt_registration": _registration_stages,
        "threatexchange": _threatexchange_stages,
    }[pipeline](data)
    stages["total"] = lambda: whole(data)
    took_ms = {name: least_ms(stage, seconds) for name, stage in stages.items()}
    print(json.dumps({"ms": took_ms, "peak_mb": peak_mb, "hashes": hashes}))


def least_ms(work: Callable[[], object], seconds: float) -> float:
    """Return the least time of this process's one thread, which other work lengthens least."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 2 or time.perf_counter() < until:
        before = time.thread_time()
        work()
        times.append(time.thread_time() - before)
    return 1000 * min(times)


def _high_water_mb() -> float:
    """Return the most resident memory since this process began, libraries included.

    It is read from /proc: getrusage also counts the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def _lookup() -> Callable[[bytes], list[str]]:
    from disrupt.core.lookups import Effort
    from disrupt.hashing import ImageQuery, hash_image

    def whole(data: bytes) -> list[str]:
        query = hash_image(data, effort=Effort.FAST)
        return (
            [hash_.value.hex() for hash_, _ in query.hashes]
            if isinstance(query, ImageQuery)
            else []
        )

    return whole


def _lookup_stages(data: bytes) -> Stages:
    """Return the stages; ``reduce``: average and PDQ's blur in one; ``pdq``: the rest of PDQ."""
    from disrupt.hashing.decoding.pictures import decode
    from disrupt.hashing.pdq.linear import hash_luma, hash_samples, reduced_samples
    from disrupt.hashing.pdq.luma import SIDE_PX

    picture = decode(data, scaled=True)
    size = picture.width_px, picture.height_px
    if max(size) <= SIDE_PX:
        luma = picture.luma(0, size[1])
        return {
            "decode": lambda: decode(data, scaled=True),
            "reduce": lambda: picture.luma(0, size[1]),
            "pdq": lambda: hash_luma(luma),
        }
    samples = reduced_samples(picture.luma, *size, picture.orientation)
    return {
        "decode": lambda: decode(data, scaled=True),
        "reduce": lambda: reduced_samples(picture.luma, *size, picture.orientation),
        "pdq": lambda: hash_samples(samples),
    }


def _registration() -> Callable[[bytes], list[str]]:
    from disrupt.hashing import ImageFingerprints, fingerprint_image

    def whole(data: bytes) -> list[str]:
        outcome = fingerprint_image(data)
        if not isinstance(outcome, ImageFingerprints):
            return []
        return [fingerprint.hash.value.hex() for fingerprint in outcome.fingerprints]

    return whole


def _registration_stages(data: bytes) -> Stages:
    """Return the stages; ``pdq``: of the average alone. Full size and small are in the total."""
    from disrupt.hashing.decoding.pictures import decode
    from disrupt.hashing.pdq.linear import hash_luma
    from disrupt.hashing.pdq.luma import canonical_luma

    picture = decode(data)
    luma = canonical_luma(picture)
    return {
        "decode": lambda: decode(data),
        "reduce": lambda: canonical_luma(picture),
        "pdq": lambda: hash_luma(luma),
    }


def _threatexchange() -> Callable[[bytes], list[str]]:
    from threatexchange.signal_type.pdq.pdq_hasher import pdq_from_bytes

    _register_heif()
    return lambda data: [pdq_from_bytes(data)[0]]


def _threatexchange_stages(data: bytes) -> Stages:
    """Return the stages of the peer, which reduces nothing."""

    def decoded() -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(data)))

    pixels = decoded()
    return {"decode": decoded, "pdq": lambda: pdqhash.compute(pixels)}


def _register_heif() -> None:
    """Register HEIC, which the peer does not read otherwise, so that it can be compared."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return
    register_heif_opener()


def _sabotage() -> None:
    """Let lookups hash the mirrored picture."""
    from disrupt.core.transforms import Dihedral
    from disrupt.hashing import queries
    from disrupt.hashing.pdq import linear as pdq

    vars(queries)["hash_reduced"] = lambda rows, width_px, height_px, _: pdq.hash_reduced(
        rows, width_px, height_px, Dihedral.MIRROR
    )


if __name__ == "__main__":
    main()

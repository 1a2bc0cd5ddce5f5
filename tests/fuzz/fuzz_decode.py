"""Fuzz target: any bytes are hashed, or refused in a typed error.

    python tests/fuzz/fuzz_decode.py -max_total_time=3600 CORPUS

CORPUS is a directory that keeps inputs that reached new code; small good files are its first. The
options are libFuzzer's. It writes an input that breaks the target to the current directory; run the
target with that file instead of CORPUS to reproduce the failure.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "pillow_heif", "disrupt.hashing"]):
    from disrupt.core.media import LowQuality
    from disrupt.errors import InvalidMediaError
    from disrupt.hashing import ImageLimits, fingerprint_frames, fingerprint_image, hash_image

from rig.media.mutations import seeds

LIMITS = ImageLimits(max_pixels=1_000_000, max_bytes=2**20, frames_cpu_s=0.2)
"""Small limits, so that the fuzzer tries broken structures and not large pictures."""


def target(data: bytes) -> None:
    """Check what must hold for any bytes."""
    try:
        query, item = hash_image(data, LIMITS), fingerprint_image(data, LIMITS)
        animated = fingerprint_frames(data, LIMITS)
    except InvalidMediaError as error:
        if [violation.field for violation in error.violations] != ["image"]:
            raise AssertionError("no field is named") from error
        return
    for outcome in (query, item, animated):
        assert 0 <= outcome.quality <= 100
        assert isinstance(outcome, LowQuality) or outcome.quality >= 50


def main() -> None:
    """Fuzz as the arguments say."""
    corpus = Path(sys.argv[-1])
    if corpus.is_dir() and not any(corpus.iterdir()):
        for kind, files in seeds().items():
            for number, file in enumerate(files):
                (corpus / f"{kind}-{number}").write_bytes(file)
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

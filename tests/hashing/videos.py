"""Hash encoded videos, and choose the rows of one version."""

import io

import numpy as np

from disrupt.core.transforms import Dihedral
from disrupt.core.videos import VideoFingerprints
from disrupt.hashing.videos.frames import fingerprint_video, hash_video

SECONDS, FPS = 3, 25


def upright(data: bytes) -> np.ndarray:
    rows, incomplete = hash_video(io.BytesIO(data))
    assert not incomplete
    return versions(rows, Dihedral.IDENTITY)


def fingerprints_of(data: bytes) -> VideoFingerprints:
    outcome = fingerprint_video(io.BytesIO(data))
    assert isinstance(outcome, VideoFingerprints)
    return outcome


def versions(hashes: np.ndarray, dihedral: Dihedral, *, cut: bool = False) -> np.ndarray:
    """Return the rows of whole frames, or of those without borders."""
    wanted = (hashes["dihedral"] == dihedral) & (hashes["crop_permille"].any(axis=1) == cut)
    rows: np.ndarray = hashes[wanted]
    return rows

"""From media to fingerprints. No storage: nothing here can keep a picture."""

from disrupt.hashing.decoding.pictures import ImageLimits
from disrupt.hashing.images import ImageFingerprints, fingerprint_frames, fingerprint_image
from disrupt.hashing.known_answers import check_known_answers
from disrupt.hashing.queries import ImageQuery, hash_image

__all__ = [
    "ImageFingerprints",
    "ImageLimits",
    "ImageQuery",
    "check_known_answers",
    "fingerprint_frames",
    "fingerprint_image",
    "hash_image",
]

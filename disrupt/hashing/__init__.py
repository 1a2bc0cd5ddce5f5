"""From media to fingerprints. No storage: nothing here can keep a picture."""

from disrupt.hashing.decoding.pictures import ImageLimits
from disrupt.hashing.known_answers import check_known_answers
from disrupt.hashing.lookup import ImageQuery, hash_image
from disrupt.hashing.registration import ImageFingerprints, fingerprint_frames, fingerprint_image

__all__ = [
    "ImageFingerprints",
    "ImageLimits",
    "ImageQuery",
    "check_known_answers",
    "fingerprint_frames",
    "fingerprint_image",
    "hash_image",
]

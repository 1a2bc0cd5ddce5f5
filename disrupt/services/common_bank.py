"""Fill the bank of pictures in common use, and tell what is near to one as it is registered."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from disrupt.core.acts import Act
from disrupt.core.cases import new_case_number
from disrupt.core.changes import Cursor
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import ITEM_ID_BYTES, Assurance, MediaKind, pack
from disrupt.core.plausibility import is_unlike_a_picture, misfit
from disrupt.core.policy import COMMON
from disrupt.core.registrations import MediaItem, sufficient
from disrupt.distinctiveness.limits import are_within
from disrupt.errors import InvalidRequestError, LimitExceededError, Violation
from disrupt.index.flat import FlatIndex
from disrupt.registry.records import NewCase, NewItem, Registration
from disrupt.registry.registry import RegistryWriter
from disrupt.services.pins import Pins

COMMON_HASHES_MAX = 600_000
"""Most hashes of the bank, some 2000 pictures: a registration is compared with all of them, which
takes a few ms, and the writer holds them, 19 MB."""

_OWN = 0
"""The plan of the picture itself."""


@dataclass(slots=True)
class CommonBank:
    """The bank of pictures in common use, in the writer, which alone changes it. Thread-safe."""

    registry: RegistryWriter
    _changing: threading.Lock = field(default_factory=threading.Lock, init=False)
    _hashes: FlatIndex | None = field(default=None, init=False)

    def add(
        self, request_id: bytes, fingerprints: NDArray[np.void], act: Act, *, day: str
    ) -> tuple[bytes, Cursor]:
        """Add a picture durably; return its id, and a cursor that includes it.

        ``fingerprints`` are of dtype FINGERPRINT, shape (n,). The same request id with the same
        fingerprints adds nothing, and returns the same id. Nobody has the PIN of the item's case:
        what is hashed is random, under a pepper that is forgotten.

        Raises InvalidRequestError for hashes that are not those of a picture, LimitExceededError
        where the bank would hold more than COMMON_HASHES_MAX, and what ``register`` does.
        """
        kept = sufficient(MediaItem(MediaKind.IMAGE, fingerprints)).fingerprints
        problem = misfit(MediaKind.IMAGE, kept) if len(kept) else "all hashes are of low quality"
        if not problem and is_unlike_a_picture(MediaKind.IMAGE, kept):
            problem = "the hashes are not those of one picture"
        if problem:
            raise InvalidRequestError.of(
                Violation("fingerprints", f"{problem}. Nothing was added.")
            )
        with self._changing:
            # what a retry adds again counts twice, which matters to the last picture alone
            if len(self._loaded()) + len(kept) > COMMON_HASHES_MAX:
                raise LimitExceededError(
                    f"The bank {COMMON.name!r} holds at most {COMMON_HASHES_MAX} hashes. Take out"
                    " what is not needed.",
                    limit=str(COMMON_HASHES_MAX),
                )
            pin_hash = Pins(secrets.token_bytes(32)).hash(secrets.token_hex(16))
            registered = self.registry.register(
                Registration(
                    request_id,
                    hashlib.sha256(pack(kept)).digest(),
                    NewCase(new_case_number(request_id), pin_hash),
                    COMMON.number,
                    Assurance.REVIEWED,
                    (NewItem(secrets.token_bytes(ITEM_ID_BYTES), MediaKind.IMAGE, kept),),
                    key_id=act.actor,
                    act=act,
                ),
                day=day,
            )
            self._hashes = None
        return registered.items[0].item_id, registered.cursor

    def remove(self, item_ids: Collection[bytes], act: Act, *, day: str) -> Cursor:
        """Take pictures out durably, and erase their hashes; errors as ``remove_common`` raises."""
        with self._changing:
            try:
                return self.registry.remove_common(item_ids, act, day=day)
            finally:
                self._hashes = None

    def is_near(self, fingerprints: NDArray[np.void]) -> bool:
        """Tell whether a hash of a picture itself, of plan 0, matches one of the bank.

        ``fingerprints`` are of dtype FINGERPRINT, shape (n,).
        """
        return bool(self.are_near(fingerprints["hash"][fingerprints["plan"] == _OWN]).any())

    def are_near(self, hashes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Tell which hashes, shape (n, 32), match one of the bank, shape (n,)."""
        with self._changing:
            stored = self._loaded()
        are_near = np.zeros(len(hashes), np.bool_)
        if len(stored) and len(hashes):
            near = stored.neighbours(hashes, MAX_DISTANCE_BITS)
            if len(near.query):
                within = are_within(hashes, near.query, near.distance, compiled=False)
                are_near[near.query[within]] = True
        return are_near

    def _loaded(self) -> FlatIndex:
        """Return the hashes of the bank, read from the registry where they may have changed."""
        if self._hashes is None:
            self._hashes = FlatIndex.of(self.registry.common_hashes())
        return self._hashes

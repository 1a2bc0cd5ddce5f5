"""Slow start of banks: lookups answer only a share of a bank's items, always the same ones."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from disrupt.core.media import ITEM_ID_BYTES
from disrupt.core.policy import Bank

_PERCENT = 100


def draw_key(secret: bytes) -> bytes:
    """Return the key of the draws, 32 bytes, derived from a secret of the server.

    All workers have the same secret, and so does a server that is restored: answers do not flap.
    """
    return hmac.digest(secret, b"disrupt share of a bank\0", hashlib.sha256)


@dataclass(frozen=True, slots=True)
class SlowStart:
    """The items that are held back: a ``core.policy.Held``. Thread-safe.

    Each item has a draw of 0-99, pseudo-random by a key of ``draw_key``. A bank answers those below
    its share: a larger share only adds items. ``shares_percent`` has number and share of each bank
    that does not answer all.
    """

    key: bytes = field(repr=False)
    shares_percent: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, key: bytes, banks: Iterable[Bank]) -> SlowStart | None:
        """Return what is held back of these banks; None where each answers all its items."""
        shares = tuple(
            (bank.number, bank.share_percent) for bank in banks if bank.share_percent < _PERCENT
        )
        return cls(key, shares) if shares else None

    @property
    def banks(self) -> frozenset[int]:
        """The numbers of the banks that hold something back."""
        return frozenset(bank for bank, _ in self.shares_percent)

    def holds(self, item_ids: NDArray[np.uint8], banks: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """Tell which items are held back; see ``Held``."""
        held = np.zeros(len(banks), np.bool_)
        for bank, share in self.shares_percent:
            own = np.flatnonzero(banks == bank)
            if len(own):
                held[own] = self.draws(item_ids[own]) >= share
        return held

    def draws(self, item_ids: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """Return the draws of items, uint8 (n, 16), as u64 (n,) of 0-99.

        AES of each id, which has the size of a block, is a keyed pseudo-random function of it, at a
        GB/s. A block that occurs twice is the same item: that ECB shows this does no harm.
        """
        encryptor = Cipher(algorithms.AES(self.key), modes.ECB()).encryptor()  # noqa: S305 see above
        blocks = encryptor.update(np.ascontiguousarray(item_ids).tobytes())
        drawn: NDArray[np.uint64] = np.frombuffer(blocks, "<u8").reshape(-1, ITEM_ID_BYTES // 8)
        return drawn[:, 0] % np.uint64(_PERCENT)

"""One registration of generated hashes, and what its client knows of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Self

from disrupt.core.cases import PIN_DIGITS, AgeBand
from disrupt.core.hashes import PdqHash
from disrupt.core.media import Fingerprint, MediaKind, Profile, columns, pack
from disrupt.core.outcomes import MatchOutcome
from disrupt.core.registrations import MediaItem
from disrupt.core.transforms import crops_of
from disrupt.submission import requests
from disrupt.v1 import registration_pb2

_NEARLY_WHOLE_PERMILLE = 850

_ITEMS = (1, 1, 1, 1, 2, 5)
_HASHES = (1, 2, 2, 20, 120)
"""Hashes of an item, so that items are smaller than a page of the database, or larger."""

_VERSIONS = (
    (0, 0),
    *(
        (1, ordinal)
        for ordinal, transform in crops_of(1.0)
        if transform.area_permille < _NEARLY_WHOLE_PERMILLE
    ),
)
"""Plan and ordinal of versions of a picture whose hashes may be random: the server compares those
of others, which show nearly all of it, with the whole."""


@dataclass(eq=False, slots=True)
class Write:
    """One registration and the withdrawal of its case: requests and answers."""

    request: registration_pb2.RegisterHashesRequest
    hashes: list[PdqHash]
    """The first hash of each item."""
    blobs: list[bytes]
    """Each item as the registry stores it."""
    receipt: registration_pb2.Receipt | None = None
    """The answer, which acknowledges the registration."""
    withdrawal_sent: bool = False
    withdrawal: registration_pb2.WithdrawCaseResponse | None = None
    reports: list[MatchOutcome] = field(default_factory=list)
    """Outcomes of the first item that were sent, in turn."""
    noted: int = 0
    """Number of them that are acknowledged."""

    @classmethod
    def new(cls, chance: random.Random, items: int = 0, hashes: int = 0) -> Self:
        """Make a registration of random hashes as a new case; 0 draws a number of them."""
        pictures = [
            tuple(
                Fingerprint(PdqHash(chance.randbytes(32)), 100, Profile.PDQ_512, plan, ordinal)
                for plan, ordinal in _VERSIONS[: hashes or chance.choice(_HASHES)]
            )
            for _ in range(items or chance.choice(_ITEMS))
        ]
        request = requests.register(
            [MediaItem(MediaKind.IMAGE, columns(picture)) for picture in pictures],
            request_id=chance.randbytes(16),
            opens=requests.access("", f"{chance.randrange(10**PIN_DIGITS):0{PIN_DIGITS}}"),
            age=AgeBand.ADULT,
        )
        return cls(
            request,
            [picture[0].hash for picture in pictures],
            [pack(columns(picture)) for picture in pictures],
        )

    @property
    def acknowledged(self) -> int:
        """Number of writes that the server has acknowledged."""
        return (self.receipt is not None) + (self.withdrawal is not None) + self.noted

    @property
    def item_ids(self) -> list[bytes]:
        """Ids of the items, in the order of the request, once acknowledged."""
        return [item.item_id for item in self.receipt.items] if self.receipt else []

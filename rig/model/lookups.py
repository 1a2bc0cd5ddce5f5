"""What lookups have to answer while cases come and go: a model of what was acknowledged."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disrupt.client import MatchClient
from disrupt.client.results import HashAnswer
from disrupt.services.cursors import SealedCursors
from rig.model.write import Write
from rig.servers import registries

_BATCH = 16
_FLIPPED_BITS = 4
_MAX_DISTANCE_BITS = 8
_CHECKED_AT_ONCE = 500


@dataclass(eq=False, slots=True)
class Record:
    """A registration, and the places in the registry that include it and its withdrawal."""

    write: Write
    present_from: int | None = None
    absent_from: int | None = None


class _Asked(NamedTuple):
    """A hash to look up: near the ``at``-th of a record, of the item of a number, or of nothing."""

    code: bytes
    what: Record | int | None
    at: int = 0


class Model:
    """Know what was acknowledged, and compare answers with it.

    A hash that is looked up has a registered one within 4 bits, or is new, and asks within 8. All
    hashes are random, and no two of a run are within 16 bits (the chance is below 1e-40). So the
    one that a question was made from is all that comparing with every hash would give.
    """

    def __init__(
        self, codes: NDArray[np.uint8], match_tokens: bytes, hashes_per_item: int = 1
    ) -> None:
        """``codes``, of shape (n, 32), are registered from the start as ``registries`` does it.

        ``match_tokens`` are the server's secret, with which cursors are sealed.
        """
        self.records: list[Record] = []
        self.problems: list[str] = []
        self.lookups = 0
        self._codes, self._hashes_per_item = codes, hashes_per_item
        self._cursors = SealedCursors(match_tokens)

    @property
    def acknowledged(self) -> int:
        """Number of writes that were acknowledged."""
        return sum(record.write.acknowledged for record in self.records.copy())

    def position(self) -> int:
        """Return a place in the registry that includes everything acknowledged."""
        places = [(each.present_from, each.absent_from) for each in self.records.copy()]
        return max((place for pair in places for place in pair if place), default=0)

    def sequence(self, cursor: str) -> int:
        """Return the place in the registry that a sealed cursor names."""
        return self._cursors.open(cursor).sequence

    def look_up(self, client: MatchClient, chance: random.Random) -> int:
        """Look some hashes up and check the answers; return the place that they include."""
        known = [record for record in self.records.copy() if record.present_from]
        drawn = chance.choices(known, k=_BATCH) if known else []
        asked = [_Asked(record.write.hashes[0].value, record) for record in drawn]
        if len(self._codes):
            at = chance.randrange(len(self._codes))
            asked.append(_Asked(self._codes[at].tobytes(), 1 + at // self._hashes_per_item))
        near = [each._replace(code=_near(each.code, chance)) for each in asked]
        new = _Asked(chance.randbytes(32), None)
        return self._ask(client, [*near, new], _MAX_DISTANCE_BITS)

    def look_all_up(self, client: MatchClient) -> None:
        """Look up, as it is, the first hash of every item that was ever registered."""
        asked = [
            _Asked(code.value, record, at)
            for record in self.records
            for at, code in enumerate(record.write.hashes)
        ]
        for first in range(0, len(asked), _CHECKED_AT_ONCE):
            self._ask(client, asked[first : first + _CHECKED_AT_ONCE], 0)

    def _ask(self, client: MatchClient, asked: list[_Asked], max_distance_bits: int) -> int:
        packed = b"".join(each.code for each in asked)
        batch = np.frombuffer(packed, np.uint8).reshape(-1, 32)
        answers = client.match_hashes(batch, max_distance_bits=max_distance_bits)
        for each, answer in zip(asked, answers, strict=True):
            self._check(each.what, each.at, answer)
        return min(self.sequence(answer.index_cursor) for answer in answers)

    def _check(self, what: Record | int | None, at: int, answer: HashAnswer) -> None:
        self.lookups += 1
        matched = {match.item_id for match in answer.matches}
        if isinstance(what, Record):
            own = {what.write.item_ids[at].hex()}
            sequence = self.sequence(answer.index_cursor)
            # read after the answer: a withdrawal that was sent may have taken effect
            if what.absent_from is not None and sequence >= what.absent_from:
                expected = [set[str]()]
            elif what.write.withdrawal_sent or sequence < (what.present_from or 0):
                expected = [set(), own]
            else:
                expected = [own]
        else:
            expected = [set() if what is None else {registries.item_id(what).hex()}]
        if matched not in expected:
            kind = "is missing" if matched < max(expected, key=len) else "should not be there"
            self.problems.append(f"wrong answer: a match {kind}")


def _near(code: bytes, chance: random.Random) -> bytes:
    number = int.from_bytes(code)
    for bit in chance.sample(range(256), chance.randint(0, _FLIPPED_BITS)):
        number ^= 1 << bit
    return number.to_bytes(32)

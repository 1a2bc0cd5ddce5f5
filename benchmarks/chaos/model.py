"""A model of the acknowledged writes, and the check of lookups against it."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.writes import Write
from disrupt.client.results import HashAnswer
from disrupt.core.outcomes import Outcome
from disrupt.data_directory import DataDirectory
from disrupt.registry.sql import SqlRegistry
from disrupt.services.cursors import SealedCursors

_FLIPPED_BITS = 4
"""Most bits in which a hash that is looked up differs from a registered one."""
MAX_DISTANCE_BITS = 8
_STRANGERS = 2
_PATIENCE_S = 60.0


@dataclass(eq=False, slots=True)
class Record:
    """A registration, and what came after it.

    ``present_from`` and ``absent_from`` are positions of the registry that include its registration
    and its end, read after each was acknowledged; None before. ``leaving`` is set before its
    withdrawal or its switching off is sent, so between the two a lookup may answer either way.
    """

    write: Write
    present_from: int | None = None
    leaving: bool = False
    absent_from: int | None = None
    is_disabled: bool = False
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A hash that is looked up, and what was known before; no record for one never registered."""

    record: Record | None
    at: int
    hash: bytes
    present_from: int | None
    absent_from: int | None


@dataclass
class Model:
    """All records of a run, and every promise that was broken."""

    data_dir: Path
    acknowledged: Counter[str] = field(default_factory=Counter)
    lookups: int = 0
    wrong_answers: int = 0
    lost: int = 0
    problems: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def problem(self, text: str) -> None:
        """Note what must not be."""
        with self._lock:
            self.problems.append(text)

    def acknowledge(self, kind: str) -> None:
        """Count a write of this kind that was acknowledged."""
        with self._lock:
            self.acknowledged[kind] += 1

    def wrong_answer(self, text: str) -> None:
        """Count a wrong answer, and note it."""
        with self._lock:
            self.wrong_answers += 1
        self.problem(f"wrong answer: {text}")

    def position(self) -> int:
        """Return the registry's last sequence number. Patient: a fault may keep it from reading."""
        give_up_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                with SqlRegistry.open_reader(self.data_dir / "registry.db") as reader:
                    return reader.head().sequence
            except Exception:
                if time.monotonic() > give_up_s:
                    raise
            time.sleep(0.1)

    def questions(self, chance: random.Random, count: int) -> list[_Asked]:
        """Draw hashes to look up: near registered and withdrawn ones, and some of neither."""
        known = [record for record in self.records.copy() if record.present_from is not None]
        asked = []
        for record in chance.choices(known, k=count) if known else ():
            at = chance.randrange(len(record.write.hashes))
            code = int.from_bytes(record.write.hashes[at].value)
            for bit in chance.sample(range(256), chance.randint(0, _FLIPPED_BITS)):
                code ^= 1 << bit
            ends = record.present_from, record.absent_from
            asked.append(_Asked(record, at, code.to_bytes(32), *ends))
        strangers = [_Asked(None, 0, chance.randbytes(32), None, None) for _ in range(_STRANGERS)]
        return [*asked, *strangers]

    def check(self, asked: Sequence[_Asked], answers: Sequence[HashAnswer]) -> None:
        """Compare answers with what is right in the state of the registry that they name.

        Random hashes are never as near to each other as MAX_DISTANCE_BITS, so brute force over all
        of them finds the one that a question was made from, and nothing else.
        """
        for question, answer in zip(asked, answers, strict=True):
            sequence = self.sequence(answer)
            matched = {match.item_id for match in answer.matches}
            wrong = self._wrong(question, matched, sequence)
            with self._lock:
                self.lookups += 1
            if wrong:
                self.wrong_answer(wrong)

    def all_questions(self) -> list[_Asked]:
        """Return the hashes of all records whose registration was acknowledged, as they are."""
        return [
            _Asked(record, at, code.value, record.present_from, record.absent_from)
            for record in self.records
            if record.present_from is not None
            for at, code in enumerate(record.write.hashes)
        ]

    def sequence(self, answer: HashAnswer) -> int:
        """Return the position of the registry that an answer includes."""
        return self._cursors.open(answer.index_cursor).sequence

    @cached_property
    def _cursors(self) -> SealedCursors:
        return SealedCursors(DataDirectory(self.data_dir).secrets().match_tokens)

    def _wrong(self, question: _Asked, matched: set[str], sequence: int) -> str:
        record = question.record
        own = record.write.item_ids[question.at].hex() if record else ""
        if matched - {own}:
            return "a hash matches an item that is not near it"
        if record is None:
            return ""
        if own in matched and question.absent_from is not None:
            return "what is gone matches" if sequence >= question.absent_from else ""
        # read after the answer: what left meanwhile may be missing
        if own not in matched and not record.leaving and question.present_from is not None:
            return "a match is missing" if sequence >= question.present_from else ""
        return ""

    def batch(self, asked: Sequence[_Asked]) -> NDArray[np.uint8]:
        """Return the hashes of questions, (n, 32) uint8."""
        packed = b"".join(question.hash for question in asked)
        return np.frombuffer(packed, np.uint8).reshape(-1, 32)

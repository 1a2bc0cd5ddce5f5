"""Receipts of withdrawals: what shows a person that it is logged, and that all copies are erased.

A receipt names the leaf of a withdrawal, and nothing else of it: who has it learns no case, no item
and no hash. It can be checked without a server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from disrupt.audit.entries import CLEARED, Leaf, LeafId
from disrupt.audit.notes import Verifier, opened
from disrupt.audit.tree import is_included
from disrupt.errors import ReceiptError


@dataclass(frozen=True, slots=True)
class Cleared:
    """What the log says of an erasure: the day, and of how many mirrors it is so.

    ``silent`` other organisations may hold a copy, and do not report of it.
    """

    day: str
    mirrors: int
    silent: int


@dataclass(frozen=True, slots=True)
class WithdrawalReceipt:
    """Proof that a checkpoint has the leaf of a withdrawal.

    ``cleared`` is the first leaf that says that all of it is erased, with its own proof; None while
    none does.
    """

    withdrawal: LeafId
    proof: tuple[bytes, ...]
    cleared: Leaf | None
    cleared_proof: tuple[bytes, ...]
    checkpoint: str

    @property
    def told(self) -> Cleared | None:
        """What the log says of the erasure; None while it says nothing. ReceiptError."""
        if self.cleared is None:
            return None
        match self.cleared.content:
            case {
                "kind": kind,
                "before": int(before),
                "day": str(day),
                "mirrors": int(mirrors),
                "silent": int(silent),
            } if kind == CLEARED and self.withdrawal.number < before:
                return Cleared(day, mirrors, silent)
        raise ReceiptError("What the receipt says of the erasure is not of this withdrawal.")

    def to_json(self) -> str:
        """Return it as a JSON object, as ``parse`` reads it."""
        return json.dumps(
            {
                "withdrawal": str(self.withdrawal),
                "proof": [node.hex() for node in self.proof],
                "cleared": self.cleared.line() if self.cleared else None,
                "cleared_proof": [node.hex() for node in self.cleared_proof],
                "checkpoint": self.checkpoint,
            }
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what ``to_json`` wrote. ReceiptError for anything else."""
        try:
            match json.loads(text):
                case {
                    "withdrawal": str(withdrawal),
                    "proof": list(proof),
                    "cleared": (str() | None) as cleared,
                    "cleared_proof": list(cleared_proof),
                    "checkpoint": str(checkpoint),
                }:
                    return cls(
                        LeafId.parse(withdrawal),
                        tuple(map(bytes.fromhex, proof)),
                        Leaf.parse(cleared) if cleared else None,
                        tuple(map(bytes.fromhex, cleared_proof)),
                        checkpoint,
                    )
        except (ValueError, TypeError, RecursionError) as error:
            raise ReceiptError(f"It is no receipt: {error}") from error
        raise ReceiptError("It is no receipt.")


def verify(receipt: WithdrawalReceipt, verifier: Verifier) -> Cleared | None:
    """Return what a receipt shows of the erasure; None where it shows the withdrawal alone.

    ReceiptError, or NoteError for its checkpoint, where it shows not even that.
    """
    checkpoint = opened(receipt.checkpoint, verifier)
    withdrawal = receipt.withdrawal
    size, root = checkpoint.size, checkpoint.root
    if not is_included(withdrawal.digest, withdrawal.number, size, receipt.proof, root):
        raise ReceiptError("The checkpoint does not have the withdrawal.")
    cleared = receipt.cleared
    if cleared is None:
        return None
    if not cleared.fits or not is_included(
        cleared.leaf, cleared.number, size, receipt.cleared_proof, root
    ):
        raise ReceiptError("The checkpoint does not have what the receipt says of the erasure.")
    return receipt.told

"""Keep the files of the audit log: a copy of new leaves, and signed checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from disrupt.audit import files
from disrupt.audit.entries import WITHDRAWAL, Leaf, LeafId, read
from disrupt.audit.files import ACCESS, AuditFiles
from disrupt.audit.notes import Checkpoint, opened
from disrupt.audit.receipts import WithdrawalReceipt
from disrupt.audit.verification import verify
from disrupt.core.acts import Action
from disrupt.data_directory import DataDirectory, write_private
from disrupt.errors import NotFoundError, NotSignedYetError
from disrupt.registry.registry import RegistryReader

_AT_ONCE = 1000
_OF_ACCESS = frozenset(
    {
        *(Action.KEY_ADDED, Action.KEY_CHANGED, Action.KEY_REVOKED),
        *(Action.QUOTA_SET, Action.PARTNER_SET, Action.BANK_ADDED, Action.BANK_CHANGED),
        *(Action.LIST_ADDED, Action.LIST_REMOVED),
    }
)
"""Acts after which somebody may do something else."""


class AuditCopy:
    """Copies what a registry adds to its log. One process at a time."""

    def __init__(
        self, registry: RegistryReader, directory: DataDirectory, name: str | None = None
    ) -> None:
        """Go on with the files of a log; without a ``name`` it has that of its key.

        DataDirectoryError where the files are damaged, or not of this registry: an older copy has
        taken its place, and they prove what it had.
        """
        self._registry = registry
        self._access = directory.audit / ACCESS
        self._key = Ed25519PrivateKey.from_private_bytes(directory.secrets().audit_seed)
        self._name = name or files.name_of(self._key)
        self._files = AuditFiles(directory.audit)
        self._access_due = True
        newest = self._files.newest
        stored = registry.leaves(newest.number, 1) if newest else ()
        if newest and [leaf.leaf for leaf in stored] != [newest.leaf]:
            raise files.foreign(directory.audit)

    def copy(self) -> None:
        """Copy what is new, and who may do what where that has changed."""
        while leaves := self._registry.leaves(self._files.size, _AT_ONCE):
            self._files.add(leaves)
            self._access_due |= any(leaf.content.get("action") in _OF_ACCESS for leaf in leaves)
        if self._access_due:
            write_private(self._access, json.dumps(self._registry.access()))
            self._access_due = False

    def sign(self) -> Checkpoint:
        """Sign a checkpoint of what was copied."""
        return self._files.sign(self._key, self._name)

    def receipt(self, withdrawal: LeafId) -> WithdrawalReceipt:
        """Return the receipt of a withdrawal. NotFoundError where the log has no such one.

        NotSignedYetError while no checkpoint has it: it will be in the next one.
        """
        size, note = self._files.signed
        number = withdrawal.number
        leaf = next(iter(self._registry.leaves(number, 1)), None)
        if (
            leaf is None
            or (leaf.number, leaf.leaf) != (number, withdrawal.digest)
            or leaf.content.get("kind") != WITHDRAWAL
        ):
            raise NotFoundError("There is no such receipt.")
        if number >= size:
            raise NotSignedYetError("The withdrawal is in no checkpoint yet: ask in an hour.")
        at = self._files.cleared(number, size)
        cleared = None if at is None else self._registry.leaves(at, 1)[0]
        return WithdrawalReceipt(
            withdrawal,
            tuple(self._files.proof(number, size, self._leaves)),
            cleared,
            () if at is None else tuple(self._files.proof(at, size, self._leaves)),
            note,
        )

    def _leaves(self, first: int, last: int) -> list[bytes]:
        return [leaf.leaf for leaf in self._registry.leaves(first, last - first)]


def doubts(registry: RegistryReader, directory: DataDirectory) -> list[str]:
    """Return what in a registry is not as its audit log, the log's copy or checkpoints have it.

    DataDirectoryError where the copy or a checkpoint cannot be read, or is not of this registry.
    """
    paths = sorted((directory.audit / files.CHECKPOINTS).glob("*"))
    signing = Ed25519PrivateKey.from_private_bytes(directory.secrets().audit_seed)
    checkpoints = [
        opened(note, files.verifier_of(signing, note.partition("\n")[0]))
        for note in files.checkpoints(paths)
    ]
    verified = verify(_every_leaf(registry), checkpoints)
    said = [
        f"{finding.fault}: leaves {finding.first}-{max(finding.first, finding.last - 1)}"
        for finding in verified.findings
    ]
    if verified.erased:
        said.append(f"{verified.erased} entries were erased, and no command does that")
    copy = directory.audit / files.LEAVES
    copied = 0
    lines = read(copy) if copy.exists() else iter(())
    while leaves := list(islice(lines, _AT_ONCE)):  # read before the database, which is ahead
        if list(registry.leaves(leaves[0].number, len(leaves))) != leaves:
            said.append(f"{copy} and the database differ among the {_AT_ONCE} leaves from {copied}")
            break
        copied += len(leaves)
    else:
        signed = max((checkpoint.size for checkpoint in checkpoints), default=0)
        if copied < signed:
            said.append(f"{copy} has {copied} leaves of the {signed} that a checkpoint has")
    acts, lone = registry.acts_unlike_log()
    said += [f"act {number} is in no leaf as it is" for number in acts]
    said += [f"the act that leaf {number} tells of is gone or was changed" for number in lone]
    return said


def _every_leaf(registry: RegistryReader) -> Iterator[Leaf]:
    first = 0
    while leaves := registry.leaves(first, _AT_ONCE):
        yield from leaves
        first = leaves[-1].number + 1

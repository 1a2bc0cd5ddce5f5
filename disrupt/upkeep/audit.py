"""Keep the files of the audit log: a copy of new leaves, and signed checkpoints."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from disrupt.audit import files
from disrupt.audit.files import ACCESS, AuditFiles
from disrupt.audit.notes import Checkpoint
from disrupt.core.acts import Action
from disrupt.data_directory import DataDirectory, write_private
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

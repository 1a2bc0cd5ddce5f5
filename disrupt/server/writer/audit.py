"""Keep the audit log's files: a copy of new leaves each second, and a signed checkpoint an hour."""

from __future__ import annotations

import json
import time

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from disrupt.audit import files
from disrupt.audit.files import ACCESS, AuditFiles
from disrupt.core.acts import Action
from disrupt.data_directory import DataDirectory, write_private
from disrupt.errors import DisruptError
from disrupt.registry.registry import RegistryWriter
from disrupt.server.edge.pool import Pool

COPY_S = 1.0
SIGN_S = 3600.0
_AT_ONCE = 1000
_OF_ACCESS = frozenset(
    {
        *(Action.KEY_ADDED, Action.KEY_CHANGED, Action.KEY_REVOKED),
        *(Action.QUOTA_SET, Action.PARTNER_SET, Action.BANK_ADDED, Action.BANK_CHANGED),
        *(Action.LIST_ADDED, Action.LIST_REMOVED),
    }
)
"""Acts after which somebody may do something else."""

_log = structlog.get_logger(__name__)


class AuditKeeper:
    """Copies what the registry adds to its log. What fails is tried again, and nothing waits."""

    def __init__(
        self, registry: RegistryWriter, directory: DataDirectory, pool: Pool, name: str
    ) -> None:
        """Keep the log of a name; empty: that of its key."""
        self._registry = registry
        self._directory = directory
        self._pool = pool
        self._key = Ed25519PrivateKey.from_private_bytes(directory.secrets().audit_seed)
        self._name = name or files.name_of(self._key)
        self._files: AuditFiles | None = None
        self._sign_at_s = time.monotonic()
        self._failure = ""
        self._access_due = True

    async def step(self) -> None:
        """Copy what is new, and sign where it is time."""
        try:
            await self._pool.run(self.copy)
        except DisruptError as error:
            if error.message != self._failure:
                _log.error("audit_log_not_copied", text=error.message)
            self._failure = error.message
        else:
            self._failure = ""

    def copy(self) -> None:
        """Do it now. Raises DataDirectoryError where the files are not those of the registry."""
        if self._files is None:
            self._files = AuditFiles(self._directory.audit)
            self._check(self._files)
        while leaves := self._registry.leaves(self._files.size, _AT_ONCE):
            self._files.add(leaves)
            self._access_due |= any(leaf.content.get("action") in _OF_ACCESS for leaf in leaves)
        if self._access_due:
            write_private(self._directory.audit / ACCESS, json.dumps(self._registry.access()))
            self._access_due = False
        if time.monotonic() >= self._sign_at_s:
            self._files.sign(self._key, self._name)
            self._sign_at_s = time.monotonic() + SIGN_S

    def _check(self, kept: AuditFiles) -> None:
        """Compare the newest leaf of the files with the registry's."""
        newest = kept.newest
        if newest is None:
            return
        stored = self._registry.leaves(newest.number, 1)
        if [leaf.leaf for leaf in stored] != [newest.leaf]:
            self._files = None
            raise files.foreign(self._directory.audit)

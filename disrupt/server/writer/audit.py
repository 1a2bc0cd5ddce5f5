"""Keep the audit log's files: a copy of new leaves each second, and a signed checkpoint an hour."""

from __future__ import annotations

import time

import structlog

from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError
from disrupt.registry.registry import RegistryWriter
from disrupt.server.edge.pool import Pool
from disrupt.upkeep.audit import AuditCopy

COPY_S = 1.0
_SIGN_S = 3600.0

_log = structlog.get_logger(__name__)


class AuditKeeper:
    """Keeps the files up to date. What fails is tried again, and nothing waits for it."""

    def __init__(
        self, registry: RegistryWriter, directory: DataDirectory, pool: Pool, name: str | None
    ) -> None:
        """Keep the log of a name, see ``AuditCopy``."""
        self._registry = registry
        self._directory = directory
        self._pool = pool
        self._name = name
        self._copy: AuditCopy | None = None
        self._sign_at_s = time.monotonic()
        self._failure = ""

    async def step(self) -> None:
        """Copy what is new, and sign where it is time."""
        try:
            await self._pool.run(self._step)
        except (DisruptError, OSError) as error:
            if str(error) != self._failure:
                _log.error("audit_log_not_copied", text=str(error))
            self._failure = str(error)
        else:
            self._failure = ""

    def _step(self) -> None:
        if self._copy is None:
            self._copy = AuditCopy(self._registry, self._directory, self._name)
        self._copy.copy()
        if time.monotonic() >= self._sign_at_s:
            self._copy.sign()
            self._sign_at_s = time.monotonic() + _SIGN_S

"""Keep the audit log's files: a copy of new leaves each second, and a signed checkpoint an hour."""

from __future__ import annotations

import time

import structlog

from disrupt.audit.entries import LeafId
from disrupt.audit.receipts import WithdrawalReceipt
from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError, UnavailableError
from disrupt.registry.registry import RegistryWriter
from disrupt.server.config import Config
from disrupt.server.edge.pool import Pool
from disrupt.server.writer.clearing import Clearing
from disrupt.upkeep.audit import AuditCopy

COPY_S = 1.0
_SIGN_S = 3600.0

_log = structlog.get_logger(__name__)


class AuditKeeper:
    """Keeps the files up to date. What fails is tried again, and nothing waits for it."""

    def __init__(
        self, config: Config, registry: RegistryWriter, directory: DataDirectory, pool: Pool
    ) -> None:
        self._registry = registry
        self._directory = directory
        self._pool = pool
        self._name = config.audit_name
        self._clearing = Clearing(config, registry, directory, pool)
        self._copy: AuditCopy | None = None
        self._sign_at_s = time.monotonic()
        self._failure = ""

    async def step(self) -> None:
        """Copy what is new; where it is time, note what is erased, and sign."""
        try:
            if self._copy is None:
                self._copy = await self._pool.run(self._open)
            await self._pool.run(self._copy.copy)
            if time.monotonic() >= self._sign_at_s:
                await self._clearing.step()
                await self._pool.run(self._sign, self._copy)
        except (DisruptError, OSError) as error:
            if str(error) != self._failure:
                _log.error("audit_log_not_copied", text=str(error))
            self._failure = str(error)
        else:
            self._failure = ""

    def receipt(self, withdrawal: LeafId) -> WithdrawalReceipt:
        """Return the receipt of a withdrawal, as ``AuditCopy`` does."""
        if self._copy is None:
            raise UnavailableError("The audit log is not ready.")
        return self._copy.receipt(withdrawal)

    def _open(self) -> AuditCopy:
        return AuditCopy(self._registry, self._directory, self._name)

    def _sign(self, copy: AuditCopy) -> None:
        copy.copy()
        copy.sign()
        self._sign_at_s = time.monotonic() + _SIGN_S

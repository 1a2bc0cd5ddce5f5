"""A process of the server: the supervisor runs ``python -m disrupt.server ROLE PARENT CONFIG``."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

import structlog
import uvloop

from disrupt.errors import DisruptError
from disrupt.server import housekeeping, logs, worker, writer
from disrupt.server.config import Config

_PR_SET_PDEATHSIG = 1
_ROLES = {"worker": worker.run, "writer": writer.run, "housekeeping": housekeeping.run}


def main() -> int:
    """Serve until told to stop; the exit code."""
    role, parent, config = sys.argv[1:]
    _die_with(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor tells when to stop
    logs.configure(role)
    try:
        uvloop.run(_ROLES[role](Config.model_validate_json(config)))
    except DisruptError as error:
        structlog.get_logger(__name__).error("start_failed", reason=error.message)
        return 1
    return 0


def _die_with(parent: int) -> None:
    """Has the kernel kill this process when the supervisor dies, however it dies."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")


sys.exit(main())

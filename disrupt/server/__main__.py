"""Run the server, as ``disrupt serve`` does: ``python -m disrupt.server OPTIONS``, in JSON.

A second argument is the handover of the program before it; ``--trial`` only tries whether it could
be taken.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from pathlib import Path

import structlog

from disrupt import logs
from disrupt.errors import ConfigurationError, DisruptError

_log = structlog.get_logger(__name__)


def main() -> int:
    """Serve until stopped, or try a handover; return the exit code."""
    for stream in ("stdin", "stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started it
            # so that no file of the data directory takes its descriptor
            setattr(sys, stream, Path(os.devnull).open("r+"))  # noqa: SIM115 until the end
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it has a loop, which logs it
    logs.configure("supervisor")
    gc.disable()  # until the first fork: modules are loaded a sixth quicker, and leave no garbage
    from disrupt.server.config import Config  # noqa: PLC0415
    from disrupt.server.supervisor.handover import TRIAL, taken  # noqa: PLC0415
    from disrupt.server.supervisor.process import serve  # noqa: PLC0415
    from disrupt.server.supervisor.trial import check  # noqa: PLC0415

    try:
        options, *rest = sys.argv[1:]
        given = json.loads(options)
        file = given.pop("file", None)
        registry = os.environ.get("DISRUPT_REGISTRY")
        config = Config.load(file and Path(file), registry=registry, **given)
        handover = taken(rest[0]) if rest else None
        if handover and TRIAL in rest:
            check(config, handover)
        else:
            serve(config, _announce, handover)
    except DisruptError as error:
        sys.stderr.write(f"Error: {error.message}\n")
        return 2 if isinstance(error, ConfigurationError) else 1
    except KeyboardInterrupt:  # while it still loads
        return 1
    return 0


def _announce(address: str) -> None:
    try:
        # unbuffered: what stays in a buffer would fail once more when the process ends
        os.write(sys.stdout.fileno(), f"Disrupt is ready on {address}\n".encode())
    except OSError as error:  # a full disk, say: it serves nevertheless
        _log.warning("not_announced", address=address, reason=error.strerror)


sys.exit(main())

"""Run the server, as ``disrupt serve`` does: ``python -m disrupt.server CONFIG COMMAND``.

COMMAND is what this interpreter was started with, to be executed again on SIGHUP. Where it is
`--check`, only say whether the server could begin.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import structlog

from disrupt import logs
from disrupt.errors import ConfigurationError, DisruptError
from disrupt.server.commands.printing import echo
from disrupt.server.config import Config
from disrupt.server.processes.supervisor import check, serve

_log = structlog.get_logger(__name__)


def main() -> int:
    """Serve until stopped; return the exit code."""
    for stream in ("stdin", "stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started it
            # so that no file of the data directory takes its descriptor
            setattr(sys, stream, Path(os.devnull).open("r+"))  # noqa: SIM115 until the end
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it has a loop, which logs it
    logs.configure("supervisor")
    config, command = Config.model_validate_json(sys.argv[1]), sys.argv[2:]
    try:
        if command == ["--check"]:
            check(config)
        else:
            serve(config, _announce, command)
    except DisruptError as error:
        sys.stderr.write(f"Error: {error.message}\n")
        return 2 if isinstance(error, ConfigurationError) else 1
    except KeyboardInterrupt:  # while it still loads
        return 1
    return 0


def _announce(address: str, client_address: str | None, metrics_address: str | None) -> None:
    try:
        echo(f"Disrupt is ready on {address}")
        if client_address is not None:
            echo(f"With client certificates on {client_address}")
        if metrics_address is not None:
            echo(f"Metrics on http://{metrics_address}/metrics")
    except OSError as error:  # a full disk, say: it serves nevertheless
        _log.warning("not_announced", address=address, reason=error.strerror)


sys.exit(main())

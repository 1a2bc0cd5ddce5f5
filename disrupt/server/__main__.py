"""Run the server, as ``disrupt serve`` does: ``python -m disrupt.server CONFIG``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from disrupt import logs
from disrupt.errors import ConfigurationError, DisruptError
from disrupt.server.config import Config
from disrupt.server.processes.supervisor import serve


def main() -> int:
    """Serve until stopped; return the exit code."""
    if sys.stdout is None:  # closed by whoever started it
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 open to the end
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it has a loop, which logs it
    logs.configure("supervisor")
    try:
        serve(Config.model_validate_json(sys.argv[1]), _announce)
    except DisruptError as error:
        sys.stderr.write(f"Error: {error.message}\n")
        return 2 if isinstance(error, ConfigurationError) else 1
    except KeyboardInterrupt:  # while it still loads
        return 1
    return 0


def _announce(address: str) -> None:
    sys.stdout.write(f"Disrupt is ready on {address}\n")
    sys.stdout.flush()


sys.exit(main())

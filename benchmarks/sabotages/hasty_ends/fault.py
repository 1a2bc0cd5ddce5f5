"""Kill the processes of before a reload at once, with the calls that they have."""

from __future__ import annotations

import signal

from disrupt.server.processes.forking import Forked
from disrupt.server.processes.supervisor import _Supervisor

_end = _Supervisor._end


async def _killed(self: _Supervisor, role: str, process: Forked | None) -> None:
    if process is not None:
        process.kill(signal.SIGKILL)
    await _end(self, role, process)


_Supervisor._end = _killed  # type: ignore[method-assign]

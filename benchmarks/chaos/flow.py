"""Look hashes up in one flow that never ends, to be cut off or stopped in the middle of it."""

from __future__ import annotations

import secrets
import sys
import time
from contextlib import suppress

from disrupt.client import MatchClient
from disrupt.errors import DisruptError


def main(address: str, key: str) -> None:
    """Ask until this process is killed."""
    with MatchClient(address, key=key, connections=1) as client:
        while True:
            with suppress(DisruptError):
                for _ in client.stream_hashes(secrets.token_bytes(32 * 64) for _ in range(1000)):
                    time.sleep(0.01)
            time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])

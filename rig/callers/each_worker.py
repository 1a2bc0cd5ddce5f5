"""Reach each worker of a running server, over a connection of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from disrupt.client import MatchClient
from rig.processes.running import connections, processes
from rig.servers.deployment import Deployment

_CONNECTIONS_MAX = 64


@contextlib.contextmanager
def client_of_each_worker(server: Deployment, key: str) -> Iterator[dict[int, MatchClient]]:
    """Open a client of one connection to each of the workers; yield them by process id.

    The kernel chooses the worker of a new connection, so connections are opened until each has one.
    """
    with contextlib.ExitStack() as stack:
        clients: dict[int, MatchClient] = {}
        workers = processes(server.process.pid, "worker")
        seen = {worker: connections(worker).keys() for worker in workers}
        for _ in range(_CONNECTIONS_MAX):
            client = MatchClient(server.address, key=key, connections=1)
            stack.enter_context(client)
            client.index_status()
            now = {worker: connections(worker).keys() for worker in workers}
            for worker in workers:
                if now[worker] - seen[worker]:
                    clients.setdefault(worker, client)
            seen = now
            if workers and len(clients) == len(workers):
                yield clients
                return
        raise RuntimeError(f"{_CONNECTIONS_MAX} connections did not reach every worker")

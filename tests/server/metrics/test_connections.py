"""Nobody who holds connections of the monitor keeps others from reading metrics."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from disrupt.server.config import Config
from disrupt.server.metrics import families
from disrupt.server.processes import monitor

_LIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_BEGUN = b"GET /metrics HTTP/1.1\r\nHost: "


async def held(most: int) -> tuple[bytes, list[bytes]]:
    """Hold ``most`` connections; return what another caller reads, and how each of them ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        figures, config = families.figures_of(1), Config(data_dir=Path())
        serving = asyncio.create_task(
            monitor._serve(config, figures, CollectorRegistry(), listener)
        )
        streams = [await asyncio.open_connection(*address) for _ in range(most)]
        for _, writer in streams[::2]:
            writer.write(_BEGUN)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(_LIVE)
        answer = await reader.read()
        ends = [await _end(each) for each, _ in streams]
        for _, each in [*streams, (reader, writer)]:
            each.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return answer, ends


async def _end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


def test_who_holds_connections_keeps_nobody_out_and_loses_them_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor, "_HEADERS_S", 1.0)
    monkeypatch.setattr(monitor, "say", lambda _: None)
    answer, ends = asyncio.run(asyncio.wait_for(held(3 * monitor._CONNECTIONS_MAX), 60))
    assert answer.endswith(b"\r\n\r\nlive\n")
    assert set(ends) == {b""}

"""Connections are looked up by peer without looking through all of them at everybody's will."""

from __future__ import annotations

import time

import pytest

from disrupt.server.admission import sockets


def test_peers_that_are_not_known_make_it_look_through_all_but_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0

    def connected() -> dict[tuple[str, int], int]:
        nonlocal looks
        looks += 1
        time.sleep(0.05)  # as with thousands of connections
        return {}

    monkeypatch.setattr(sockets, "_connected", connected)
    known = sockets.Sockets()
    began_s = time.monotonic()
    assert {known.received_bytes(f"ipv4:10.0.0.1:{port}") for port in range(1000, 1100)} == {None}
    assert looks <= 1 + (time.monotonic() - began_s)

"""What is on loopback is asked by address, so that no web page reads it by a name of its own."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from disrupt.server.metrics.site import site


def status(host: str | None, *, has_name: bool) -> int:
    """Return the status of what is answered to a request for a host."""
    statuses = list[int]()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/metrics",
        "root_path": "",
        "query_string": b"",
    }
    application = site(CollectorRegistry(), list, has_name=has_name)
    headers = [] if host is None else [(b"host", host.encode())]
    asyncio.run(application(scope | {"headers": headers}, receive, send))
    (only,) = statuses
    return only


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9464", "127.0.0.1:9464", "[::1]:9464", "[::1]", "10.1.2.3"]
)
def test_an_address_is_answered(host: str) -> None:
    assert status(host, has_name=False) == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:9464",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "[::1",
        "1",
    ],
)
def test_a_name_is_answered_only_where_there_is_one(host: str) -> None:
    assert status(host, has_name=False) == 421
    assert status(host, has_name=True) == 200


def test_a_check_that_names_no_host_is_answered() -> None:
    assert status(None, has_name=False) == 200

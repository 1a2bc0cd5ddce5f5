"""Of connections that keep too many calls, those of whoever has most are shut down."""

from __future__ import annotations

import asyncio

import pytest

from disrupt.server.admission.limits import UNADMITTED_CALLS_MAX
from disrupt.server.admission.unadmitted import Unadmitted


async def _shut_by(*crowds: list[str]) -> list[str]:
    """Hold the calls of one crowd after another; return the peers that were shut down."""
    shut: list[str] = []
    unadmitted = Unadmitted(shut.extend)

    async def call(peer: str, end: asyncio.Event) -> None:
        unadmitted.add(peer)
        await end.wait()

    for crowd in crowds:
        end = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for peer in crowd:
                group.create_task(call(peer, end))
            await asyncio.sleep(0)
            end.set()
    return shut


def test_of_equal_connections_the_newest_end_but_not_the_last() -> None:
    peers = [f"ipv4:10.0.{at // 256}.{at % 256}:1000" for at in range(UNADMITTED_CALLS_MAX)]
    shut = asyncio.run(_shut_by([*peers, "ipv4:10.9.9.9:1000"]))
    assert shut == peers[: UNADMITTED_CALLS_MAX // 2 - 2 : -1]


@pytest.mark.slow
def test_the_connections_of_whoever_has_most_untaken_answers_end() -> None:
    few = [f"ipv4:10.0.0.{at}:1000" for at in range(10)]
    most = [f"ipv4:10.9.9.9:{at % 8}" for at in range(UNADMITTED_CALLS_MAX)]
    # calls that end make room for as many
    later = [f"ipv4:10.8.8.8:{at}" for at in range(UNADMITTED_CALLS_MAX)]
    shut = asyncio.run(_shut_by([*few, *most], later, later))
    assert shut
    assert all(peer.startswith("ipv4:10.9.9.9:") for peer in shut)

"""What workers count of lookups is in the tallies once they have stopped, whoever else died."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable

import grpc
import pytest

from disrupt.admin.v1 import admin_pb2
from disrupt.client.review import ReviewClient
from disrupt.core.outcomes import MatchOutcome
from disrupt.core.policy import TEST_BANK
from disrupt.core.tallies import MONTHLY, Tally
from disrupt.errors import PermissionDeniedError
from disrupt.registry import sqlite
from disrupt.server.desk import open_desk
from disrupt.v1 import match_pb2, registration_pb2
from rig.callers.acts import match_id, registered, report
from rig.callers.caller import Caller, calling, distinctive, lookup, register
from rig.processes.metrics import samples
from rig.processes.running import processes
from rig.servers.deployment import Deployment
from rig.waiting import eventually

DAYS = ("0001-01-01", "9999-12-31")


def platform_series(server: Deployment, name: str) -> dict[str, float]:
    """Return the values of a metric of the platform, by outcome, if it has that label."""
    labelled = samples(server.metrics_address(), name, organisation="platform")
    return {each.labels.get("outcome", ""): each.value for each in labelled if each.name == name}


def test_uploads_and_outcomes_count_once_over_lost_writers_and_a_stop(
    start: Callable[..., Deployment],
) -> None:
    server = start()
    with open_desk(server.data_dir) as desk:
        desk.CreateBank(admin_pb2.CreateBankRequest(name=TEST_BANK))
    names = {"helpline": "register", "platform": "match"}
    keys = {name: server.make_key(name, right) for name, right in names.items()}
    nothing = dict.fromkeys((outcome.name.lower() for outcome in MatchOutcome), 0.0)
    eventually(lambda: platform_series(server, "disrupt_outcomes_total") == nothing)
    assert platform_series(server, "disrupt_uploads_matched_total") == {"": 0.0}
    value = distinctive()
    with (
        calling(server.address, keys["helpline"]) as helpline,
        calling(server.address, keys["platform"]) as platform,
    ):
        registered(helpline, value)
        own = match_id(platform, value)

        def blocks() -> bool:
            report(platform, own, match_pb2.OUTCOME_BLOCKED)
            return True

        (writer,) = processes(server.process.pid, "writer")
        os.kill(writer, signal.SIGKILL)
        hashes = value + distinctive() + value
        for _ in range(5):
            platform("MatchHashes", match_pb2.MatchHashesRequest(hashes=hashes, uploads=1))
        platform("MatchHashes", match_pb2.MatchHashesRequest(hashes=hashes))
        platform("MatchHashes", lookup(distinctive(), banks=[TEST_BANK]))
        for _ in range(2):
            eventually(blocks, passing=(grpc.RpcError,))
    seen = {
        name: int(platform_series(server, f"disrupt_uploads_{name}_total")[""])
        for name in ("looked_up", "matched")
    }
    blocked = platform_series(server, "disrupt_outcomes_total")["blocked"]
    assert server.stop() == 0
    counts = Counter[Tally]()
    with sqlite.open_reader(server.data_dir / "registry.db") as reader:
        for each in reader.tallies(*DAYS, limit=1000):
            counts[each.tally] += each.count
            if each.tally == Tally.UPLOADS_MATCHED:
                assert each.labels[:3] == ("platform", "adults", "0-15")
    assert counts[Tally.UPLOADS_LOOKED_UP] == seen["looked_up"] >= 5 + 3
    assert counts[Tally.UPLOADS_MATCHED] == seen["matched"] >= 5 + 2
    assert counts[Tally.OUTCOMES] == blocked == 1


def test_staff_list_tallies_with_months_rounded_if_their_key_sees_all_banks(
    server: Deployment, helpline: Caller
) -> None:
    request = register(distinctive())
    request.context.door = registration_pb2.DOOR_PAGE
    request.context.language = "no language of the page"
    helpline("RegisterHashes", request)
    key = server.make_key("all banks", "review")
    with ReviewClient(server.address, key=key) as client:
        rows = [*client.list_tallies(*DAYS)]
    with sqlite.open_reader(server.data_dir / "registry.db") as reader:
        counts = reader.tallies(*DAYS, limit=10_000)
    exact = {(each.day, each.tally, each.labels): each.count for each in counts}
    assert sum(exact[day, tally, of] for day, tally, of in exact if of == ("other",)) >= 1
    for row in rows:
        count = exact[row.day, Tally(row.tally), row.labels]
        if row.tally in MONTHLY:
            assert row.count % 5 == 0
            assert abs(row.count - count) <= 2
        else:
            assert row.count <= count
    with (
        ReviewClient(
            server.address, key=server.make_key("one bank", "review", banks=("adults",))
        ) as client,
        pytest.raises(PermissionDeniedError),
    ):
        next(client.list_tallies(*DAYS))

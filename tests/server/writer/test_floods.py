"""Who floods the list gets little of it live, and keeps nobody of the same network out."""

from __future__ import annotations

import secrets

from disrupt.core.media import ITEM_ID_BYTES
from disrupt.v1 import registration_pb2
from rig.callers.caller import Caller, calling, lookup, register
from rig.processes.metrics import samples
from rig.servers.deployment import Start
from rig.waiting import eventually

LIVE = 200
SETTINGS = f"""live_pictures_per_origin = {LIVE}
live_pictures_per_key = {LIVE}
turns_per_h = 60
"""
ITEMS = 64
LIVE_NOW = registration_pb2.WAIT_REASON_UNSPECIFIED
LIMIT = registration_pb2.WAIT_REASON_LIMIT


def matching(platform: Caller, hashes: list[bytes]) -> int:
    """Return how many of these unrelated hashes match."""
    answer = platform("MatchHashes", lookup(*hashes))
    return len(answer.matches.item_ids) // ITEM_ID_BYTES


def registered(
    caller: Caller, origin: bytes, *hashes: bytes, wider: tuple[bytes, ...] = (), case: str = ""
) -> registration_pb2.Receipt:
    """Register pictures from a network."""
    request = register(*hashes, case=case)
    request.context.access.origin_token = origin
    request.context.access.wider_origin_tokens.extend(wider)
    receipt: registration_pb2.Receipt = caller("RegisterHashes", request).receipt
    return receipt


def waits(caller: Caller, origin: bytes, *hashes: bytes, wider: tuple[bytes, ...] = ()) -> bool:
    """Register pictures from a network; tell whether the last one of them waits."""
    reason = registered(caller, origin, *hashes, wider=wider).items[-1].wait_reason
    assert reason in {LIVE_NOW, LIMIT}
    return reason == LIMIT


def unrelated(count: int) -> list[bytes]:
    return [secrets.token_bytes(32) for _ in range(count)]


def test_a_flood_of_one_network_is_live_in_part_and_its_neighbour_is_next(start: Start) -> None:
    server = start(settings=SETTINGS, workers=1)
    page, platform = server.make_key("page", "register"), server.make_key("platform", "match")
    with calling(server.address, page) as caller, calling(server.address, platform) as other:
        hashes = unrelated(15 * ITEMS)
        reasons, case = list[int](), ""
        for at in range(0, len(hashes), ITEMS):
            receipt = registered(caller, b"school", *hashes[at : at + ITEMS], case=case)
            reasons += [item.wait_reason for item in receipt.items]
            case = receipt.case_number
        assert reasons == [LIVE_NOW] * LIVE + [LIMIT] * (len(hashes) - LIVE)
        eventually(lambda: matching(other, hashes) >= LIVE)
        own = secrets.token_bytes(32)
        assert waits(caller, b"school", own)
        assert not waits(caller, b"home", secrets.token_bytes(32))
        eventually(lambda: matching(other, [own]) == 1)
        assert matching(other, hashes) < LIVE + 5
        counted = samples(server.metrics_address(), "disrupt_registered_hashes")
        assert {sample.labels["of"]: sample.value for sample in counted} == {
            "case": len(hashes),
            "origin": len(hashes) + 1,
            "all": len(hashes) + 2,
        }


def test_a_wider_network_and_a_key_that_names_none_are_bounded_and_get_a_challenge(
    start: Start,
) -> None:
    server = start(settings=SETTINGS, workers=1)
    with calling(server.address, server.make_key("page", "register")) as caller:
        parts = 4 * LIVE // ITEMS
        for network in range(parts + 1):
            wider = (bytes([97 + network // 4]), b"48")
            pictures = unrelated(ITEMS)
            waiting = waits(caller, bytes([65 + network]), *pictures, wider=wider)
            assert waiting == (network == parts)
        assert not waits(caller, b"Z", *unrelated(ITEMS), wider=(b"z", b"elsewhere"))
        assert [waits(caller, b"", *unrelated(ITEMS)) for _ in range(4)] == [False] * 3 + [True]
        for origin, is_bounded in ((b"", True), (b"elsewhere", False)):
            request = registration_pb2.GetChallengeRequest(origin_token=origin)
            assert bool(caller("GetChallenge", request).challenge) == is_bounded

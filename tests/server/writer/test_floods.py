"""Who floods the list gets little of it live, and keeps nobody of the same network out."""

from __future__ import annotations

import secrets
from urllib.request import urlopen

import grpc

from disrupt.core.media import ITEM_ID_BYTES
from disrupt.v1 import registration_pb2, types_pb2
from rig.callers.caller import Caller, calling, lookup, refusal, register
from rig.servers.deployment import Deployment, Start
from rig.waiting import eventually

LIVE = 200
SETTINGS = f"""live_pictures_per_origin = {LIVE}
live_pictures_per_key = {LIVE}
turns_per_h = 3600
"""
ITEMS = 64
Waits = registration_pb2.WaitReason
Registered = registration_pb2.RegisterHashesResponse


def at(request: registration_pb2.RegisterHashesRequest, origin: bytes) -> None:
    request.context.access.origin_token = origin


def matching(platform: Caller, hashes: list[bytes]) -> int:
    """Return how many of these unrelated hashes match."""
    answer = platform("MatchHashes", lookup(*hashes))
    return len(answer.matches.item_ids) // ITEM_ID_BYTES


def flood(helpline: Caller, origin: bytes, calls: int) -> tuple[list[bytes], list[Registered]]:
    """Register unrelated pictures as one case; return their hashes, and the answers."""
    hashes, answers, case = list[bytes](), list[Registered](), ""
    for _ in range(calls):
        some = [secrets.token_bytes(32) for _ in range(ITEMS)]
        asked = register(*some, case=case)
        at(asked, origin)
        answers.append(helpline("RegisterHashes", asked))
        case = answers[-1].receipt.case_number
        hashes += some
    return hashes, answers


def keys(server: Deployment) -> tuple[str, str]:
    return server.make_key("page", "register"), server.make_key("platform", "match")


def test_a_picture_of_many_unrelated_hashes_is_refused_and_nothing_of_it_is_live(
    start: Start,
) -> None:
    server = start(settings=SETTINGS, workers=1)
    page, platform = keys(server)
    asked = register(*(secrets.token_bytes(32 * 1000) for _ in range(ITEMS)))
    for item in asked.items:
        item.fingerprints.qualities = bytes([100]) * 1000
    with calling(server.address, page) as caller, calling(server.address, platform) as other:
        refused = refusal(lambda: caller("RegisterHashes", asked))
        assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
        assert refused.fields == ("items[0].fingerprints",)
        assert matching(other, [asked.items[0].fingerprints.hashes[:32]]) == 0
        asked.items[0].kind = types_pb2.MEDIA_KIND_VIDEO
        asked.items[0].fingerprints.start_ms.extend([0] * 1000)
        asked.items[0].fingerprints.end_ms.extend([3_600_000] * 1000)
        del asked.items[1:]
        assert refusal(lambda: caller("RegisterHashes", asked)).fields == ("items[0].fingerprints",)


def test_a_flood_of_one_network_is_live_in_part_and_its_neighbour_is_next(start: Start) -> None:
    server = start(settings=SETTINGS.replace("3600", "60"), workers=1)
    page, platform = keys(server)
    with calling(server.address, page) as caller, calling(server.address, platform) as other:
        hashes, answers = flood(caller, b"school", 15)
        reasons = [item.wait_reason for answer in answers for item in answer.receipt.items]
        assert reasons == [Waits.WAIT_REASON_UNSPECIFIED] * LIVE + [Waits.WAIT_REASON_LIMIT] * (
            len(hashes) - LIVE
        )
        eventually(lambda: matching(other, hashes) >= LIVE)
        own = secrets.token_bytes(32)
        asked = register(own)
        at(asked, b"school")
        (item,) = caller("RegisterHashes", asked).receipt.items
        assert item.state == registration_pb2.CASE_ITEM_STATE_WAITING
        elsewhere = register(secrets.token_bytes(32))
        at(elsewhere, b"home")
        (item,) = caller("RegisterHashes", elsewhere).receipt.items
        assert item.state == registration_pb2.CASE_ITEM_STATE_LIVE
        eventually(lambda: matching(other, [own]) == 1)
        assert matching(other, hashes) < LIVE + 5
        with urlopen(f"http://{server.metrics_address()}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        shown = dict(
            line.split() for line in lines if line.startswith("disrupt_registered_hashes{")
        )
        assert shown == {
            f'disrupt_registered_hashes{{of="{of}"}}': f"{count}.0"
            for of, count in (
                ("case", len(hashes)),
                ("origin", len(hashes) + 1),
                ("all", len(hashes) + 2),
            )
        }


def test_wider_networks_bound_what_their_parts_have_live_and_a_key_all_that_names_none(
    start: Start,
) -> None:
    server = start(settings=SETTINGS, workers=1)
    page, _ = keys(server)

    def is_live(origin: bytes, *wider: bytes, pictures: int = ITEMS) -> bool:
        asked = register(*(secrets.token_bytes(32) for _ in range(pictures)))
        at(asked, origin)
        asked.context.access.wider_origin_tokens.extend(wider)
        items = caller("RegisterHashes", asked).receipt.items
        return bool(items[-1].state == registration_pb2.CASE_ITEM_STATE_LIVE)

    with calling(server.address, page) as caller:
        for network in range(13):
            assert is_live(bytes([65 + network]), bytes([97 + network // 4]), b"48") == (
                network < 4 * LIVE // ITEMS
            )
        assert is_live(b"Z", b"z", b"elsewhere")
        assert [is_live(b"") for _ in range(4)] == [True, True, True, False]
        misplaced = register(secrets.token_bytes(32))
        misplaced.context.access.wider_origin_tokens.append(b"48")
        assert refusal(lambda: caller("RegisterHashes", misplaced)).fields == (
            "context.access.wider_origin_tokens",
        )
        request = registration_pb2.GetChallengeRequest()
        assert caller("GetChallenge", request).challenge
        request.origin_token = b"elsewhere"
        assert not caller("GetChallenge", request).challenge

"""A server compacts its index by itself, and answers from tables once they are worthwhile."""

from __future__ import annotations

import secrets as random

from disrupt.v1 import match_pb2, registration_pb2, types_pb2
from rig.callers.caller import access, calling, items, lookup, near, register
from rig.servers.deployment import Start
from rig.waiting import eventually

_HASHES = 320
"""Hashes of each of 64 pictures: more than 20 000 in all, enough for tables."""


def test_a_server_with_many_new_hashes_compacts_and_answers_the_same_from_tables(
    start: Start,
) -> None:
    server = start(
        settings="compact_after_hashes = 20000\nmax_matches_per_answer = 1000\n", workers=1
    )
    match, helpline = server.make_key("p", "match"), server.make_key("h", "register")
    pictures = [random.token_bytes(32 * _HASHES) for _ in range(64)]
    request = register(*pictures)
    for item in request.items:
        item.kind = types_pb2.MEDIA_KIND_VIDEO  # a picture has no more than one hash of a version
        item.fingerprints.qualities = bytes([90]) * _HASHES
        times_ms = range(0, 250 * _HASHES, 250)
        item.fingerprints.start_ms.extend(times_ms)
        item.fingerprints.end_ms.extend(times_ms)
    kept = random.token_bytes(32)
    with calling(server.address, helpline) as people, calling(server.address, match) as platform:
        people("RegisterHashes", register(kept))

        def status() -> match_pb2.GetIndexStatusResponse:
            answer: match_pb2.GetIndexStatusResponse = platform(
                "GetIndexStatus", match_pb2.GetIndexStatusRequest()
            )
            return answer

        assert (status().engine, status().generation) == ("flat", 1)
        receipt = people("RegisterHashes", request).receipt
        eventually(lambda: status().generation == 2)
        assert (status().engine, status().delta_hashes) == ("multi_index", 0)
        assert status().hashes == 64 * _HASHES + 1

        def match_count(*hashes: bytes) -> int:
            return len(items(platform("MatchHashes", lookup(*hashes))))

        asked = [near(picture[32 * at : 32 * at + 32], 31) for at, picture in enumerate(pictures)]
        assert match_count(*asked, kept) == 65
        assert match_count(*(near(picture[:32], 32) for picture in pictures)) == 0
        # The next registration is in the delta, over the tables.
        people("RegisterHashes", register(late := random.token_bytes(32)))
        eventually(lambda: match_count(near(late, 31)) == 1)
        withdrawal = registration_pb2.WithdrawCaseRequest(access=access(receipt.case_number))
        people("WithdrawCase", withdrawal)
        eventually(lambda: match_count(*asked) == 0)
        assert match_count(kept, late) == 2
    assert server.stop() == 0

"""A running server counts who explores a stored hash, and answers a key in bands if told so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np

from disrupt.core.tallies import Tally
from disrupt.core.videos import FRAME
from disrupt.registry import sqlite
from disrupt.v1 import match_pb2
from disrupt.wire.videos import frames_message
from rig.callers.acts import registered, until_found
from rig.callers.caller import Caller, calling, distinctive, lookup, near
from rig.callers.shell import typed
from rig.media.pictures import PHOTOS, canonical, encode
from rig.processes.metrics import samples
from rig.servers.deployment import Deployment
from rig.waiting import eventually

APART_BITS = 5
BAND_END_BITS = 15


def probed(server: Deployment) -> dict[str, float]:
    """Return how many items each organisation probed, as metrics have it."""
    counted = samples(server.metrics_address(), "disrupt_probing_total")
    return {each.labels["organisation"]: each.value for each in counted}


def test_who_asks_around_a_stored_hash_is_counted_and_who_asks_for_it_often_is_not(
    start: Callable[..., Deployment],
) -> None:
    server = start(settings="probing_delay_s = 0.01\n", workers=1)
    keys = {name: server.make_key(name, "match") for name in ("curious", "busy")}
    value = distinctive()
    with calling(server.address, server.make_key("helpline", "register")) as helpline:
        _, items = registered(helpline, value)
    turned = [(int.from_bytes(value) ^ 1 << bit).to_bytes(32) for bit in range(256)]
    with calling(server.address, keys["curious"]) as curious:
        until_found([curious], value, *items)
        eventually(lambda: probed(server) == {"curious": 0, "busy": 0})
        answer = curious("MatchHashes", lookup(*turned))
        assert [*answer.matches.distances_bits] == [1] * 256
    with calling(server.address, keys["busy"]) as busy:
        busy("MatchHashes", lookup(*turned[:40] * 10))
    eventually(lambda: probed(server)["curious"] == 1)
    assert probed(server)["busy"] == 0
    assert server.stop() == 0
    with sqlite.open_reader(server.data_dir / "registry.db") as reader:
        counts = reader.tallies("0001-01-01", "9999-12-31", (Tally.PROBING,), limit=10)
    assert [(each.labels, each.count) for each in counts] == [(("curious",), 1)]


def distances(platform: Caller, value: bytes, picture: bytes) -> set[int]:
    """Return the distances of what is near a hash, a frame of it, and a picture."""
    rows = np.zeros(1, FRAME)
    rows["hash"], rows["usable"], rows["quality"], rows["end_ms"] = (
        np.frombuffer(value, np.uint8),
        *(1, 100, 1000),
    )

    def parts() -> Iterator[match_pb2.MatchVideoRequest]:
        yield match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions())
        yield match_pb2.MatchVideoRequest(frames=frames_message(rows))

    hashes = platform("MatchHashes", lookup(value)).matches.distances_bits
    video = platform("MatchVideo", parts()).matches
    image = platform("MatchImage", match_pb2.MatchImageRequest(image=picture)).matches
    assert hashes
    assert video
    assert image
    return {*hashes, *(match.distance_bits for match in (*video, *image))}


def test_a_key_gets_distances_in_bands_from_every_kind_of_lookup_while_it_is_told_to(
    server: Deployment, helpline: Caller
) -> None:
    value, picture = distinctive(), encode(PHOTOS["coffee"])
    _, items = registered(helpline, value, near(canonical(picture).value, APART_BITS))

    def command(*words: str) -> dict[str, object]:
        done = typed("keys", *words, "--json", "--data-dir", server.data_dir)
        assert done.code == 0, done.err
        row: dict[str, object] = json.loads(done.out)
        return row

    made = command("create", "banded", "--right", "match", "--distance-bands")
    assert made["distance_bands"]
    with calling(server.address, str(made["secret"])) as platform:
        until_found([platform], value, items[0])
        asked = near(value, APART_BITS)
        assert distances(platform, asked, picture) == {BAND_END_BITS}
        assert [*platform("MatchHashes", lookup(value)).matches.distances_bits] == [0]
        rotated = command("rotate", str(made["key_id"]))
        assert rotated["distance_bands"]
        changed = command("set", str(made["key_id"]), "--exact-distances")
        assert not changed["distance_bands"]
        eventually(lambda: distances(platform, asked, picture) == {APART_BITS})

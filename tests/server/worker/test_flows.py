"""Register, look up, withdraw, mirror: over real sockets, against every worker."""

from __future__ import annotations

import base64
import io
import secrets as random
from pathlib import Path
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from PIL import Image, ImageOps

from disrupt.core.media import MediaKind
from disrupt.data_directory import DataDirectory
from disrupt.hashing import ImageQuery, hash_image
from disrupt.registry import opening, sqlite
from disrupt.upkeep.erasure import erase
from disrupt.upkeep.rebuild import rebuild
from disrupt.v1 import feed_pb2, match_pb2, registration_pb2, types_pb2
from rig.callers.acts import (
    all_changes,
    case_of,
    found,
    registered,
    until_found,
    withdraw,
)
from rig.callers.caller import (
    TIMEOUT_S,
    Caller,
    calling,
    distinctive,
    items,
    lookup,
    near,
    refusal,
    register,
)
from rig.media.generated import animation, picture
from rig.servers.deployment import Deployment
from rig.waiting import eventually


def test_what_is_registered_matches_everywhere_until_it_is_withdrawn(
    helpline: Caller, platforms: list[Caller]
) -> None:
    first, second = distinctive(), distinctive()
    case, ids = registered(helpline, first, second)
    until_found(platforms, first, ids[0])
    until_found(platforms, second, ids[1])
    answer = platforms[0]("MatchHashes", lookup(near(first, 31)))
    assert items(answer) == ids[:1]
    assert list(answer.matches.distances_bits) == [31]
    assert list(answer.matches.bank_names) == ["adults"]
    assert list(answer.matches.assurances) == [types_pb2.ASSURANCE_SELF_REPORTED]
    assert answer.matches.variants[0].HasField("transform")
    assert 0 < len(answer.matches.match_ids[0]) <= 256
    assert first not in answer.SerializeToString()
    assert found(platforms[0], near(first, 32)) == []
    assert found(platforms[0], near(first, 5), max_distance_bits=4) == []

    withdraw(helpline, case, ids[0])
    until_found(platforms, first)
    until_found(platforms, second, ids[1])
    closed = withdraw(helpline, case).case
    assert closed.status == registration_pb2.CASE_STATUS_WITHDRAWN
    assert closed.closed_on
    until_found(platforms, second)
    assert case_of(helpline, case) == closed


def test_a_batch_names_the_queries_that_match_and_are_cut(
    helpline: Caller, platform: Caller
) -> None:
    value, unknown = random.token_bytes(32), random.token_bytes(32)
    _, ids = registered(helpline, *(near(value, bits) for bits in (3, 1, 2)))
    eventually(lambda: len(found(platform, value)) == 3)
    answer = platform("MatchHashes", lookup(unknown, value, unknown, value, max_matches=2))
    assert list(answer.matches.queries) == [1, 1, 3, 3]
    assert items(answer) == [ids[1], ids[2]] * 2
    assert list(answer.matches.distances_bits) == [1, 2, 1, 2]
    assert list(answer.truncated_queries) == [1, 3]
    batch = match_pb2.MatchHashesRequest(
        hashes=value * 3,
        qualities=bytes([10, 90, 20]),
        options=match_pb2.MatchOptions(max_matches=1),
    )
    answer = platform("MatchHashes", batch)
    assert list(answer.low_quality_queries) == [0, 2]
    assert list(answer.matches.queries) == [1]
    assert list(answer.truncated_queries) == [1]


def test_an_index_that_includes_a_cursor_matches_what_it_stands_for(
    helpline: Caller, platforms: list[Caller]
) -> None:
    for _ in range(5):
        value = distinctive()
        receipt = helpline("RegisterHashes", register(value)).receipt
        for platform in platforms:
            await_cursor(platform, receipt.cursor)
            assert len(found(platform, value)) == 1
        cursor = withdraw(helpline, receipt.case_number).cursor
        for platform in platforms:
            await_cursor(platform, cursor)
            assert not found(platform, value)


def await_cursor(platform: Caller, cursor: str) -> None:
    asked = match_pb2.GetIndexStatusRequest(cursor=cursor)
    eventually(lambda: bool(platform("GetIndexStatus", asked).includes_cursor))


def test_a_cursor_tells_nothing_and_cannot_be_made_up(
    server: Deployment, secrets: dict[str, str], helpline: Caller, platform: Caller
) -> None:
    receipt = helpline("RegisterHashes", register(random.token_bytes(32))).receipt
    await_cursor(platform, receipt.cursor)
    with sqlite.open_reader(server.data_dir / "registry.db") as reader:
        head = reader.head()
    with calling(server.address, secrets["feed"]) as mirror:
        pages = [mirror("ListChanges", feed_pb2.ListChangesRequest()) for _ in range(2)]
    answers = [platform("GetIndexStatus", match_pb2.GetIndexStatusRequest()) for _ in range(2)]
    texts = [receipt.cursor, *(answer.index_cursor for answer in answers)]
    texts += [platform("MatchHashes", lookup(random.token_bytes(32))).index_cursor]
    texts += [page.next_cursor for page in pages]
    assert len(set(texts)) == len(texts)
    for text in texts:
        raw = base64.urlsafe_b64decode(text)
        assert head.epoch not in raw
        assert head.sequence.to_bytes(8) not in raw
        flipped = base64.urlsafe_b64encode(bytes([raw[0] ^ 1, *raw[1:]])).decode()
        for made_up in (flipped, text[4:], head.to_text()):
            request = match_pb2.GetIndexStatusRequest(cursor=made_up)
            refused = refusal(lambda: platform("GetIndexStatus", request))
            assert (refused.reason, refused.fields) == ("INVALID_REQUEST", ("cursor",))


def test_a_key_for_one_bank_learns_nothing_of_the_size_of_others(
    server: Deployment, helpline: Caller
) -> None:
    adults = server.make_key("some", "feed", "match", banks=("adults",))
    own = helpline("RegisterHashes", register(random.token_bytes(32))).receipt
    with calling(server.address, adults) as caller:
        await_cursor(caller, own.cursor)

        def known() -> tuple[list[int], int]:
            status = caller("GetIndexStatus", match_pb2.GetIndexStatusRequest())
            counts = [status.items, status.hashes, status.delta_hashes, status.tombstones]
            return counts, len(all_changes(caller, page_size=1))

        counts, pages = known()
        assert counts[0] == counts[1] > 0
        minors = register(*(distinctive() for _ in range(5)))
        minors.context.age_band = registration_pb2.AGE_BAND_MINOR
        await_cursor(caller, helpline("RegisterHashes", minors).receipt.cursor)
        assert known() == (counts, pages)
        await_cursor(caller, helpline("RegisterHashes", register(distinctive())).receipt.cursor)
        assert known() == ([count + 1 for count in counts[:3]] + counts[3:], pages + 1)


def test_staff_register_a_picture_that_platforms_find_by_picture_and_by_hash(
    staff: Caller, platform: Caller, tmp_path: Path
) -> None:
    data = picture(tmp_path / "a.png", 7, side_px=150).read_bytes()
    request = registration_pb2.RegisterImageRequest(context=register(bytes(32)).context, image=data)
    receipt = staff("RegisterImage", request).receipt
    assert staff("RegisterImage", request).receipt == receipt
    item_id = receipt.items[0].item_id
    by_picture = match_pb2.MatchImageRequest(image=data)

    def is_found() -> bool:
        return [hit.item_id for hit in platform("MatchImage", by_picture).matches] == [item_id]

    eventually(is_found)
    (match,) = platform("MatchImage", by_picture).matches
    assert (match.distance_bits, match.bank, match.kind) == (0, "adults", MediaKind.IMAGE)
    fast = match_pb2.MatchImageRequest(
        image=data, options=match_pb2.MatchOptions(effort=types_pb2.EFFORT_FAST)
    )
    assert [hit.item_id for hit in platform("MatchImage", fast).matches] == [item_id]
    mirrored = io.BytesIO()
    ImageOps.mirror(Image.open(io.BytesIO(data))).save(mirrored, "PNG")
    by_copy = match_pb2.MatchImageRequest(image=mirrored.getvalue(), options=fast.options)
    assert not platform("MatchImage", by_copy).matches
    by_copy.ClearField("options")
    (match,) = platform("MatchImage", by_copy).matches
    assert match.query_transform.dihedral == types_pb2.DIHEDRAL_MIRROR
    assert match.variant.transform == types_pb2.Transform()
    query = hash_image(data)
    assert isinstance(query, ImageQuery)
    assert items(platform("MatchHashes", lookup(query.hashes[0][0].value))) == [item_id]


def test_staff_register_every_frame_of_an_animation_when_asked(
    staff: Caller, platform: Caller, tmp_path: Path
) -> None:
    first, late = (picture(tmp_path / f"{seed}.png", seed).read_bytes() for seed in (71, 73))
    whole = animation(tmp_path / "a.webp", 71, 72, 73).read_bytes()
    alone, every = (
        staff(
            "RegisterImage",
            registration_pb2.RegisterImageRequest(
                context=register(bytes(32)).context, image=whole, every_frame=every_frame
            ),
        ).receipt.items[0]
        for every_frame in (False, True)
    )
    assert every.hashes >= 3, "one or more of each frame"

    def matched_kinds(data: bytes) -> dict[bytes, int]:
        answer = platform("MatchImage", match_pb2.MatchImageRequest(image=data))
        return {match.item_id: match.kind for match in answer.matches}

    both = {alone.item_id: MediaKind.IMAGE, every.item_id: MediaKind.VIDEO}
    eventually(lambda: matched_kinds(first) == both)
    eventually(lambda: matched_kinds(late) == {every.item_id: MediaKind.VIDEO})
    assert matched_kinds(whole) == both


def test_a_lookup_says_how_many_frames_it_did_not_look_at(platform: Caller, tmp_path: Path) -> None:
    for frames, skipped in ((200, 0), (260, 4)):
        data = animation(tmp_path / "a.webp", *range(frames), side_px=32).read_bytes()
        answer = platform("MatchImage", match_pb2.MatchImageRequest(image=data))
        assert (answer.frames_skipped, answer.HasField("low_quality")) == (skipped, False)


def mirrored(mirror: Caller, page_size: int) -> dict[bytes, feed_pb2.ItemAdded]:
    """Copy the list from pages."""
    copy: dict[bytes, feed_pb2.ItemAdded] = {}
    for change in all_changes(mirror, page_size):
        if change.WhichOneof("change") == "added":
            copy[change.added.item_id] = change.added
        else:
            copy.pop(change.removed.item_id, None)
    return copy


def test_a_mirror_has_what_is_registered_and_not_what_was_withdrawn(
    server: Deployment, secrets: dict[str, str], helpline: Caller
) -> None:
    value = distinctive()
    _, (kept,) = registered(helpline, value)
    case, (gone,) = registered(helpline, distinctive())
    withdraw(helpline, case)
    unsaid = register(distinctive())
    unsaid.context.age_band = registration_pb2.AGE_BAND_UNSPECIFIED
    young = helpline("RegisterHashes", unsaid).receipt.items[0].item_id
    with calling(server.address, secrets["feed"]) as mirror:
        copy, *others = [mirrored(mirror, size) for size in (1, 3, 1000)]
    assert others == [copy] * 2
    assert gone not in copy
    assert copy[young].bank == "minors"
    assert (copy[kept].bank, copy[kept].fingerprints.hashes) == ("adults", value)
    adults_only = server.make_key("some", "feed", banks=("adults",))
    with calling(server.address, adults_only) as mirror:
        copy = mirrored(mirror, 2)
    assert young not in copy
    assert kept in copy


def test_the_status_says_how_long_what_was_withdrawn_has_been_in_files_of_banks_of_the_key(
    server: Deployment, helpline: Caller
) -> None:
    case, _ = registered(helpline, distinctive(), minor=True)
    directory = DataDirectory(server.data_dir)
    with opening.reading(directory) as reader:
        rebuild(reader, directory.index)
        erase(reader, directory.index)
        withdraw(helpline, case)
    ages = []
    for bank in ("adults", "minors"):
        with calling(server.address, server.make_key(bank, "match", banks=(bank,))) as caller:
            answer = caller("GetIndexStatus", match_pb2.GetIndexStatusRequest())
            ages.append(answer.oldest_withdrawn_s)
    assert ages[0] == 0 < ages[1]


def test_health_needs_no_key_and_reflection_one(
    server: Deployment, secrets: dict[str, str]
) -> None:
    with calling(server.address, None) as caller:
        health: Any = health_pb2_grpc.HealthStub(caller.channel)
        services = ("MatchService", "RegistrationService", "FeedService")
        for service in ("", *(f"disrupt.v1.{name}" for name in services)):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(caller.channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        refused = refusal(lambda: list(reflection.ServerReflectionInfo(iter([request]))))
        assert refused.reason == "KEY_REFUSED"
        metadata = (("authorization", f"Bearer {secrets['feed']}"),)
        (answer,) = reflection.ServerReflectionInfo(
            iter([request]), metadata=metadata, timeout=TIMEOUT_S
        )
        names = {service.name for service in answer.list_services_response.service}
    assert {"disrupt.v1.MatchService", "grpc.health.v1.Health"} <= names
    assert "disrupt.admin.v1.AdminService" not in names

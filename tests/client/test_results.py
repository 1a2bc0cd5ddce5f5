"""Answers agree with the messages, whatever a newer server puts into them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.client import results
from disrupt.client.results import HashAnswer, Match
from disrupt.core import cover
from disrupt.core.hashes import PdqHash
from disrupt.core.lookups import Extent
from disrupt.core.media import Assurance, MediaKind
from disrupt.core.transforms import IDENTITY, Dihedral, Transform
from disrupt.errors import DisruptError
from disrupt.hashing import ImageQuery
from disrupt.v1 import match_pb2, types_pb2

ids = st.integers(0, 20).map(lambda number: number.to_bytes(16).hex())
ANCHORED = 48
"""Places of plan 1 that are anchored regions."""

transforms = st.builds(
    Transform,
    dihedral=st.sampled_from(Dihedral),
    crop_left_permille=st.integers(0, 999),
    crop_top_permille=st.integers(0, 999),
    crop_right_permille=st.integers(0, 999),
    crop_bottom_permille=st.integers(0, 999),
    rotation_millidegrees=st.integers(-180_000, 180_000),
    scale_side_px=st.integers(0, 4096),
    plain_edges_cut=st.booleans(),
    negative=st.booleans(),
    corners=st.just(()) | st.tuples(*[st.integers(0, 1000)] * 8),
    anchored=st.booleans(),
    gamma_permille=st.integers(0, 4000),
)
matches = st.builds(
    Match,
    item_id=ids,
    bank=st.sampled_from(["adults", "minors", "banque « été »"]),
    assurance=st.sampled_from(Assurance),
    distance_bits=st.integers(0, 256),
    kind=st.sampled_from(MediaKind),
    query_transform=st.just(IDENTITY),
    transform=st.none() | transforms,
    plan=st.integers(0, 2) | st.integers(0, 65535),
    ordinal=st.integers(0, 60) | st.integers(0, 65535),
    match_id=st.binary(min_size=1, max_size=100),
    stored_area_permille=st.integers(0, 1000),
    disputed=st.booleans(),
    common=st.booleans(),
).map(lambda match: replace(match, regions=int(match.plan == 1 and match.ordinal < ANCHORED)))
answers = st.builds(
    HashAnswer,
    matches=st.lists(matches, max_size=4).map(tuple),
    truncated=st.booleans(),
    low_quality=st.booleans(),
    index_cursor=st.just("cursor"),
)


MATCH = Match(
    bytes(16).hex(), "adults", Assurance.REVIEWED, 1, MediaKind.IMAGE, IDENTITY, None, 0, 0, b""
)
ANSWER = HashAnswer((MATCH,), truncated=False, low_quality=False, index_cursor="cursor")


def to_transform(transform: Transform) -> types_pb2.Transform:
    return types_pb2.Transform(
        dihedral=transform.dihedral.value,  # type: ignore[arg-type]
        crop_left_permille=transform.crop_left_permille,
        crop_top_permille=transform.crop_top_permille,
        crop_right_permille=transform.crop_right_permille,
        crop_bottom_permille=transform.crop_bottom_permille,
        rotation_millidegrees=transform.rotation_millidegrees,
        scale_side_px=transform.scale_side_px,
        plain_edges_cut=transform.plain_edges_cut,
        negative=transform.negative,
        corners=transform.corners,
        anchored=transform.anchored,
        gamma_permille=transform.gamma_permille,
    )


def to_variant(match: Match) -> types_pb2.Variant:
    known = None if match.transform is None else to_transform(match.transform)
    return types_pb2.Variant(plan=match.plan, ordinal=match.ordinal, transform=known)


def to_response(said: list[HashAnswer]) -> match_pb2.MatchHashesResponse:
    rows = [(at, match) for at, answer in enumerate(said) for match in answer.matches]
    names = sorted({match.bank for _, match in rows})
    return match_pb2.MatchHashesResponse(
        matches=match_pb2.MatchColumns(
            queries=[at for at, _ in rows],
            item_ids=b"".join(bytes.fromhex(match.item_id) for _, match in rows),
            distances_bits=[match.distance_bits for _, match in rows],
            bank_names=names,
            banks=[names.index(match.bank) for _, match in rows],
            assurances=[match.assurance.value for _, match in rows],  # type: ignore[misc]
            kinds=[match.kind.value for _, match in rows if match.kind],  # type: ignore[misc]
            variants=[to_variant(match) for _, match in rows],
            match_ids=[match.match_id for _, match in rows],
            stored_areas_permille=[match.stored_area_permille for _, match in rows],
            disputed=[match.disputed for _, match in rows]
            if any(match.disputed for _, match in rows)
            else (),
            common=[match.common for _, match in rows],
        ),
        truncated_queries=[at for at, answer in enumerate(said) if answer.truncated],
        low_quality_queries=[at for at, answer in enumerate(said) if answer.low_quality],
        index_cursor="cursor",
    )


@given(st.lists(answers, max_size=5))
@settings(max_examples=60)
def test_columns_become_the_answers_they_were_made_of(said: list[HashAnswer]) -> None:
    assert results.hash_answers(to_response(said), len(said)) == tuple(said)


@given(match=matches, query=transforms, truncated=st.booleans())
@settings(max_examples=60)
def test_an_answer_to_a_picture_keeps_every_field(
    *, match: Match, query: Transform, truncated: bool
) -> None:
    response = match_pb2.MatchImageResponse(
        matches=[
            match_pb2.Match(
                item_id=bytes.fromhex(match.item_id),
                bank=match.bank,
                assurance=match.assurance.value,  # type: ignore[arg-type]
                distance_bits=match.distance_bits,
                kind=match.kind.value if match.kind else None,  # type: ignore[arg-type]
                query_transform=to_transform(query),
                variant=to_variant(match),
                match_id=match.match_id,
                query_area_permille=500,
                stored_area_permille=match.stored_area_permille,
                disputed=match.disputed,
                common=match.common,
                regions=match.regions,
            )
        ],
        truncated=truncated,
        quality=88,
        index_cursor="cursor",
    )
    answer = results.image_answer(response)
    assert answer.matches == (replace(match, query_transform=query, query_area_permille=500),)
    assert (answer.truncated, answer.quality, answer.low_quality) == (truncated, 88, False)


def test_values_of_a_newer_server_are_no_error() -> None:
    response = to_response([])
    newer = types_pb2.Variant(
        plan=9,
        transform=types_pb2.Transform(dihedral=77),  # type: ignore[arg-type]
    )
    response.matches.MergeFrom(
        match_pb2.MatchColumns(
            queries=[0],
            item_ids=bytes(16),
            distances_bits=[3],
            bank_names=["new"],
            banks=[0],
            assurances=[99],  # type: ignore[list-item]
            kinds=[99],  # type: ignore[list-item]
            variants=[newer],
            match_ids=[b""],
            stored_areas_permille=[0],
        )
    )
    ((match,),) = (answer.matches for answer in results.hash_answers(response, 1))
    assert match.assurance == Assurance.SELF_REPORTED
    assert match.kind is None
    assert match.transform == IDENTITY


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("queries", [1]), ("bank_names", []), ("banks", [1]), ("banks", [0, 0])),
        *(("item_ids", value) for value in (b"", bytes(15), bytes(32))),
        *(("distances_bits", value) for value in ([], [1, 2])),
        *((name, value) for name in ("assurances", "kinds") for value in ([], [1, 1])),
        *(("variants", [types_pb2.Variant()] * count) for count in (0, 2)),
        *(("match_ids", [b""] * count) for count in (0, 2)),
        *(("stored_areas_permille", [1] * count) for count in (0, 2)),
        ("disputed", [False, True]),
        ("common", [False, True]),
    ],
)
def test_columns_that_fit_neither_each_other_nor_the_request_are_an_error_of_ours(
    column: str, value: Any
) -> None:
    response = to_response([ANSWER])
    assert results.hash_answers(response, 1) == (ANSWER,)
    response.matches.ClearField(column)  # type: ignore[arg-type]
    response.matches.MergeFrom(match_pb2.MatchColumns(**{column: value}))
    with pytest.raises(DisruptError, match="does not fit the request"):
        results.hash_answers(response, 1)


@pytest.mark.parametrize("places", ["truncated_queries", "low_quality_queries"])
def test_a_note_on_a_hash_that_was_not_asked_is_an_error_of_ours(places: str) -> None:
    fields: dict[str, Any] = {places: [1]}
    response = match_pb2.MatchHashesResponse(**fields)
    assert len(results.hash_answers(response, 2)) == 2
    with pytest.raises(DisruptError, match="does not fit the request"):
        results.hash_answers(response, 1)


def anchored_regions(found: list[Match]) -> int:
    """Count the anchored regions among the nearest eight versions of an item."""
    counting = [match for match in found if not match.disputed] or found
    nearest = dict[tuple[int, int], None]()
    for match in sorted(counting, key=lambda match: match.distance_bits):
        nearest.setdefault((match.plan, match.ordinal))
    return sum(plan == 1 and ordinal < ANCHORED for plan, ordinal in list(nearest)[:8])


def joined(found: list[Match]) -> bytes:
    """Return the match ids of an item's nearest versions, undisputed ones where there are any."""
    counting = [match for match in found if not match.disputed] or found
    ids: dict[tuple[int, int], bytes] = {}
    for match in sorted(counting, key=lambda match: match.distance_bits):
        if (match.plan, match.ordinal) not in ids:
            ids[match.plan, match.ordinal] = match.match_id
    kept = b""
    for match_id in list(ids.values())[:8]:
        if len(kept) + len(match_id) <= 512:
            kept += match_id
    return kept


@given(st.lists(st.tuples(transforms, answers), min_size=1, max_size=5), st.integers(1, 6))
@settings(max_examples=80)
def test_versions_of_a_picture_merge_to_the_nearest_entry_per_item(
    asked: list[tuple[Transform, HashAnswer]], max_matches: int
) -> None:
    query = ImageQuery(80, tuple((PdqHash(bytes(32)), transform) for transform, _ in asked))
    merged = results.merged(query, [answer for _, answer in asked], max_matches=max_matches)
    every = [(transform, match) for transform, answer in asked for match in answer.matches]
    versions = [transform for transform, _ in asked]
    telling = {match.item_id for _, match in every if not match.common}
    counting = [
        (transform, match)
        for transform, match in every
        if not (match.common and match.item_id in telling)
    ]
    of_item = defaultdict[str, list[Match]](list)
    for _, match in counting:
        of_item[match.item_id].append(match)
    nearest = {
        item: (
            all(each.disputed for each in found),
            item not in telling,
            min(each.distance_bits for each in found),
        )
        for item, found in of_item.items()
    }
    got = [
        ((match.disputed, match.common, match.distance_bits), match.item_id)
        for match in merged.matches
    ]
    assert [rank for rank, _ in got][:max_matches] == sorted(nearest.values())[:max_matches]
    every_item = results.merged(query, [answer for _, answer in asked], max_matches=1000).matches
    assert len(every_item) == len(nearest)
    assert merged.matches == tuple(
        match
        for place, match in enumerate(every_item)
        if place < max_matches or match.bank not in {hit.bank for hit in every_item[:place]}
    )
    assert all(nearest[item] == rank for rank, item in got)
    assert len({item for _, item in got}) == len(got)
    for match in merged.matches:
        assert any(
            match.query_transform == transform and match.item_id == listed.item_id
            for transform, listed in counting
            if listed.distance_bits == match.distance_bits
        )
        assert match.match_id == joined(of_item[match.item_id])
        assert match.regions == anchored_regions(of_item[match.item_id])
        areas = [
            (transform.area_permille, listed.stored_area_permille)
            for transform, listed in counting
            if listed.item_id == match.item_id
        ]
        most = max((max(pair), min(pair)) for pair in areas)
        covered = 0
        for transform, listed in counting:
            if listed.item_id == match.item_id and not listed.common:
                covered |= cover.cells(transform)
        least = cover.covered_permille(covered) if cover.is_of_a_picture(versions) else 0
        got_areas = match.query_area_permille, match.stored_area_permille
        assert got_areas in [
            (max(of_query, least), of_stored)
            for of_query, of_stored in areas
            if (max(of_query, of_stored), min(of_query, of_stored)) == most
        ]
    whole = results.merged(
        query, [answer for _, answer in asked], max_matches=max_matches, whole_only=True
    )
    assert whole.matches == tuple(match for match in merged.matches if match.extent == Extent.WHOLE)
    assert merged.truncated == (
        len(nearest) > max_matches or any(answer.truncated for _, answer in asked)
    )
    assert (merged.quality, merged.low_quality) == (80, False)


@pytest.mark.parametrize("banks", [("adults", "minors"), ("minors", "adults")])
def test_among_equally_near_items_that_of_minors_comes_first(banks: tuple[str, str]) -> None:
    query = ImageQuery(80, tuple((PdqHash(bytes(32)), IDENTITY) for _ in banks))
    each = [replace(ANSWER, matches=(replace(MATCH, item_id=bank, bank=bank),)) for bank in banks]
    merged = results.merged(query, each, max_matches=10)
    assert [match.bank for match in merged.matches] == ["minors", "adults"]

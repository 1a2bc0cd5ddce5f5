"""Convert messages to typed answers. Values that this version does not know are no error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeVar

from disrupt.core import cover
from disrupt.core.lookups import (
    MATCH_ID_BYTES_MAX,
    MATCHED_VERSIONS_MAX,
    Extent,
    Segment,
    answered_places,
    extent_of,
)
from disrupt.core.media import Assurance, LowQuality, MediaKind
from disrupt.core.policy import MINORS
from disrupt.core.status import Limits
from disrupt.core.transforms import IDENTITY, Dihedral, Transform, count_anchored
from disrupt.errors import DisruptError
from disrupt.hashing import ImageQuery
from disrupt.v1 import match_pb2, types_pb2

_ID_BYTES = 16
_MISFIT = (
    "The server's answer does not fit the request: its columns differ in length, or name hashes or "
    "banks that are not there. Nothing is known of these hashes; tell the operator."
)
_Enum = TypeVar("_Enum", bound=IntEnum)


@dataclass(frozen=True, slots=True)
class Match:
    """A registered picture or video that is near a query.

    ``item_id`` names it, in 32 hex digits; ``bank`` is its bank, such as ``adults``.
    ``distance_bits``, 0-256, is the number of bits in which the two hashes differ: 0 to 10 for a
    copy of another size or compression. ``query_transform`` says which version of the query
    matched, such as the mirrored one, and ``transform`` which version of the stored item, by
    ``ordinal`` of the variant plan ``plan``; it is None where neither side knows the plan. ``kind``
    is None for a kind that this version does not know. ``match_id`` is an opaque proof of the
    answer, of at most 512 bytes.

    ``common`` is true if something in common use, as a template or an app's screen, is as near to
    all that matches here: the upload may be another picture that shows it. Such matches come after
    others. In answers to videos it is false. ``disputed`` is true if your organisation has reported
    all that matches here as a false positive. Such matches come last.

    ``regions``, 0-8, counts the regions marked by the registered picture's content among the eight
    nearest versions that agree. Several may be of one thing that both show, such as a logo.

    ``extent`` says how much of both pictures agrees: the whole of one of them, or nearly, or only a
    part of both, such as a background. It is that of ``query_area_permille`` and
    ``stored_area_permille``, the shares of the upload and of the registered picture which the pair
    of versions shows that shows most of either; 0 where not known, as of the upload in answers to
    hashes.

    Answers to videos also say when the item is seen: ``segments`` in order of the query's time, and
    the shares of the frames of both sides within them, in thousandths. ``common_only`` is true if
    that is a scene that many registered videos have, such as an intro. In other answers these are
    empty, 0 and false.
    """

    item_id: str
    bank: str
    assurance: Assurance
    distance_bits: int
    kind: MediaKind | None
    query_transform: Transform
    transform: Transform | None
    plan: int
    ordinal: int
    match_id: bytes
    segments: tuple[Segment, ...] = ()
    query_share_permille: int = 0
    stored_share_permille: int = 0
    common_only: bool = False
    query_area_permille: int = 0
    stored_area_permille: int = 0
    disputed: bool = False
    regions: int = 0
    common: bool = False

    @property
    def extent(self) -> Extent:
        """Return how much of both pictures agrees, from the two shares."""
        return extent_of(self.query_area_permille, self.stored_area_permille)


@dataclass(frozen=True, slots=True)
class HashAnswer:
    """Answer to one hash: its matches, nearest first; among equals those of ``minors`` lead.

    Common ones come after others, and disputed ones last, whatever their distance.
    ``truncated`` is true if there were more matches than ``max_matches``. ``low_quality`` is true
    if the hash was too featureless to be searched: then ``matches`` means nothing.
    ``index_cursor`` is the state of the registry that the answer includes. ``next_since`` is
    ``since`` of the next lookup of the same hash, empty unless this one gave any.
    """

    matches: tuple[Match, ...]
    truncated: bool
    low_quality: bool
    index_cursor: str
    next_since: str = ""


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """Answer to one picture: its matches in the order of HashAnswer, and its PDQ quality, 0-100.

    ``truncated`` is true if there were more matches than ``max_matches``. ``low_quality`` is true
    if the picture was too featureless to be searched: then ``matches`` means nothing, ``advice``
    says what can be done, and ``index_cursor`` is empty where the server was not asked.
    ``frames_skipped`` frames of an animation were not looked up, and 1 for whatever else of any
    file was not, such as the rest of one that ends early: where it is not 0, an answer without
    matches does not mean that the file shows nothing registered.
    """

    matches: tuple[Match, ...]
    truncated: bool
    quality: int
    low_quality: bool
    advice: str
    index_cursor: str
    frames_skipped: int = 0


@dataclass(frozen=True, slots=True)
class VideoAnswer:
    """Answer to one video: its matches, best first.

    ``truncated`` is true if there were more matches than ``max_matches``. ``frames_hashed`` frames
    were hashed, ``frames_low_quality`` of them too featureless to be searched. ``incomplete`` is
    true if the file ended or broke before its end, or holds another video, which was not looked at.
    ``answered_early`` is true if one match was certain and the rest was not looked up.
    """

    matches: tuple[Match, ...]
    truncated: bool
    frames_hashed: int
    frames_low_quality: int
    incomplete: bool
    answered_early: bool
    index_cursor: str


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """State of the index of the process that answered, as in GetIndexStatusResponse.

    Counts are of the banks of the key.
    """

    generation: int
    index_cursor: str
    items: int
    hashes: int
    delta_hashes: int
    tombstones: int
    lag_ms: int
    oldest_withdrawn_s: int
    engine: str
    limits: Limits
    includes_cursor: bool


def hash_answers(response: match_pb2.MatchHashesResponse, count: int) -> tuple[HashAnswer, ...]:
    """Return the answers to the ``count`` hashes of a request, in their order.

    Raises DisruptError for an answer whose columns differ in length, or name what is not there.
    """
    columns = response.matches
    truncated, low = set(response.truncated_queries), set(response.low_quality_queries)
    lengths = {
        len(columns.queries),
        len(columns.item_ids) / _ID_BYTES,
        len(columns.distances_bits),
        len(columns.banks),
        len(columns.assurances),
        len(columns.kinds),
        len(columns.variants),
        len(columns.match_ids),
        len(columns.stored_areas_permille),
        len(columns.disputed or columns.queries),
        len(columns.common or columns.queries),
    }
    if len(lengths) > 1 or any(query >= count for query in truncated | low):
        raise DisruptError(_MISFIT)
    by_query: list[list[Match]] = [[] for _ in range(count)]
    try:
        for at, query in enumerate(columns.queries):
            known, plan, ordinal = _variant(columns.variants[at])
            match = Match(
                item_id=columns.item_ids[at * _ID_BYTES : (at + 1) * _ID_BYTES].hex(),
                bank=columns.bank_names[columns.banks[at]],
                assurance=_known(Assurance, columns.assurances[at]) or Assurance.SELF_REPORTED,
                distance_bits=columns.distances_bits[at],
                kind=_known(MediaKind, columns.kinds[at]),
                query_transform=IDENTITY,
                transform=known,
                plan=plan,
                ordinal=ordinal,
                match_id=columns.match_ids[at],
                stored_area_permille=columns.stored_areas_permille[at],
                disputed=bool(columns.disputed) and columns.disputed[at],
                regions=count_anchored([(plan, ordinal)]),
                common=bool(columns.common) and columns.common[at],
            )
            by_query[query].append(match)
    except IndexError as error:
        raise DisruptError(_MISFIT) from error
    return tuple(
        HashAnswer(
            *(tuple(matches), at in truncated, at in low),
            *(response.index_cursor, response.next_since),
        )
        for at, matches in enumerate(by_query)
    )


def image_answer(response: match_pb2.MatchImageResponse) -> ImageAnswer:
    """Convert the answer to a picture that was sent."""
    return ImageAnswer(
        tuple(_match(match) for match in response.matches),
        response.truncated,
        response.low_quality.quality if response.HasField("low_quality") else response.quality,
        response.HasField("low_quality"),
        response.low_quality.advice,
        response.index_cursor,
        response.frames_skipped,
    )


def video_answer(
    response: match_pb2.MatchVideoResponse, *, incomplete: bool = False
) -> VideoAnswer:
    """Convert the answer to a video; ``incomplete``: it was hashed here, in part."""
    return VideoAnswer(
        tuple(_match(match) for match in response.matches),
        response.truncated,
        response.frames_hashed,
        response.frames_low_quality,
        incomplete or response.incomplete,
        response.answered_early,
        response.index_cursor,
    )


def merged(
    query: ImageQuery, answers: Sequence[HashAnswer], *, max_matches: int, whole_only: bool = False
) -> ImageAnswer:
    """Merge the answers to a picture's versions: each item once, by its nearest version.

    Its areas are those of the pair of versions that shows most of either side; of the upload it is
    at least what the regions that agree cover together, see ``cover``. An item is disputed
    if all of its matches are. Common matches count only for an item that has no others. Cut to
    ``max_matches`` and the nearest item of each bank, then to Extent.WHOLE if ``whole_only``, as
    the server does.
    """
    nearest: dict[str, Match] = {}
    areas: dict[str, tuple[int, int]] = {}
    cells = defaultdict[str, int](int)
    proofs = defaultdict[str, list[Match]](list)
    telling = {match.item_id for answer in answers for match in answer.matches if not match.common}
    for answer, (_, transform) in zip(answers, query.hashes, strict=True):
        for match in answer.matches:
            if match.common and match.item_id in telling:
                continue
            pair = transform.area_permille, match.stored_area_permille
            areas[match.item_id] = max(areas.get(match.item_id, (0, 0)), pair, key=_area_rank)
            if not match.common:
                cells[match.item_id] |= cover.cells(transform)
            proofs[match.item_id].append(match)
            known = nearest.get(match.item_id)
            if known is None or match.distance_bits < known.distance_bits:
                nearest[match.item_id] = replace(match, query_transform=transform)
    matches = sorted(
        (_proven(match, proofs[match.item_id]) for match in nearest.values()),
        key=lambda match: (
            *(match.disputed, match.common),
            *(match.distance_bits, match.bank != MINORS.name),
        ),
    )
    nearest_first = [matches[at] for at in answered_places([m.bank for m in matches], max_matches)]
    if cover.is_of_a_picture([version for _, version in query.hashes]):
        for item_id, (of_query, of_stored) in areas.items():
            areas[item_id] = max(of_query, cover.covered_permille(cells[item_id])), of_stored
    answered = [_with_areas(match, *areas[match.item_id]) for match in nearest_first]
    return ImageAnswer(
        tuple(match for match in answered if not whole_only or match.extent == Extent.WHOLE),
        len(matches) > max_matches or any(answer.truncated for answer in answers),
        query.quality,
        low_quality=False,
        advice="",
        index_cursor=answers[0].index_cursor,
        frames_skipped=query.frames_skipped,
    )


def _area_rank(pair: tuple[int, int]) -> tuple[int, int]:
    return max(pair), min(pair)


def _proven(match: Match, proofs: Sequence[Match]) -> Match:
    """Return the match of an item with the match ids of its matches, ``proofs``, joined.

    Those of the nearest stored versions, one of each; undisputed ones alone, if there are any.
    """
    counting = [proof for proof in proofs if not proof.disputed] or proofs
    ids: dict[tuple[int, int], bytes] = {}
    for proof in sorted(counting, key=lambda proof: proof.distance_bits):
        ids.setdefault((proof.plan, proof.ordinal), proof.match_id)
    nearest = list(ids)[:MATCHED_VERSIONS_MAX]
    first, *further = (ids[version] for version in nearest)
    joined = first
    for match_id in further:
        if len(joined) + len(match_id) <= MATCH_ID_BYTES_MAX:
            joined += match_id
    disputed = all(proof.disputed for proof in proofs)
    regions = count_anchored(nearest)
    return replace(match, match_id=joined, disputed=disputed, regions=regions)


def _with_areas(match: Match, query_permille: int, stored_permille: int) -> Match:
    return replace(match, query_area_permille=query_permille, stored_area_permille=stored_permille)


def low_quality(value: LowQuality) -> ImageAnswer:
    """Make the answer to a picture that was too featureless when it was hashed here."""
    return ImageAnswer(
        matches=(),
        truncated=False,
        quality=value.quality,
        low_quality=True,
        advice=value.advice,
        index_cursor="",
        frames_skipped=value.frames_skipped,
    )


def index_status(response: match_pb2.GetIndexStatusResponse) -> IndexStatus:
    """Convert the state of an index."""
    limits = response.limits
    return IndexStatus(
        generation=response.generation,
        index_cursor=response.index_cursor,
        items=response.items,
        hashes=response.hashes,
        delta_hashes=response.delta_hashes,
        tombstones=response.tombstones,
        lag_ms=response.lag_ms,
        oldest_withdrawn_s=response.oldest_withdrawn_s,
        engine=response.engine,
        limits=Limits(
            message_bytes=limits.message_bytes,
            image_pixels=limits.image_pixels,
            hashes_per_lookup=limits.hashes_per_lookup,
            items_per_registration=limits.items_per_registration,
            hashes_per_item=limits.hashes_per_item,
            items_per_case=limits.items_per_case,
            hashes_per_registration=limits.hashes_per_registration,
            video_bytes=limits.video_bytes,
            video_pixels=limits.video_pixels,
            video_seconds=limits.video_seconds,
        ),
        includes_cursor=response.includes_cursor,
    )


def in_order(parts: Sequence[tuple[HashAnswer, ...]]) -> tuple[HashAnswer, ...]:
    """Join the answers to the parts of a batch."""
    return tuple(answer for part in parts for answer in part)


def _match(message: match_pb2.Match) -> Match:
    known, plan, ordinal = _variant(message.variant)
    return Match(
        item_id=message.item_id.hex(),
        bank=message.bank,
        assurance=_known(Assurance, message.assurance) or Assurance.SELF_REPORTED,
        distance_bits=message.distance_bits,
        kind=_known(MediaKind, message.kind),
        query_transform=transform(message.query_transform),
        transform=known,
        plan=plan,
        ordinal=ordinal,
        match_id=message.match_id,
        segments=tuple(
            Segment(
                segment.query_start_ms,
                segment.query_end_ms,
                segment.stored_start_ms,
                segment.stored_end_ms,
            )
            for segment in message.segments
        ),
        query_share_permille=message.query_share_permille,
        stored_share_permille=message.stored_share_permille,
        common_only=message.common_only,
        query_area_permille=message.query_area_permille,
        stored_area_permille=message.stored_area_permille,
        disputed=message.disputed,
        regions=message.regions,
        common=message.common,
    )


def _variant(message: types_pb2.Variant) -> tuple[Transform | None, int, int]:
    known = transform(message.transform) if message.HasField("transform") else None
    return known, message.plan, message.ordinal


def transform(message: types_pb2.Transform) -> Transform:
    """Convert a transform; a symmetry that this version does not know is none."""
    return Transform(
        _known(Dihedral, message.dihedral) or Dihedral.IDENTITY,
        message.crop_left_permille,
        message.crop_top_permille,
        message.crop_right_permille,
        message.crop_bottom_permille,
        message.rotation_millidegrees,
        message.scale_side_px,
        plain_edges_cut=message.plain_edges_cut,
        negative=message.negative,
        corners=tuple(message.corners),
        anchored=message.anchored,
        gamma_permille=message.gamma_permille,
    )


def _known(of: type[_Enum], number: int) -> _Enum | None:
    try:
        return of(number)
    except ValueError:
        return None

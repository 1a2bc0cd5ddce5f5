"""Measure what callers learn of a stored hash, who is noticed, and that ordinary uploads are not.

- ``attacks``: bits of a stored hash that attackers who know the rule gain, by one key and by ten
  keys of ten organisations: what each asks, how long it takes, and whether it was counted. Every
  bit gained is compared with the stored hash.
- ``copies``: how many bits the copies of one picture vary around a stored hash, of a picture that
  is uploaded thousands of times in an hour, looked up as pictures and as hashes by the SDK.
- ``ordinary``: lookups of a day, a tenth of which match: popular items more often, and one that
  is uploaded thousands of times in one hour. Nobody may be counted.

With ``--sabotage`` an attacker asks in the midst of them, and not to count it is a failure.

    ./scripts/bench probing --json probing.json
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np

from benchmarks.harness import report
from benchmarks.recall.originals import Photograph, chosen, collection, encoded
from disrupt.core.hashes import HASH_BITS, MAX_DISTANCE_BITS, stack
from disrupt.core.media import Assurance, MediaKind, StoredItem, columns
from disrupt.core.policy import ADULTS, Scope
from disrupt.hashing import ImageFingerprints, ImageQuery, fingerprint_image, hash_image
from disrupt.index.live import LiveIndex
from disrupt.server.config import Config
from disrupt.services.distance_bands import banded
from disrupt.services.matching import UNBOUNDED, complete, hash_steps, picture_steps
from disrupt.services.probing import Place, Probing, Sighting, sightings
from rig.media.codes import flipped, item, published
from rig.media.edits import EDITS, Scene, upload
from rig.model.brute_force import Codes

_SCOPE = Scope({ADULTS.number: MAX_DISTANCE_BITS})
_COPY_BITS = 12
"""How far the copy is from the stored hash that an attacker begins with."""
_HOUR_S, _DAY_S = 3600, 86_400
_HIT_EVERY = 10
_ITEMS = 10_000
_ENCODINGS = ("jpeg", "resize")
VARIED_BITS: int = Config.model_fields["probing_varied_bits"].default
DELAY_S: float = Config.model_fields["probing_delay_s"].default

Seen = list[Sighting]


# Attackers


@dataclass(slots=True)
class Caller:
    """One key: its lookups by hash go to the code of the server, at a time of its own."""

    index: LiveIndex
    probing: Probing
    organisation: str
    clock: list[float]
    is_banded: bool = False
    asked: int = 0
    counted: int = 0

    def __call__(self, queries: Codes) -> list[int | None]:
        """Look up hashes in one call; return the distance of each, None where it did not match."""
        steps = hash_steps(self.index, queries, _SCOPE, 10, most_matches=10**6, allowance=UNBOUNDED)
        matches = complete(steps)
        self.asked += len(queries)
        noted = self.probing.note(self.organisation, sightings(matches, queries, matches.query, ()))
        self.counted += noted.probed
        self.clock[0] += noted.wait_s + len(queries) / 1000
        if self.is_banded:
            matches = banded(matches, _SCOPE)
        near = dict(zip(matches.query.tolist(), matches.distance_bits.tolist(), strict=True))
        return [near.get(at) for at in range(len(queries))]


def _turned(code: Codes, places: Sequence[int]) -> Codes:
    bits = np.unpackbits(code)
    bits[list(places)] ^= 1
    return np.packbits(bits)


def _matched(distances: Sequence[int | None]) -> list[int]:
    """Return distances that all are of matches."""
    matched = [distance for distance in distances if distance is not None]
    if len(matched) < len(distances):
        raise click.ClickException("A hash near the copy did not match.")
    return matched


def _stepwise(callers: Sequence[Caller], copy: Codes, places: Sequence[int]) -> dict[int, int]:
    """Turn each of ``places`` of a copy, and read each bit off the distance."""
    (bits,) = _matched(callers[0](copy[None]))
    own, learnt = np.unpackbits(copy), dict[int, int]()
    for part, caller in zip(np.array_split(places, len(callers)), callers, strict=True):
        turned = np.stack([_turned(copy, [place]) for place in part])
        for place, distance in zip(part.tolist(), _matched(caller(turned)), strict=True):
            learnt[place] = int(own[place]) ^ (distance < bits)
    return learnt


def every_bit(callers: Sequence[Caller], copy: Codes) -> dict[int, int]:
    """Turn every bit, in one call of each key."""
    return _stepwise(callers, copy, range(HASH_BITS))


def below_the_rule(callers: Sequence[Caller], copy: Codes) -> dict[int, int]:
    """Turn as many bits in an hour as are not noticed."""
    most = VARIED_BITS - 1
    parts = [*range(0, HASH_BITS, most * len(callers)), HASH_BITS]
    learnt = dict[int, int]()
    for first, last in pairwise(parts):
        clock = callers[0].clock
        clock[0] = max(clock[0], 0.0) if not first else (clock[0] // _HOUR_S + 1) * _HOUR_S
        learnt |= _stepwise(callers, copy, range(first, last))
    return learnt


def at_the_edge(callers: Sequence[Caller], copy: Codes) -> dict[int, int]:
    """Go as far as just matches, and read each bit off whether it matches without it."""
    edge, rng = copy, np.random.default_rng(3)
    for place in rng.permutation(HASH_BITS).tolist():
        farther = _turned(edge, [place])
        if callers[0](farther[None]) == [None]:
            break
        edge = farther
    own, learnt = np.unpackbits(edge), dict[int, int]()
    for at, place in enumerate(range(HASH_BITS)):
        (distance,) = callers[at % len(callers)](_turned(edge, [place])[None])
        learnt[place] = int(own[place]) ^ (distance is not None)
    return learnt


@dataclass(frozen=True, slots=True)
class Attack:
    """What one attacker gained. ``rule``: bits from which on it is counted, 0 for none.

    ``seconds`` are those of a caller that sends a thousand hashes a second.
    """

    attack: str
    keys: int
    rule: int
    distances: str
    bits: int
    wrong: int
    hashes_asked: int
    seconds: float
    counted: int


_ATTACKS = (
    ("every bit", every_bit, 0, False),
    ("every bit", every_bit, VARIED_BITS, False),
    ("below the rule", below_the_rule, VARIED_BITS, False),
    ("at the edge", at_the_edge, 0, False),
    ("at the edge", at_the_edge, VARIED_BITS, False),
    ("at the edge", at_the_edge, VARIED_BITS, True),
)
"""Name, attack, rule, and whether distances are banded."""


def attacks(index: LiveIndex, stored: Codes) -> Iterator[Attack]:
    """Yield what each attacker gains, with the rule and without, by one key and by ten."""
    copy, truth = flipped(stored, _COPY_BITS), np.unpackbits(stored)
    for (name, attack, rule, is_banded), keys in product(_ATTACKS, (1, 10)):
        clock = [0.0]
        probing = Probing(rule, DELAY_S, clock=lambda clock=clock: clock[0])  # type: ignore[misc]
        callers = [
            Caller(index, probing, f"organisation {number}", clock, is_banded)
            for number in range(keys)
        ]
        learnt = attack(callers, copy)
        wrong = sum(int(truth[place]) != bit for place, bit in learnt.items())
        yield Attack(
            *(name, keys, rule, "banded" if is_banded else "exact"),
            bits=len(learnt) - wrong,
            wrong=wrong,
            hashes_asked=sum(caller.asked for caller in callers),
            seconds=clock[0],
            counted=sum(caller.counted for caller in callers),
        )


# Copies of one picture


def copies(photograph: Photograph, other: Photograph, numbers: range) -> list[tuple[Seen, Seen]]:
    """Return what copies match of a registered photograph, looked up as pictures and as hashes.

    Every second copy is only encoded again, in another size or quality; the others are edited as
    those that recall is measured with.
    """
    pixels = photograph.original(0)
    outcome = fingerprint_image(encoded(pixels))
    if not isinstance(outcome, ImageFingerprints):
        raise click.ClickException(f"{photograph.name} cannot be registered: choose another.")
    kept = columns(tuple(outcome.fingerprints))
    stored = StoredItem.of(
        1, bytes(16), ADULTS.number, MediaKind.IMAGE, Assurance.SELF_REPORTED, kept
    )
    seen = []
    with tempfile.TemporaryDirectory(prefix="disrupt-probing-") as work:
        index = LiveIndex(published(Path(work), [stored], 1))
        for number in numbers:
            rng = np.random.default_rng([number, *photograph.name.encode()])
            edits = list(EDITS) if number % 2 else _ENCODINGS
            edit = EDITS[edits[rng.integers(len(edits))]][1]
            query = hash_image(upload(edit, Scene(pixels, rng, lambda: other.pixels))[0])
            if isinstance(query, ImageQuery):
                seen.append(_sightings(index, query))
    return seen


def _sightings(index: LiveIndex, query: ImageQuery) -> tuple[Seen, Seen]:
    queries = stack(version for version, _ in query.hashes)
    transforms = [transform for _, transform in query.hashes]
    picture = complete(picture_steps(index, queries, transforms, _SCOPE, 10, UNBOUNDED))
    steps = hash_steps(index, queries, _SCOPE, 10, most_matches=10**6, allowance=UNBOUNDED)
    hashes = complete(steps)
    return (
        sightings(picture, queries, picture.version, ()),
        sightings(hashes, queries, hashes.query, ()),
    )


@dataclass(frozen=True, slots=True)
class Variety:
    """Around the stored hash of a photograph with most: bits varied and distinct hashes asked."""

    photograph: str
    looked_up_as: str
    copies: int
    varied_bits: int
    distinct_hashes: int
    hashes_per_copy: float


def variety(name: str, seen: Sequence[tuple[Seen, Seen]]) -> Iterator[Variety]:
    """Yield the variety of the first eighth, quarter and half of the copies, and of all."""
    marks = {len(seen) // part for part in (8, 4, 2, 1)}
    for at, looked_up_as in enumerate(("picture", "hashes")):
        around, matched = dict[Place, list[int]](), 0
        for number, ways in enumerate(seen, 1):
            matched += len(ways[at])
            for place, queried in ways[at]:
                around.setdefault(place, []).append(int.from_bytes(queried))
            if number in marks and around:
                yield Variety(
                    *(name, looked_up_as, number),
                    max(map(_varied_bits, around.values())),
                    max(len({*asked}) for asked in around.values()),
                    matched / number,
                )


def _varied_bits(asked: Sequence[int]) -> int:
    varied = 0
    for queried in asked:
        varied |= asked[0] ^ queried
    return varied.bit_count()


# Ordinary lookups


@dataclass(frozen=True, slots=True)
class Ordinary:
    """Lookups of a day by two platforms, of pictures and of hashes."""

    lookups: int
    matched: int
    viral_in_an_hour: int
    sightings: int
    most_kept: int
    counted: int
    seconds_waited: float


def ordinary(
    lookups: int, pools: Sequence[Sequence[tuple[Seen, Seen]]], *, sabotage: Codes | None = None
) -> Ordinary:
    """Note the matches of a day's lookups, in order; with ``sabotage`` an attacker is among them.

    Items are asked for by Zipf's law, each with the copies of a photograph. Those of the first
    photograph are besides one item's that is uploaded in the thirteenth hour, each copy once by
    each platform.
    """
    rng, clock = np.random.default_rng(5), [0.0]
    probing = Probing(VARIED_BITS, DELAY_S, clock=lambda: clock[0])
    hits = lookups // _HIT_EVERY
    shares = 1 / np.arange(1, _ITEMS + 1)
    items = rng.choice(_ITEMS, hits, p=shares / shares.sum())
    copy_of = rng.random(hits)
    viral = [(12.0 + at / len(pools[0]), at) for at in range(len(pools[0]))]
    counted = seen = 0
    waited_s = 0.0

    def note(way: int, item_id: bytes, ways: tuple[Seen, Seen]) -> None:
        nonlocal counted, seen, waited_s
        of_item = [((item_id, *place[1:]), queried) for place, queried in ways[way]]
        noted = probing.note(("pictures", "hashes")[way], of_item)
        counted, seen = counted + noted.probed, seen + len(of_item)
        waited_s += noted.wait_s

    for at, (number, place) in enumerate(zip(items.tolist(), copy_of.tolist(), strict=True)):
        clock[0] = at / hits * _DAY_S
        while viral and viral[0][0] * _HOUR_S <= clock[0]:
            ways = pools[0][viral.pop(0)[1]]
            for way in (0, 1):
                note(way, bytes(16), ways)
        pool = pools[number % len(pools)]
        note(at % 2, (number + 1).to_bytes(16), pool[int(place * len(pool))])
        if sabotage is not None and at == hits // 2:
            for place_bit in range(HASH_BITS):
                turned = _turned(sabotage, [place_bit]).tobytes()
                attacked = (bytes(15) + b"x", 0, 0, 0), turned
                counted += probing.note("attacker", [attacked]).probed
    return Ordinary(lookups, hits, len(pools[0]), seen, probing.kept, counted, waited_s)


@click.command(help=__doc__)
@click.option("--lookups", default=10_000_000, show_default=True, help="Ordinary ones.")
@click.option("--viral", default=3000, show_default=True, help="Copies of the first photograph.")
@click.option("--copies", "n_copies", default=1000, show_default=True, help="Of each other one.")
@click.option("--photographs", default=3, show_default=True, help="At least one.")
@click.option("--processes", default=2, show_default=True, help="That make copies.")
@click.option("--sabotage", is_flag=True, help="Let an attacker ask among ordinary callers.")
@report.outputs(
    cannot_show="Ordinary uploads are of public photographs, edited at random: what platforms get"
    " may vary more. Each attacker asks one worker; several workers count each for itself."
)
def main(
    *,
    lookups: int,
    viral: int,
    n_copies: int,
    photographs: int,
    processes: int,
    sabotage: bool,
) -> None:
    """Measure, print, write; exit with 1 if a promise is broken."""
    chosen_ones = chosen(collection(None), "development", photographs + 1)
    *used, other = chosen_ones
    pools = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        parts = [
            [pool.submit(copies, each, other, numbers) for numbers in _parts(count, processes)]
            for each, count in zip(used, (viral, *[n_copies] * len(used)), strict=False)
        ]
        pools = [[seen for part in of_one for seen in part.result()] for of_one in parts]
    stored = np.frombuffer(pools[0][0][1][0][1], np.uint8)
    with tempfile.TemporaryDirectory(prefix="disrupt-probing-") as work:
        index = LiveIndex(published(Path(work), [item(1, stored[None])], 1))
        gained = [*attacks(index, stored)]
    varieties = [
        row for each, seen in zip(used, pools, strict=True) for row in variety(each.name, seen)
    ]
    day = ordinary(lookups, pools, sabotage=stored if sabotage else None)
    failures = [
        f"{row.attack}: {row.wrong} bits are wrong, {row.bits} gained"
        for row in gained
        if row.wrong or row.bits != HASH_BITS
    ]
    failures += [
        f"{row.attack} by {row.keys} key(s) is not counted"
        for row in gained
        if row.attack == "every bit" and row.rule and row.keys == 1 and not row.counted
    ]
    if sabotage and not day.counted:
        failures.append("the attacker among ordinary callers is not counted")
    if not sabotage and day.counted:
        failures.append(f"{day.counted} items of ordinary callers are counted")
    figures: dict[str, report.Rows] = {
        "attacks": [asdict(row) for row in gained],
        "copies": [asdict(row) for row in varieties],
        "ordinary": [asdict(day)],
    }
    for rows in figures.values():
        report.show(rows)
    report.publish(figures, failures=failures)


def _parts(count: int, processes: int) -> list[range]:
    ends = np.linspace(0, count, processes + 1, dtype=int).tolist()
    return [range(*pair) for pair in pairwise(ends)]


if __name__ == "__main__":
    main()

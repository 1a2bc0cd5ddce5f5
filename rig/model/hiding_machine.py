"""People who want a picture hidden, against what a lookup has to answer whatever they do.

Victims register, renew and withdraw; platforms report what they got, honest, mistaken or colluding;
their keys are revoked and made anew; staff decide; backups are restored. The model knows only the
reports that stand, and of each what a person on the telephone would say about it.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from disrupt.core.acts import Act, Action
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import FINGERPRINT, MediaKind
from disrupt.core.outcomes import (
    MatchedVersion,
    MatchOutcome,
    NarrowingPolicy,
    OutcomeReport,
    Settlement,
)
from disrupt.core.policy import FIRST_BANKS, MINORS, Scope
from disrupt.core.registrations import Outcome
from disrupt.core.states import ItemState
from disrupt.core.transforms import areas_permille
from disrupt.data_directory import DataDirectory
from disrupt.feed.follower import Follower
from disrupt.index.generations import create_first
from disrupt.index.live import LiveIndex
from disrupt.operators.restore import restore
from disrupt.registry import opening
from disrupt.registry.backup import back_up
from disrupt.registry.records import DISPUTED_MATCHES, NewItem
from disrupt.services.matching import UNBOUNDED, complete, hash_steps
from disrupt.upkeep.compaction import compact
from disrupt.upkeep.rebuild import rebuild
from indexer.verify import verify
from rig.media.codes import flipped
from rig.media.registrations import ACT, DAY, NEXT_DAY, api_key, registration

PICK = st.integers(0, 2**32).map(random.Random)
ORGANISATIONS = ("north", "south", "east", "west")
POLICY = NarrowingPolicy()
FAR_BITS = POLICY.floor_bits + 1
VERSIONS = [(0, 0), *((1, ordinal) for ordinal in range(20))]
SILENT_MAX = len(VERSIONS) * POLICY.silent_permille // 1000
EVERYWHERE = Scope({bank.number: MAX_DISTANCE_BITS for bank in FIRST_BANKS})

Version = tuple[int, int]


def _shows_whole(version: Version) -> bool:
    plans, ordinals = np.array([version], np.uint16).T
    return bool(areas_permille(plans, ordinals)[0] >= 750)


WHOLE = [version for version in VERSIONS if _shows_whole(version)]


@dataclass(frozen=True, eq=False)
class Picture:
    """What a victim registered; ``is_decided`` once staff have settled anything about it."""

    stored: NewItem
    case: str
    bank: int
    state: ItemState
    is_decided: bool = False

    def hash_of(self, version: Version) -> NDArray[np.uint8]:
        rows = self.stored.fingerprints
        at = (rows["plan"] == version[0]) & (rows["ordinal"] == version[1])
        found: NDArray[np.uint8] = rows["hash"][at][0]
        return found


@dataclass
class Said:
    """Everything that was said and done so far, by the newest id of each picture."""

    pictures: dict[bytes, Picture] = field(default_factory=dict)
    reports: dict[tuple[bytes, str, bytes], tuple[MatchedVersion, ...]] = field(
        default_factory=dict
    )
    """Versions of each false positive that stands, by item, organisation and match."""

    def copy(self) -> Said:
        return Said(dict(self.pictures), dict(self.reports))


class HidingMachine(RuleBasedStateMachine):
    """Hide pictures in every way that is not staff's, and look whether any is hidden."""

    steps: Counter[str]
    """Counts of rules, which a subclass gives."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.directory = DataDirectory(self.folder / "data")
        self.said = Said()
        self.valid: dict[str, str] = {}
        """The valid key of each organisation that has one."""
        self.withdrawn: set[str] = set()
        self.decided: list[tuple[bytes, dict[str, Any]]] = []
        """What staff made of pictures, by item, oldest first."""
        self.backups: list[tuple[Path, Said, int]] = []
        self.opened = ExitStack()

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.directory.make()
        self.open()
        create_first(self.directory.index, self.registry.head().epoch)
        self.start_worker()
        for organisation in ORGANISATIONS:
            self._make_key(organisation)
        for _ in range(2):
            self._register()

    def open(self) -> None:
        self.opened.enter_context(self.directory.locked())
        self.registry = self.opened.enter_context(opening.writing(self.directory))
        self.registry.refresh_narrowings(POLICY, day=NEXT_DAY)

    def start_worker(self) -> None:
        self.reading = ExitStack()
        reader = self.reading.enter_context(opening.reading(self.directory))
        self.live = LiveIndex()
        self.follower = Follower(reader, self.live, self.directory.index)
        self.follower.step()

    def teardown(self) -> None:
        if hasattr(self, "reading"):
            self.reading.close()
        self.opened.close()
        self.stack.close()

    # Victims

    @rule()
    def register(self) -> None:
        self.steps["register"] += 1
        self._register()

    def _register(self) -> None:
        rows = np.zeros(len(VERSIONS), FINGERPRINT)
        rows["hash"] = np.frombuffer(self.chance.randbytes(32 * len(rows)), np.uint8).reshape(
            -1, 32
        )
        rows["quality"], rows["profile"] = 100, 1
        rows["plan"], rows["ordinal"] = np.array(VERSIONS).T
        item = NewItem(self.chance.randbytes(16), MediaKind.IMAGE, rows)
        bank = self.chance.choice(FIRST_BANKS).number
        done = self.registry.register(registration(self.chance, None, item, bank=bank), day=DAY)
        self.said.pictures[item.item_id] = Picture(item, done.case_number, bank, ItemState.LIVE)

    @precondition(lambda self: self.said.pictures)
    @rule(pick=PICK)
    def renew(self, pick: random.Random) -> None:
        """Register a picture again with the hash of one part changed."""
        self.steps["renew"] += 1
        before = self._some(pick)
        rows = before.stored.fingerprints.copy()
        changed = pick.randrange(1, len(rows))
        rows["hash"][changed] = np.frombuffer(self.chance.randbytes(32), np.uint8)
        again = NewItem(self.chance.randbytes(16), MediaKind.IMAGE, rows)
        request = registration(self.chance, before.case, again, bank=before.bank)
        done = self.registry.register(request, day=NEXT_DAY)
        assert done.items[0].outcome == Outcome.RENEWED
        old = before.stored.item_id
        del self.said.pictures[old]
        state = next(
            item.state
            for item in self.registry.case(before.case).items  # type: ignore[union-attr]
            if item.item_id == again.item_id
        )
        assert state.matches == before.state.matches
        self.said.pictures[again.item_id] = replace(before, stored=again, state=state)
        version = VERSIONS[changed]
        for item_id, organisation, match in list(self.said.reports):
            if item_id == old:
                versions = self.said.reports.pop((item_id, organisation, match))
                kept = tuple(each for each in versions if each[:2] != version)
                if kept:
                    self.said.reports[again.item_id, organisation, match] = kept

    @precondition(lambda self: len(self.said.pictures) > 3)
    @rule(pick=PICK)
    def withdraw(self, pick: random.Random) -> None:
        self.steps["withdraw"] += 1
        picture = self._some(pick)
        self.registry.withdraw(picture.case, None, day=NEXT_DAY)
        self.withdrawn.add(picture.case)
        self._forget(picture.stored.item_id)

    def _forget(self, gone: bytes) -> None:
        del self.said.pictures[gone]
        for item_id, organisation, match in list(self.said.reports):
            if item_id == gone:
                del self.said.reports[item_id, organisation, match]

    # Platforms

    @precondition(lambda self: self.said.pictures and self.valid)
    @rule(pick=PICK, bits=st.integers(0, MAX_DISTANCE_BITS), organisations=st.integers(1, 4))
    def report_a_decoy(self, pick: random.Random, bits: int, organisations: int) -> None:
        """Upload a picture of somebody's making at some platforms, which say that it is another."""
        self.steps["report_a_decoy"] += 1
        picture, version = self._some(pick), pick.choice(VERSIONS)
        upload = flipped(picture.hash_of(version), bits, pick.getrandbits(32))
        for organisation in pick.sample(sorted(self.valid), min(organisations, len(self.valid))):
            self._report_false(picture, organisation, upload)

    @precondition(lambda self: self.said.pictures and len(self.valid) > 1)
    @rule(pick=PICK, bits=st.integers(0, MAX_DISTANCE_BITS))
    def report_every_version(self, pick: random.Random, bits: int) -> None:
        """Reach every version of one picture by decoys at two platforms, again and again."""
        self.steps["report_every_version"] += 1
        picture = self._some(pick)
        for organisation in pick.sample(sorted(self.valid), 2):
            for version in VERSIONS:
                upload = flipped(picture.hash_of(version), bits, pick.getrandbits(32))
                self._report_false(picture, organisation, upload)

    def _report_false(self, picture: Picture, organisation: str, upload: NDArray[np.uint8]) -> None:
        self.follower.step()
        versions = self._matched(upload).get(picture.stored.item_id)
        if versions is None:
            return
        match = self.chance.randbytes(12)
        report = OutcomeReport(
            picture.stored.item_id, organisation, MatchOutcome.FALSE_POSITIVE, match, versions
        )
        self.registry.report(report, day=NEXT_DAY)
        self._make_room(picture.stored.item_id, organisation)
        self.said.reports[picture.stored.item_id, organisation, match] = versions

    def _make_room(self, item_id: bytes, organisation: str) -> None:
        """Forget the farthest matches of an organisation beyond those that are kept."""
        own = [of for of in self.said.reports if of[:2] == (item_id, organisation)]
        own.sort(key=lambda of: (min(each[2] for each in self.said.reports[of]), of[2]))
        for of in own[DISPUTED_MATCHES - 1 :]:
            del self.said.reports[of]

    @precondition(lambda self: self.said.reports)
    @rule(pick=PICK, outcome=st.sampled_from([MatchOutcome.BLOCKED, MatchOutcome.PENDING_REVIEW]))
    def correct_a_report(self, pick: random.Random, outcome: MatchOutcome) -> None:
        self.steps["correct_a_report"] += 1
        item_id, organisation, match = of = pick.choice(sorted(self.said.reports))
        versions = self.said.reports.pop(of)
        self.registry.report(
            OutcomeReport(item_id, organisation, outcome, match, versions), day=NEXT_DAY
        )

    @precondition(lambda self: self.valid)
    @rule(pick=PICK)
    def revoke_a_key(self, pick: random.Random) -> None:
        self.steps["revoke_a_key"] += 1
        organisation = pick.choice(sorted(self.valid))
        self.registry.revoke_key(self.valid.pop(organisation), day=NEXT_DAY, act=ACT)

    @rule(organisation=st.sampled_from(ORGANISATIONS))
    def make_a_key(self, organisation: str) -> None:
        if organisation not in self.valid:
            self.steps["make_a_key"] += 1
            self._make_key(organisation)

    def _make_key(self, organisation: str) -> None:
        key_id = self.chance.randbytes(4).hex()
        self.registry.add_key(replace(api_key(key_id), organisation=organisation), act=ACT)
        self.valid[organisation] = key_id

    # Staff and operators

    @precondition(lambda self: self.said.pictures)
    @rule(
        pick=PICK,
        state=st.sampled_from([ItemState.DISABLED, ItemState.ENABLED, ItemState.REJECTED]),
    )
    def set_a_state(self, pick: random.Random, state: ItemState) -> None:
        self.steps["set_a_state"] += 1
        picture = self._some(pick)
        item_id = picture.stored.item_id
        self.registry.set_states([item_id], state, self._act(Action.DISABLE))
        self._decide(item_id, state=state)

    @precondition(lambda self: self.said.pictures)
    @rule(pick=PICK)
    def confirm(self, pick: random.Random) -> None:
        self.steps["confirm"] += 1
        self.registry.confirm_items([self._some(pick).stored.item_id], self._act(Action.CONFIRM))

    @precondition(lambda self: self.said.pictures)
    @rule(pick=PICK)
    def move_to_minors(self, pick: random.Random) -> None:
        self.steps["move_to_minors"] += 1
        picture = self._some(pick)
        item_id = picture.stored.item_id
        self.registry.move_items([item_id], MINORS.number, self._act(Action.MOVE))
        self._decide(item_id, bank=MINORS.number)

    @precondition(lambda self: self.said.reports)
    @rule(pick=PICK, settlement=st.sampled_from(Settlement))
    def settle(self, pick: random.Random, settlement: Settlement) -> None:
        self.steps[settlement.name.lower()] += 1
        item_id = pick.choice(sorted(self.said.reports))[0]
        action = Action.WIDEN if settlement == Settlement.WIDENED else Action.UPHOLD
        self.registry.settle_disputes([item_id], settlement, self._act(action))
        self._decide(item_id, is_decided=True)

    def _decide(self, item_id: bytes, **values: Any) -> None:
        self.said.pictures[item_id] = replace(self.said.pictures[item_id], **values)
        self.decided.append((item_id, values))

    def _act(self, action: Action) -> Act:
        return Act("reviewer", "hotline", action, self.steps.total())

    @rule(work=st.sampled_from(["rebuild", "compact", "reopen", "restart", "back_up", "restore"]))
    def operate(self, work: str) -> None:
        self.steps[work] += 1
        getattr(self, f"_{work}")()

    def _rebuild(self) -> None:
        rebuild(self.registry, self.directory.index)
        assert verify(self.registry, self.directory.index).differences == ()

    def _compact(self) -> None:
        compact(self.registry, self.directory.index)
        assert verify(self.registry, self.directory.index).differences == ()

    def _reopen(self) -> None:
        self.opened.close()
        self.open()

    def _restart(self) -> None:
        self.reading.close()
        self.start_worker()

    def _back_up(self) -> None:
        target = self.folder / f"backup-{self.steps.total()}"
        back_up(self.directory.path, target)
        self.backups.append((target, self.said.copy(), len(self.decided)))
        for old, *_ in self.backups[:-3]:
            shutil.rmtree(old)
        del self.backups[:-3]

    def _restore(self) -> None:
        """Restore the reports of a backup; decisions, keys and withdrawals are those of now."""
        if not self.backups:
            self._back_up()
        source, said, decided = self.chance.choice(self.backups)
        self.reading.close()
        self.opened.close()
        restore(source, self.directory.path, accept_unknown_removals=False)
        self.open()
        self.said = said.copy()
        for item_id, picture in said.pictures.items():
            if picture.case in self.withdrawn or not self.registry.living([item_id]):
                self._forget(item_id)
        for item_id, values in self.decided[decided:]:
            is_disputed = any(of[0] == item_id for of in self.said.reports)
            if item_id in self.said.pictures and (is_disputed or "is_decided" not in values):
                picture = self.said.pictures[item_id]
                self.said.pictures[item_id] = replace(picture, **values)
        keys = self.registry.keys()
        assert self.valid == {
            key.organisation: key.key_id for key in keys if key.valid_on(NEXT_DAY)
        }
        self.start_worker()

    # What has to hold after each step

    @precondition(lambda self: self.said.pictures)
    @invariant()
    def nobody_hides_a_picture_but_staff(self) -> None:
        """Compare what the versions of a picture answer with what stands about them."""
        self.follower.step()
        picture = self._some(self.chance)
        agreed = self._agreed_bits(picture.stored.item_id)
        upto = self.chance.randint
        probes = {
            "same": [(version, upto(0, POLICY.floor_bits)) for version in WHOLE],
            "nearer": [
                (version, upto(0, agreed.get(version, MAX_DISTANCE_BITS + 1) - 1))
                for version in VERSIONS
                if agreed.get(version) != 0
            ],
            "floor": [(version, POLICY.floor_bits) for version in VERSIONS],
            "wrong": [
                (version, upto(max(bits, FAR_BITS), MAX_DISTANCE_BITS))
                for version, bits in agreed.items()
            ],
        }
        every = self._answered(picture, [probe for some in probes.values() for probe in some])
        ends = np.cumsum([len(some) for some in probes.values()])[:-1]
        answered = dict(zip(probes, np.split(every, ends), strict=True))
        if not picture.state.matches:
            assert not every.any(), "what staff have hidden matches"
            return
        assert answered["same"].all(), "reports have hidden a picture"
        assert answered["nearer"].all(), "narrowed nearer than two organisations say"
        if not picture.is_decided:
            silent = (~answered["floor"]).sum()
            assert silent <= SILENT_MAX, "more than a tenth fell silent before staff looked"
            assert not answered["wrong"].any(), "two organisations count for nothing"

    def _agreed_bits(self, item_id: bytes) -> dict[Version, int]:
        """Return from which distance on two organisations with valid keys dispute a version."""
        nearest = defaultdict[Version, dict[str, int]](dict)
        for (of, organisation, _), versions in self.said.reports.items():
            if of == item_id and organisation in self.valid:
                for plan, ordinal, bits in versions:
                    said = nearest[plan, ordinal]
                    said[organisation] = min(bits, said.get(organisation, bits))
        return {
            version: sorted(said.values())[1] for version, said in nearest.items() if len(said) > 1
        }

    def _answered(self, picture: Picture, probes: list[tuple[Version, int]]) -> NDArray[np.bool_]:
        """Tell of copies of versions, so many bits away, whether lookups answer the picture."""
        if not probes:
            return np.empty(0, np.bool_)
        queries = np.stack(
            [
                flipped(picture.hash_of(version), bits, self.chance.getrandbits(32))
                for version, bits in probes
            ]
        )
        matches = complete(
            hash_steps(self.live, queries, EVERYWHERE, 10, most_matches=10**6, allowance=UNBOUNDED)
        )
        of_picture = [each.tobytes() == picture.stored.item_id for each in matches.item_ids]
        return np.isin(np.arange(len(probes)), matches.query[of_picture])

    def _matched(self, upload: NDArray[np.uint8]) -> dict[bytes, tuple[MatchedVersion, ...]]:
        """Return the version of each item that a lookup of one hash answers."""
        matches = complete(
            hash_steps(
                self.live, upload[None], EVERYWHERE, 10, most_matches=10**6, allowance=UNBOUNDED
            )
        )
        versions = zip(
            *(matches.plan.tolist(), matches.ordinal.tolist(), matches.distance_bits.tolist()),
            strict=True,
        )
        return {
            item_id.tobytes(): (MatchedVersion(*version),)
            for item_id, version in zip(matches.item_ids, versions, strict=True)
        }

    def _some(self, pick: random.Random) -> Picture:
        return self.said.pictures[pick.choice(sorted(self.said.pictures))]

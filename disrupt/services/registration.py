"""Register and withdraw media items with a case number and a PIN."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from disrupt.core.acts import Act, Action
from disrupt.core.cases import AgeBand, CaseStatus, new_case_number
from disrupt.core.media import (
    ITEM_ID_BYTES,
    Assurance,
    LowQuality,
    MediaKind,
    pack,
)
from disrupt.core.outcomes import MatchOutcome
from disrupt.core.plausibility import is_unlike_a_picture, misfit
from disrupt.core.policy import age_of, bank_for
from disrupt.core.registrations import (
    CaseAccess,
    MediaItem,
    Outcome,
    Receipt,
    RegisteredItem,
    RegistrationRequest,
    RejectedItem,
    ShownCase,
    ShownItem,
    ShownState,
    sufficient,
)
from disrupt.core.states import ItemState
from disrupt.core.tallies import Statement
from disrupt.errors import (
    CaseClosedError,
    CaseRefusedError,
    InvalidRequestError,
    LimitExceededError,
    RequestIdReusedError,
    Violation,
)
from disrupt.registry.records import (
    CaseItem,
    CaseRecord,
    NewCase,
    NewItem,
    Registered,
    Registration,
    Withdrawn,
)
from disrupt.registry.registry import RegistryWriter
from disrupt.services.common_bank import CommonBank
from disrupt.services.live_limits import LiveLimits
from disrupt.services.pins import Pins
from disrupt.services.proofs_of_work import ProofsOfWork, Purse
from disrupt.services.quotas import Quota
from disrupt.services.tally import Tally
from disrupt.services.throttle import Asked, Throttle


@dataclass(frozen=True, slots=True)
class RegistrationLimits:
    """Bounds on what one person can make the registry hold."""

    items_per_registration: int = 64
    hashes_per_item: int = 1000
    items_per_case: int = 1000
    hashes_per_registration: int = 64_000


@dataclass(frozen=True, slots=True)
class Registrar:
    """The use cases of RegistrationService. Thread-safe.

    ``pepper`` are 32 random bytes. ``caller`` in the methods is the id of the caller's key,
    ``now_s`` of one monotonic clock, ``day`` today's ISO date (UTC). An unknown case and a wrong
    PIN are one and the same CaseRefusedError after the same time. Whatever needs a PIN raises
    NotYetError until that is checked, and is then to be repeated.
    """

    registry: RegistryWriter
    pins: Pins
    throttle: Throttle
    pepper: bytes
    limits: RegistrationLimits = RegistrationLimits()
    quota: Quota = field(default_factory=Quota)
    live: LiveLimits = field(default_factory=LiveLimits)
    proofs: ProofsOfWork = field(default_factory=ProofsOfWork)
    tally: Tally = field(default_factory=Tally)
    common: CommonBank | None = None
    _storing: threading.Lock = field(default_factory=threading.Lock, init=False)

    def register(
        self, request: RegistrationRequest, *, caller: str, now_s: float, day: str
    ) -> Receipt:
        """Register items durably, and return what was stored and what was rejected.

        1. Refuse a request that exceeds a limit (LimitExceededError).
        2. Keep of each item the hashes of quality 50 or better; reject items without any. Refuse
           what is left if it has not the shape of a picture or video (InvalidRequestError): of
           what is not stored nothing is demanded.
        3. If a request of this id was stored before, repeat its answer, provided that PIN and
           content are the same (else RequestIdReusedError).
        4. Open the case: a known one with its PIN (CaseRefusedError, CaseClosedError), or a new one
           under the number derived from the request id. Stop here, storing nothing, if every item
           was rejected.
        5. Store the items, if the caller's quota has room (OverloadedError). Pictures and videos
           that the case has already are renewed or kept, see ``RegistryWriter.register``. New
           ones wait if their bank says so, if their hashes are unlike those of one picture, if
           they are near a picture in common use (``CommonBank``), or if more have come from the
           caller than go live at once (``LiveLimits``).
        """
        self._check_size(request)

        kept = [sufficient(item) for item in request.items]
        _check_shapes(kept)
        accepted = [index for index, item in enumerate(kept) if len(item.fingerprints)]
        rejected = tuple(
            RejectedItem(index, LowQuality(int(item.fingerprints["quality"].max())))
            for index, item in enumerate(request.items)
            if index not in set(accepted)
        )

        digest = self._digest(request)
        earlier = self._registered(request, digest, caller, now_s)
        if earlier is not None:
            return _receipt(earlier, accepted, rejected)

        case: NewCase | str
        if request.access.case_number:
            record = self._open(request.access, caller, now_s)
            _check_open(record)
            if not accepted:
                return Receipt(record.number, record.status, (), rejected, None)
            case = record.number
        elif not accepted:
            return Receipt("", None, (), rejected, None)
        else:
            number = new_case_number(request.request_id)
            case = NewCase(number, self.pins.hash(request.access.pin))

        items = tuple(self._new_item(kept[index]) for index in accepted)
        bank = bank_for(request.age_band).number
        registration = Registration(
            *(request.request_id, digest, case, bank, Assurance.SELF_REPORTED, items),
            keeps_banks=request.age_band == AgeBand.UNSURE,
            key_id=caller,
            origin=request.access.widest_origin,
            statement=Statement(request.age_band, request.door, request.language),
        )
        registered = self._store(registration, request, caller, now_s, day)
        return _receipt(registered, accepted, rejected)

    def challenge(
        self,
        origin_token: bytes,
        wider_origin_tokens: tuple[bytes, ...],
        pictures: int,
        *,
        caller: str,
        at_s: float,
        day: str,
    ) -> str:
        """Return a challenge whose solution gives so many new pictures their turns earlier.

        Empty while the networks have room for as many pictures today. LimitExceededError for more
        than a registration can have items.
        """
        if pictures > self.limits.items_per_registration:
            raise _too_many("pictures in one challenge", self.limits.items_per_registration)
        access = CaseAccess("", "", origin_token, wider_origin_tokens)
        with self._storing:
            has_room = self.live.left(caller, access.origins, day) >= pictures
        return "" if has_room else self.proofs.challenge(caller, origin_token, pictures, at_s=at_s)

    def show(self, access: CaseAccess, *, caller: str, now_s: float, day: str) -> ShownCase:
        """Return the case, to callers that have its PIN."""
        return self._shown(self._open(access, caller, now_s), day)

    def withdraw(
        self,
        access: CaseAccess,
        item_ids: tuple[bytes, ...] | None,
        numbers: tuple[int, ...] = (),
        *,
        caller: str,
        now_s: float,
        day: str,
    ) -> tuple[ShownCase, Withdrawn]:
        """Withdraw some items by ids or numbers, or with None the whole case, durably; idempotent.

        Returns the case as it is then, and what changed. Raises NotFoundError for an item that is
        not of this case, and withdraws nothing then; raises LimitExceededError for more items than
        a case can have.
        """
        if item_ids is not None and len(item_ids) + len(numbers) > self.limits.items_per_case:
            raise _too_many("items in one withdrawal", self.limits.items_per_case)
        self._open(access, caller, now_s)
        withdrawn = self.registry.withdraw(access.case_number, item_ids, numbers=numbers, day=day)
        return self._shown(self._open_again(access), day), withdrawn

    def keep(
        self, access: CaseAccess, *, caller: str, now_s: float, day: str, at_s: int
    ) -> ShownCase:
        """Stop the erasure of a case whose PIN was said to be lost, durably; idempotent."""
        self._open(access, caller, now_s)
        act = Act(caller, "", Action.ERASE_STOPPED, at_s, "pin_known")
        self.registry.stop_erasure(access.case_number, act)
        return self._shown(self._open_again(access), day)

    def _new_item(self, item: MediaItem) -> NewItem:
        return NewItem(
            secrets.token_bytes(ITEM_ID_BYTES),
            item.kind,
            item.fingerprints,
            is_unlike_a_picture(item.kind, item.fingerprints),
            is_common=item.kind == MediaKind.IMAGE
            and self.common is not None
            and self.common.is_near(item.fingerprints),
        )

    def _shown(self, record: CaseRecord, day: str) -> ShownCase:
        """Return what the person sees of a case: what came of its items up to yesterday, too."""
        reported = self.registry.outcomes(record.number, before=day)
        items = tuple(_shown_item(item, reported.get(item.item_id, {})) for item in record.items)
        living = {item.number for item in items}
        withdrawn = tuple(
            number for number in range(1, record.numbers_given + 1) if number not in living
        )
        days = (record.opened_on, record.closed_on)
        erased_on = record.erased_on
        return ShownCase(record.number, record.status, *days, items, withdrawn, erased_on)

    def _open(self, access: CaseAccess, caller: str, now_s: float) -> CaseRecord:
        right = self._is_right(access, caller, now_s)
        record = self.registry.case(access.case_number) if right else None
        if record is None:
            raise CaseRefusedError
        return record

    def _open_again(self, access: CaseAccess) -> CaseRecord:
        """Return a case that the caller has just opened."""
        record = self.registry.case(access.case_number)
        if record is None:
            raise CaseRefusedError
        return record

    def _is_right(self, access: CaseAccess, caller: str, now_s: float) -> bool:
        """Tell whether the PIN is that of the case, which counts as an attempt."""
        number, proof = access.case_number, self.pins.proof(access.pin)
        asked = Asked(caller, access.origin_token, number, proof)
        return self.throttle.ask(asked, self.registry.pin_hash(number), now_s)

    def _registered(
        self, request: RegistrationRequest, digest: bytes, caller: str, now_s: float
    ) -> Registered | None:
        """Return the answer that the request had before; None if its id is new.

        Its PIN is an attempt like any other, whether the rest is the same or not: an answer without
        it would show whether a PIN is right.
        """
        earlier = self.registry.registered(request.request_id)
        if earlier is None:
            return None
        access = replace(request.access, case_number=earlier[1].case_number)
        right = self._is_right(access, caller, now_s)
        if not (right and hmac.compare_digest(earlier[0], digest)):
            raise _reused()
        return earlier[1]

    def _store(
        self,
        registration: Registration,
        request: RegistrationRequest,
        caller: str,
        now_s: float,
        day: str,
    ) -> Registered:
        """Store a registration, unless another thread stored the same request meanwhile.

        Raises RequestIdReusedError where another request has opened a case of the same number. The
        quota is charged afterwards, so that a replay, and what a full disk refuses, cost nothing.
        """
        with self._storing:
            earlier = self._registered(request, registration.request_digest, caller, now_s)
            if earlier is not None:
                return earlier
            if isinstance(registration.case, NewCase):
                self._check_free(registration.case.number, request, caller, now_s)
            hashes = sum(len(item.fingerprints) for item in registration.items)
            access = request.access
            self.quota.check(caller, access.origin_token, hashes, now_s)
            left = self.live.left(caller, access.origins, day)
            purse = self._purse(request, caller)
            registered = self.registry.register(
                replace(registration, live_pictures=left, paid_pictures=purse.left),
                day=day,
                items_per_case=self.limits.items_per_case,
            )
            purse.left -= registered.paid_pictures
            charged = _charged(registered)
            self.quota.charge(caller, charged, now_s)
            self.live.charge(caller, access.origins, registered.live_pictures, day)
            number, origin = registered.case_number, access.widest_origin
            self.tally.count(number, caller, origin, charged, day)
        return registered

    def _purse(self, request: RegistrationRequest, caller: str) -> Purse:
        """Return what pays for earlier turns."""
        if not request.proof_of_work:
            return Purse()
        origin = request.access.origin_token
        return self.proofs.purse(request.proof_of_work, caller, origin, at_s=time.time())

    def _check_free(
        self, number: str, request: RegistrationRequest, caller: str, now_s: float
    ) -> None:
        """Refuse the number of another request's case, which stays as it is.

        Request ids can be ground until they lead to a given number, with 2^49 SHA-256. Whoever does
        learns that the case exists: so that counts as an attempt with a wrong PIN, and the answer
        is that to a request id used before.
        """
        if self.registry.case(number) is not None:
            self._is_right(replace(request.access, case_number=number), caller, now_s)
            raise _reused()

    def _check_size(self, request: RegistrationRequest) -> None:
        if len(request.items) > self.limits.items_per_registration:
            raise _too_many("items in one registration", self.limits.items_per_registration)
        for item in request.items:
            if len(item.fingerprints) > self.limits.hashes_per_item:
                raise _too_many("hashes of one item", self.limits.hashes_per_item)
        limit = self.limits.hashes_per_registration
        if sum(len(item.fingerprints) for item in request.items) > limit:
            raise _too_many("hashes in one registration", limit)

    def _digest(self, request: RegistrationRequest) -> bytes:
        """Return an HMAC over all that the request says of case and media, not over its sender.

        Nor over its PIN: whoever has a backup has the pepper, and could try PINs on it.
        """
        texts = (request.access.case_number.encode(), bytes([request.age_band]))
        parts = [*texts, *(bytes([item.kind]) + pack(item.fingerprints) for item in request.items)]
        message = b"".join(struct.pack(">Q", len(part)) + part for part in parts)
        return hmac.digest(self.pepper, b"disrupt registration\0" + message, hashlib.sha256)


def _check_shapes(items: list[MediaItem]) -> None:
    for at, item in enumerate(items):
        problem = misfit(item.kind, item.fingerprints) if len(item.fingerprints) else ""
        if problem:
            raise InvalidRequestError.of(
                Violation(f"items[{at}].fingerprints", f"{problem}. Nothing was registered.")
            )


def _reused() -> RequestIdReusedError:
    return RequestIdReusedError("This request id was used for another request. Draw a new one.")


def _check_open(record: CaseRecord) -> None:
    if record.status in {CaseStatus.WITHDRAWN, CaseStatus.REJECTED}:
        raise CaseClosedError(
            f"The case is {record.status.name.lower()}: register under a new case."
        )


def _receipt(
    registered: Registered, accepted: list[int], rejected: tuple[RejectedItem, ...]
) -> Receipt:
    items = tuple(
        RegisteredItem(
            *(index, held.item_id, held.hashes, held.number, held.outcome),
            *(_shown_state(held.state), held.wait_reason),
        )
        for index, held in zip(accepted, registered.items, strict=True)
    )
    return Receipt(registered.case_number, registered.status, items, rejected, registered.cursor)


def _charged(registered: Registered) -> int:
    """Count the hashes that were stored, and one for an item that was kept, whose answer is."""
    return sum(1 if item.outcome == Outcome.KEPT else item.hashes for item in registered.items)


def _shown_item(item: CaseItem, days: Mapping[MatchOutcome, str]) -> ShownItem:
    """Return an item as the person sees it, with the newest day of each outcome.

    A false positive is about somebody else's upload, a pending review about what nobody decided
    yet: whoever registers pictures to watch others learns of neither.
    """
    return ShownItem(
        *(item.item_id, item.kind, item.hashes, age_of(item.bank)),
        *(item.number, item.registered_on, item.identity, _shown_state(item.state)),
        blocked_on=days.get(MatchOutcome.BLOCKED, ""),
        left_up_on=days.get(MatchOutcome.NOT_BLOCKED, ""),
        wait_reason=item.wait_reason,
    )


def _shown_state(state: ItemState) -> ShownState:
    """Return a state as the person is told."""
    if state == ItemState.WAITING:
        return ShownState.WAITING
    return ShownState.LIVE if state.matches else ShownState.OFF


def _too_many(what: str, limit: int) -> LimitExceededError:
    return LimitExceededError(f"At most {limit} {what}. Send fewer.", limit=str(limit))

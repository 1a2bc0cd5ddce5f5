"""Register and withdraw media items with a case number and a PIN."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from disrupt.core.cases import CaseStatus, new_case_number
from disrupt.core.changes import Cursor
from disrupt.core.hashes import MIN_QUALITY
from disrupt.core.media import (
    ITEM_ID_BYTES,
    Assurance,
    ItemState,
    LowQuality,
    StateReason,
    folded,
    most_at_once,
    pack,
)
from disrupt.core.outcomes import shown
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
)
from disrupt.errors import (
    CaseClosedError,
    CaseRefusedError,
    LimitExceededError,
    RequestIdReusedError,
)
from disrupt.registry.contract import (
    CaseItem,
    CaseRecord,
    NewCase,
    NewItem,
    Registered,
    Registration,
    RegistryWriter,
)
from disrupt.services.door import Door
from disrupt.services.keys import list_keys
from disrupt.services.pins import Pins
from disrupt.services.quotas import Quota
from disrupt.services.throttle import Asked, Throttle


@dataclass(frozen=True, slots=True)
class RegistrationLimits:
    """Bounds on what one person can make the registry hold."""

    items_per_registration: int = 64
    hashes_per_item: int = 1000
    items_per_case: int = 1000
    hashes_per_registration: int = 64_000
    hashes_at_once: int = 1000
    """Hashes of a picture, or of any moment of a video: plan 1 has some 200 of a picture, and 256
    frames of an animation that earlier clients gave no times have some 800 of one moment."""


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
    door: Door | None = None
    _storing: threading.Lock = field(default_factory=threading.Lock, init=False)

    def register(
        self, request: RegistrationRequest, *, caller: str, now_s: float, day: str, at_s: int = 0
    ) -> Receipt:
        """Register items durably; reject those without a hash of quality 50 or better.

        The same request, PIN included, under the same request id gets the first answer again. A
        new case gets the number derived from the request id. A picture or video that the case has
        already is renewed or kept, see ``RegistryWriter.register``. Raises RequestIdReusedError
        (same id, other request, or withdrawn or renewed since; or another request has opened a case
        of this number),
        CaseClosedError, LimitExceededError, and OverloadedError for a caller whose quota is used
        up; a replay is not charged to it.
        """
        self._check_size(request)
        kept = [_sufficient(item) for item in request.items]
        if any(most_at_once(item.fingerprints) > self.limits.hashes_at_once for item in kept):
            raise _too_many(
                "hashes of a picture, or of one moment of a video", self.limits.hashes_at_once
            )
        accepted = [at for at, item in enumerate(kept) if len(item.fingerprints)]
        rejected = tuple(
            RejectedItem(at, LowQuality(int(item.fingerprints["quality"].max())))
            for at, item in enumerate(request.items)
            if at not in set(accepted)
        )
        digest = self._digest(request)
        earlier = self._registered(request, digest, caller, now_s)
        if earlier is not None:
            return self._receipt(earlier, accepted, rejected, day)

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
        items = tuple(
            NewItem(secrets.token_bytes(ITEM_ID_BYTES), kept[at].kind, kept[at].fingerprints)
            for at in accepted
        )
        bank = bank_for(request.age_band).number
        registration = Registration(
            request.request_id, digest, case, bank, Assurance.SELF_REPORTED, items, at_s
        )
        registered = self._store(registration, request, caller, now_s, day)
        return self._receipt(registered, accepted, rejected, day)

    def show(self, access: CaseAccess, *, caller: str, now_s: float, day: str) -> ShownCase:
        """Return the case, to callers that have its PIN."""
        return self._shown(self._open(access, caller, now_s), day)

    def withdraw(
        self,
        access: CaseAccess,
        item_ids: tuple[bytes, ...] | None,
        *,
        caller: str,
        now_s: float,
        day: str,
    ) -> tuple[ShownCase, Cursor]:
        """Withdraw some items, or with None the whole case, durably; idempotent.

        Returns the case as it is then, and the cursor that includes the change. Raises
        NotFoundError for an item that is not of this case, and withdraws nothing then; raises
        LimitExceededError for more items than a case can have.
        """
        if item_ids is not None and len(item_ids) > self.limits.items_per_case:
            raise _too_many("items in one withdrawal", self.limits.items_per_case)
        self._open(access, caller, now_s)
        cursor = self.registry.withdraw(access.case_number, item_ids, day=day)
        record = self.registry.case(access.case_number)
        if record is None:
            raise CaseRefusedError
        return self._shown(record, day), cursor

    def keep(
        self,
        access: CaseAccess,
        stop: Callable[[str], Cursor],
        *,
        caller: str,
        now_s: float,
        day: str,
    ) -> tuple[ShownCase, Cursor]:
        """Keep a case that staff were asked to erase without its PIN; idempotent.

        ``stop`` stops the erasure of a case number durably. It is called only for a case that is to
        be erased, or may be, so that nothing happens to another. Returns what ``withdraw`` does.
        """
        record = self._open(access, caller, now_s)
        cursor = self.registry.head()
        if record.erasure is not None and not record.erasure.erased_on:
            cursor = stop(access.case_number)
            record = self.registry.case(access.case_number) or record
        return self._shown(record, day), cursor

    def _shown(self, record: CaseRecord, day: str) -> ShownCase:
        """Return the case as the person sees it, with outcomes that were reported before today."""
        outcomes = self.registry.outcomes(record.number, before=day)
        items = tuple(
            ShownItem(
                item.item_id,
                item.kind,
                item.hashes,
                age_of(item.bank),
                shown(outcomes.get(item.item_id, ())),
                _shown_state(item, day),
            )
            for item in record.items
        )
        return ShownCase(
            *(record.number, record.status, record.opened_on, record.closed_on, items),
            record.erasure,
        )

    def _receipt(
        self,
        registered: Registered,
        accepted: list[int],
        rejected: tuple[RejectedItem, ...],
        day: str,
    ) -> Receipt:
        """Return the answer to a registration, with the states that ``_shown`` shows."""
        places = registered.items
        if any(place.state == ItemState.WAITING for place in places):
            record = self.registry.case(registered.case_number)
            items = record.items if record is not None else ()
            states = {item.item_id: _shown_state(item, day) for item in items}
            places = tuple(
                place._replace(state=states.get(place.item_id, place.state)) for place in places
            )
        return Receipt(
            *(registered.case_number, registered.status),
            tuple(RegisteredItem(at, *place) for at, place in zip(accepted, places, strict=True)),
            *(rejected, registered.cursor),
        )

    def _open(self, access: CaseAccess, caller: str, now_s: float) -> CaseRecord:
        right = self._is_right(access, caller, now_s)
        record = self.registry.case(access.case_number) if right else None
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
        with self._storing:
            earlier = self._registered(request, registration.request_digest, caller, now_s)
            if earlier is not None:
                return earlier
            if isinstance(registration.case, NewCase):
                self._check_free(registration.case.number, request, caller, now_s)
            hashes = sum(len(item.fingerprints) for item in registration.items)
            organisation, origin = self._organisation(caller), request.access.origin_token
            self.quota.check(organisation, origin, hashes, now_s)
            if self.door is not None:
                waits = self.door.waits(registration.items, organisation, origin, now_s)
                registration = _waiting(registration, waits)
            try:
                registered = self.registry.register(
                    registration, day=day, items_per_case=self.limits.items_per_case
                )
            except LimitExceededError:
                # The door has compared all of it: who sends it again and again has to pay.
                self.quota.charge(organisation, hashes, now_s)
                raise
            # Not before: what a full disk refuses is not charged.
            self.quota.charge(organisation, _charged(registered), now_s)
            if self.door is not None:
                added = _added(registration.items, registered)
                self.door.note(added, len(added), organisation, origin, now_s)
        return registered

    def _organisation(self, key_id: str) -> str:
        """Return the organisation of a key, whose keys share a quota; else the key's own id."""
        organisations = {key.key_id: key.organisation for key in list_keys(self.registry)}
        return organisations.get(key_id) or key_id

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
        most = self.limits.hashes_per_registration
        if sum(len(item.fingerprints) for item in request.items) > most:
            raise _too_many("hashes in one registration", most)

    def _digest(self, request: RegistrationRequest) -> bytes:
        """Return an HMAC over all that the request says of case and media, not over its sender.

        Nor over its PIN: whoever has a backup has the pepper, and could try PINs on it.
        """
        texts = (request.access.case_number.encode(), bytes([request.age_band]))
        parts = [*texts, *(bytes([item.kind]) + pack(item.fingerprints) for item in request.items)]
        message = b"".join(struct.pack(">Q", len(part)) + part for part in parts)
        return hmac.digest(self.pepper, b"disrupt registration\0" + message, hashlib.sha256)


def _waiting(registration: Registration, waits: list[StateReason | None]) -> Registration:
    """Return the registration with what its items wait for, unless they wait for it already."""
    items = zip(registration.items, waits, strict=True)
    waiting = tuple(replace(item, waits=item.waits or reason) for item, reason in items)
    return replace(registration, items=waiting)


def _added(items: tuple[NewItem, ...], registered: Registered) -> list[NewItem]:
    """Return the items that their case did not have."""
    new = {place.item_id for place in registered.items if place.outcome == Outcome.ADDED}
    return [item for item in items if item.item_id in new]


def _reused() -> RequestIdReusedError:
    return RequestIdReusedError("This request id was used for another request. Draw a new one.")


def _check_open(record: CaseRecord) -> None:
    if record.status in {CaseStatus.WITHDRAWN, CaseStatus.REJECTED}:
        raise CaseClosedError(
            f"The case is {record.status.name.lower()}: register under a new case."
        )


def _sufficient(item: MediaItem) -> MediaItem:
    good = item.fingerprints[item.fingerprints["quality"] >= MIN_QUALITY]
    return MediaItem(item.kind, folded(good))


def _shown_state(item: CaseItem, day: str) -> ItemState:
    """Return the state that the person sees: what platforms say of an item shows a day late."""
    return ItemState.LIVE if item.hidden_on >= day else item.state


def _charged(registered: Registered) -> int:
    """Count the hashes that were stored, and one for an item that was kept, whose answer is."""
    return sum(1 if place.outcome == Outcome.KEPT else place.hashes for place in registered.items)


def _too_many(what: str, limit: int) -> LimitExceededError:
    return LimitExceededError(f"At most {limit} {what}. Send fewer.", limit=str(limit))

"""Keep partners' lists: add, apply and remove them, each in a bank of its own."""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from disrupt.core.acts import Act, Action
from disrupt.core.cases import new_case_number
from disrupt.core.lists import (
    ENTRIES_AT_ONCE,
    SOURCE_BYTES_MAX,
    SOURCE_ID_BYTES_MAX,
    ListEntry,
    PartnerList,
    Skipped,
)
from disrupt.core.media import ITEM_ID_BYTES, MediaKind
from disrupt.core.plausibility import misfit
from disrupt.core.policy import FIRST_BANKS, BankPolicy
from disrupt.core.registrations import REQUEST_ID_BYTES, MediaItem, sufficient
from disrupt.errors import InvalidRequestError, LimitExceededError, Violation
from disrupt.registry.records import ListPart, NewCase, NewItem
from disrupt.registry.registry import RegistryWriter
from disrupt.services.banks import create_bank
from disrupt.services.common_bank import CommonBank
from disrupt.services.pins import Pins

_CODE = re.compile(r"[a-z_]{0,32}")


@dataclass(frozen=True, slots=True)
class PartnerLists:
    """The use cases of ``disrupt lists``. Thread-safe."""

    registry: RegistryWriter
    common: CommonBank

    def add(self, name: str, source: str, policy: BankPolicy, *, act: Act, day: str) -> PartnerList:
        """Add a list with its bank of the same name, which is made unless there is one.

        Nobody has the PIN of its case: what is hashed is random, under a pepper that is forgotten.
        Raises InvalidRequestError for a source that is no JSON object of up to SOURCE_BYTES_MAX,
        for the name of a list, of a bank of own cases or of one that is the same on every server,
        and for a policy where the bank is there; and what ``create_bank`` does.
        """
        if not _is_source(source):
            raise InvalidRequestError.of(Violation("source", "not a JSON object, or a large one"))
        bank = next((bank for bank in self.registry.banks() if bank.name == name), None)
        if bank is not None and (bank.is_fixed or bank in FIRST_BANKS):
            raise InvalidRequestError.of(
                Violation("name", f"the bank {name!r} is none for a list: choose another name")
            )
        if bank is not None and policy != BankPolicy():
            raise InvalidRequestError.of(
                Violation("policy", f"there is a bank {name!r}: `disrupt banks set` changes it")
            )
        if bank is None:
            made = replace(act, action=Action.BANK_ADDED)
            bank = create_bank(self.registry, name, policy, act=made)
        number = new_case_number(secrets.token_bytes(REQUEST_ID_BYTES))
        pin_hash = Pins(secrets.token_bytes(32)).hash(secrets.token_hex(16))
        case = NewCase(number, pin_hash)
        self.registry.add_list(name, source, bank.number, case, act=act, day=day)
        return next(added for added in self.registry.lists() if added.name == name)

    def apply(
        self,
        name: str,
        entries: Sequence[ListEntry],
        checkpoint: str | None,
        withdrawn_before_s: int,
        *,
        day: str,
    ) -> tuple[Mapping[str, int], bool]:
        """Apply up to ENTRIES_AT_ONCE entries durably, with the checkpoint that covers them.

        Returns how many were skipped, by Skipped, and whether more is to be withdrawn before the
        checkpoint is noted: then repeat it. An entry that has not the shape of a picture or video
        leaves what is stored of its id as it is; one near a picture in common use waits for a
        review.
        """
        if len(entries) > ENTRIES_AT_ONCE:
            raise LimitExceededError(
                f"At most {ENTRIES_AT_ONCE} entries at once.", limit=str(ENTRIES_AT_ONCE)
            )
        skipped, taken, items = Counter[str](), list[ListEntry](), list[NewItem | None]()
        for entry in entries:
            item = _item(entry)
            if isinstance(item, Skipped):
                skipped[item] += 1
            else:
                taken.append(entry)
                items.append(item)
        self._mark_common(items)
        part = ListPart(name, taken, items, checkpoint, withdrawn_before_s)
        applied = self.registry.apply_list(part, day=day)
        skipped[Skipped.STALE] += applied.stale
        return +skipped, applied.is_more

    def note_run(self, name: str, failure: str, skipped: Mapping[str, int], *, at_s: int) -> None:
        """Note how a run ended. InvalidRequestError for a reason that is no code."""
        if not all(map(_CODE.fullmatch, (failure, *skipped))):
            raise InvalidRequestError.of(Violation("failure", "not a code of a-z and _"))
        self.registry.note_list_run(name, failure, skipped, at_s)

    def _mark_common(self, items: list[NewItem | None]) -> None:
        """Mark those of the items that are pictures near to one in common use."""
        pictures = {
            at: item.fingerprints["hash"][0]
            for at, item in enumerate(items)
            if item is not None and item.kind == MediaKind.IMAGE
        }
        if pictures:
            are_near = self.common.are_near(np.stack(list(pictures.values())))
            for at in np.array(list(pictures))[are_near]:
                items[at] = replace(items[at], is_common=True)


def _is_source(source: str) -> bool:
    try:
        return len(source.encode()) <= SOURCE_BYTES_MAX and isinstance(json.loads(source), dict)
    except (ValueError, RecursionError):
        return False


def _item(entry: ListEntry) -> NewItem | Skipped | None:
    """Return the item of an entry, None of one that was withdrawn, or why it gets none."""
    if not 1 <= len(entry.source_id) <= SOURCE_ID_BYTES_MAX:
        return Skipped.MALFORMED
    if entry.fingerprints is None:
        return None
    kept = sufficient(MediaItem(entry.kind, entry.fingerprints)).fingerprints
    if not len(kept):
        return Skipped.INDISTINCT
    if misfit(entry.kind, kept):
        return Skipped.MALFORMED
    return NewItem(secrets.token_bytes(ITEM_ID_BYTES), entry.kind, kept)

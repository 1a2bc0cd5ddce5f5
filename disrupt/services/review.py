"""Review of items and cases by the hotline's staff."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from disrupt.core.acts import Act, Action, ActRecord, Verification
from disrupt.core.media import OF_STAFF, REJECTIONS, ItemState, StateReason
from disrupt.core.policy import ApiKey
from disrupt.core.review import CaseFilter, ItemFilter, ReviewedCase, ReviewedItem
from disrupt.errors import (
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    Violation,
)
from disrupt.registry.contract import RegistryWriter

_KEY_BYTES = 64
_HANDLE_BYTES = 8
_PAGE_S = 0.5
"""Time for which one page is looked for, where few items are what is asked for."""

_ACTS_VERIFIED = 10_000
"""Acts that one call verifies: some tenths of a second."""
_ACTS_AT_ONCE = 500

_Wanted = TypeVar("_Wanted", ItemFilter, CaseFilter)
_Row = TypeVar("_Row", ReviewedItem, ReviewedCase)


class PageTokens:
    """Seal and open places in lists with AES-SIV (RFC 5297), as numbers would count all cases."""

    def __init__(self, secret: bytes) -> None:
        """Derive the key from ``secret``, 32 random bytes that may have other uses."""
        self._cipher = AESSIV(
            HKDFExpand(SHA256(), _KEY_BYTES, b"disrupt page token").derive(secret)
        )

    def seal(self, list_name: str, before: int) -> str:
        """Return the token of a place in a list; empty for 0, its end."""
        if not before:
            return ""
        sealed = self._cipher.encrypt(before.to_bytes(8), [list_name.encode()])
        return base64.urlsafe_b64encode(sealed).decode()

    def open(self, list_name: str, token: str) -> int | None:
        """Invert ``seal``; None for no token. Raises InvalidRequestError for any other text."""
        if not token:
            return None
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
            return int.from_bytes(self._cipher.decrypt(raw, [list_name.encode()]))
        except (UnicodeEncodeError, binascii.Error, InvalidTag, ValueError):
            raise InvalidRequestError.of(
                Violation("page_token", "not a token of this list: pass one back unaltered")
            ) from None


@dataclass(frozen=True, slots=True)
class Verified:
    """How far the log of acts was verified; ``broken`` is None, or the first act that is not right.

    ``number`` and ``digest`` are of the last act that is.
    """

    number: int
    digest: bytes
    broken: int | None
    complete: bool


class Review:
    """The use cases of ReviewService. Thread-safe.

    ``caller`` is the id of a key with the right REVIEW. What a key may not see it cannot change:
    every method raises PermissionDeniedError for an item in, or a name of, another key's bank.
    NotFoundError for an item that is unknown or withdrawn; then nothing is changed.
    """

    def __init__(self, registry: RegistryWriter, secret: bytes) -> None:
        """Take the ``secret``, 32 random bytes, from which handles and tokens are made."""
        self._registry = registry
        self._secret = secret
        self._tokens = PageTokens(secret)

    def bank_names(self) -> dict[int, str]:
        """Return the name of each bank, by number."""
        return {bank.number: bank.name for bank in self._registry.banks()}

    def case_handle(self, case: int) -> str:
        """Return what stands for a case: 16 hexadecimal digits, from which nothing can be read."""
        message = b"disrupt case handle\0" + case.to_bytes(8)
        return hmac.digest(self._secret, message, hashlib.sha256)[:_HANDLE_BYTES].hex()

    def items(
        self, wanted: ItemFilter, banks: Sequence[str], token: str, size: int, *, caller: str
    ) -> tuple[Sequence[ReviewedItem], str]:
        """Return a page of items in ``banks``, by name, empty for all; and the next page's token.

        ``banks`` take the place of those of ``wanted``.
        """
        wanted = replace(wanted, banks=self._banks(banks, self._key(caller)))
        if wanted.case_of is not None:
            self._seen([wanted.case_of], caller)
        return self._page("items", self._registry.reviewed_items, wanted, token, size)

    def cases(
        self, wanted: CaseFilter, token: str, size: int, *, caller: str
    ) -> tuple[Sequence[ReviewedCase], str]:
        """Return a page of cases with items in the key's banks, and the next page's token."""
        wanted = replace(wanted, banks=self._key(caller).banks)
        return self._page("cases", self._registry.reviewed_cases, wanted, token, size)

    def item(self, item_id: bytes, *, caller: str) -> ReviewedItem:
        """Return one item."""
        return self._seen([item_id], caller)[0]

    def set_states(
        self,
        item_ids: Sequence[bytes],
        state: ItemState,
        reason: StateReason,
        *,
        caller: str,
        day: str,
        at_s: int,
    ) -> Sequence[ReviewedItem]:
        """Change the state of items, and return them as they are now.

        ``day`` and ``at_s`` are the present. InvalidRequestError for a reason that only the server
        gives, or a rejection that does not disable.
        """
        if reason not in {*OF_STAFF, *REJECTIONS}:
            raise InvalidRequestError.of(Violation("reason", "only the server itself gives it"))
        if reason.is_rejection and state != ItemState.DISABLED:
            raise InvalidRequestError.of(Violation("reason", "what is rejected is disabled"))
        self._check_changeable(item_ids, caller)
        act = Act(caller, _action(state, reason), at_s)
        self._registry.set_states(item_ids, state, day=day, act=act, reason=reason)
        return self._registry.reviewed(item_ids)

    def move(
        self, item_ids: Sequence[bytes], bank: str, *, caller: str, at_s: int
    ) -> Sequence[ReviewedItem]:
        """Move items to a bank of the key, by name, and return them as they are now."""
        (number,) = self._banks([bank], self._key(caller), field="bank")
        self._check_changeable(item_ids, caller)
        act = Act(caller, Action.ITEMS_MOVED, at_s)
        self._registry.move_items(item_ids, number, act=act)
        return self._registry.reviewed(item_ids)

    def confirm(
        self, item_ids: Sequence[bytes], *, caller: str, at_s: int
    ) -> Sequence[ReviewedItem]:
        """Confirm items, and return them as they are now."""
        self._check_changeable(item_ids, caller)
        self._registry.confirm_items(item_ids, act=Act(caller, Action.ITEMS_CONFIRMED, at_s))
        return self._registry.reviewed(item_ids)

    def acts(self, after: int, size: int) -> Sequence[ActRecord]:
        """Return up to ``size`` acts after a number, oldest first."""
        return self._registry.acts(after, size)

    def verify(self, after: int, digest: bytes) -> Verified:
        """Verify some thousands of acts after one that was verified; 0 and no digest for none.

        That one is broken if the log has no act of its number and digest: not any more, perhaps.
        """
        if after:
            kept = [(act.number, act.digest) for act in self._registry.acts(after - 1, 1)]
            if kept != [(after, digest)]:
                return Verified(0, b"", after, complete=True)
        verification = Verification(after, digest) if after else Verification()
        page: Sequence[ActRecord] = ()
        while verification.acts - after < _ACTS_VERIFIED and verification.broken is None:
            page = self._registry.acts(verification.acts, _ACTS_AT_ONCE)
            verification.read(page)
            if not page:
                break
        return Verified(
            verification.acts,
            verification.digest if verification.acts else b"",
            verification.broken,
            complete=not page,
        )

    def _key(self, caller: str) -> ApiKey:
        keys = self._registry.keys()
        return next(key for key in keys if key.key_id == caller)

    def _banks(self, names: Sequence[str], key: ApiKey, *, field: str = "banks") -> frozenset[int]:
        """Return the banks of these names, all of the key for none."""
        numbers = {bank.name: bank.number for bank in self._registry.banks()}
        for name in names:
            if name not in numbers:
                raise InvalidRequestError.of(Violation(field, f"no bank is named {name!r}"))
            if numbers[name] not in key.banks:
                raise _denied(name)
        return frozenset(numbers[name] for name in names) or key.banks

    def _seen(self, item_ids: Sequence[bytes], caller: str) -> Sequence[ReviewedItem]:
        """Return items, by number, all of which the key may see."""
        items = self._registry.reviewed(item_ids)
        for unknown in sorted(set(item_ids).difference(item.item_id for item in items)):
            raise NotFoundError(f"There is no item {unknown.hex()}, or it was withdrawn.")
        key, names = self._key(caller), self.bank_names()
        for item in items:
            if item.bank not in key.banks:
                raise _denied(names.get(item.bank, ""))
        return items

    def _check_changeable(self, item_ids: Sequence[bytes], caller: str) -> None:
        """Raise what ``_seen`` raises, for a call that is to change the items."""
        try:
            self._seen(item_ids, caller)
        except NotFoundError as error:
            raise NotFoundError(f"{error.message} None was changed.") from None

    def _page(
        self,
        list_name: str,
        read: Callable[[_Wanted, int | None, int], tuple[Sequence[_Row], int]],
        wanted: _Wanted,
        token: str,
        size: int,
    ) -> tuple[Sequence[_Row], str]:
        before = self._tokens.open(list_name, token)
        give_up_s, rows = time.monotonic() + _PAGE_S, list[_Row]()
        while True:
            some, before = read(wanted, before, size - len(rows))
            rows += some
            if not before or len(rows) == size or time.monotonic() > give_up_s:
                return rows, self._tokens.seal(list_name, before)


def _denied(bank: str) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"This key may not review the bank {bank!r}. An operator can allow it by `disrupt keys"
        " set`, which has to name all banks that the key is to have.",
        bank=bank,
    )


def _action(state: ItemState, reason: StateReason) -> Action:
    if reason.is_rejection:
        return Action.ITEMS_REJECTED
    return {
        ItemState.LIVE: Action.ITEMS_ENABLED,
        ItemState.WAITING: Action.ITEMS_SET_WAITING,
        ItemState.DISABLED: Action.ITEMS_DISABLED,
    }[state]

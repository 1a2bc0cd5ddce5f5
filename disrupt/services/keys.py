"""Make, list, change, rotate, revoke and authenticate the keys of callers."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from disrupt.core.acts import Act
from disrupt.core.partners import Partner, is_https, listed
from disrupt.core.policy import ApiKey, Bank, LookupQuota, Right, without_hidden
from disrupt.errors import InvalidRequestError, NotFoundError, UnauthenticatedError, Violation
from disrupt.registry.registry import RegistryReader, RegistryWriter

SECRET_PREFIX = "disrupt_"  # noqa: S105 the prefix lets scanners find leaked secrets
_SECRET_BYTES = 32
_KEY_ID_BYTES = 4
NAME_CHARACTERS_MAX = 100

OVERLAP_DAYS_MAX = 366
"""Longest time that a key works beside the one that replaces it."""

QUOTA_MAX = 2**53
"""Largest quota: counts are float64."""


def create_key(  # noqa: PLR0913 all but four by name
    registry: RegistryWriter,
    name: str,
    rights: Iterable[Right],
    bank_names: Sequence[str],
    *,
    day: str,
    act: Act,
    organisation: str = "",
    expires_on: str = "",
    distance_bands: bool = False,
) -> tuple[ApiKey, str]:
    """Make a key; return it with its secret, of which only the SHA-256 is stored.

    Empty ``bank_names`` stand for every bank that exists now but the test bank, an empty
    ``organisation`` for one that is named as the key. Raises InvalidRequestError for a name or
    organisation that is empty, longer than 100 characters or not printable, no right, an unknown
    bank, or a day of expiry that is none or not after ``day``.
    """
    name = _checked_name("name", name)
    granted = frozenset(rights)
    if not granted:
        raise InvalidRequestError.of(Violation("rights", "give at least one right"))
    _check_expiry(expires_on, day)
    secret = _new_secret()
    key = ApiKey(
        _new_key_id(registry),
        name,
        _checked_name("organisation", organisation) if organisation else name,
        _digest(secret),
        granted,
        _bank_numbers(registry, bank_names),
        created_on=day,
        expires_on=expires_on,
        distance_bands=distance_bands,
    )
    registry.add_key(key, act=act)
    return key, secret


def rotate_key(
    registry: RegistryWriter,
    key_id: str,
    *,
    overlap_days: int,
    day: str,
    act: Act,
    expires_on: str = "",
) -> tuple[ApiKey, ApiKey, str]:
    """Make a key like another, which expires after an overlap; return old and new with its secret.

    The old key expires ``overlap_days`` (1-366) after ``day``, unless it does so before. The new
    one is of the same name, organisation, rights, banks and bands, and expires on ``expires_on``.
    Raises what ``change_key`` does.
    """
    if not 1 <= overlap_days <= OVERLAP_DAYS_MAX:
        raise InvalidRequestError.of(
            Violation("overlap_days", f"{overlap_days} is outside 1-{OVERLAP_DAYS_MAX}")
        )
    _check_expiry(expires_on, day)
    key = _unrevoked(registry, key_id)
    overlap_until = (date.fromisoformat(day) + timedelta(days=overlap_days)).isoformat()
    old = replace(key, expires_on=min(key.expires_on or overlap_until, overlap_until))
    secret = _new_secret()
    new = replace(
        key,
        key_id=_new_key_id(registry),
        secret_sha256=_digest(secret),
        created_on=day,
        expires_on=expires_on,
        last_used_on="",
    )
    registry.add_key(new, act=act, replaced=old)
    return old, new, secret


def change_key(
    registry: RegistryWriter,
    key_id: str,
    *,
    day: str,
    act: Act,
    rights: Iterable[Right] = (),
    bank_names: Sequence[str] = (),
    expires_on: str | None = None,
    distance_bands: bool | None = None,
) -> ApiKey:
    """Replace rights, banks, expiry or bands of a key; what is empty or None stays.

    An empty ``expires_on`` is no expiry. The act gets what was named as its reason. Raises
    NotFoundError if no key has that id, and InvalidRequestError for a key that was revoked, and as
    ``create_key``.
    """
    key = _unrevoked(registry, key_id)
    if expires_on:
        _check_expiry(expires_on, day)
    granted = frozenset(rights)
    changed = replace(
        key,
        rights=granted or key.rights,
        banks=_bank_numbers(registry, bank_names) if bank_names else key.banks,
        expires_on=key.expires_on if expires_on is None else expires_on,
        distance_bands=key.distance_bands if distance_bands is None else distance_bands,
    )
    given = {
        "rights": granted,
        "banks": bank_names,
        "expiry": expires_on is not None,
        "distance_bands": distance_bands is not None,
    }
    reason = "_".join(part for part, is_given in given.items() if is_given)
    registry.change_key(changed, act=replace(act, reason=reason))
    return changed


def revoke_key(registry: RegistryWriter, key_id: str, *, day: str, act: Act) -> ApiKey:
    """Revoke a key; idempotent. Raises NotFoundError if no key has that id."""
    return registry.revoke_key(_canonical_id(key_id), day=day, act=act)


def set_quota(registry: RegistryWriter, quota: LookupQuota, *, act: Act) -> None:
    """Set the quota of an organisation.

    Raises NotFoundError if no key belongs to it, InvalidRequestError for a number out of range.
    """
    for field in ("per_minute", "per_day", "hashes_per_minute", "hashes_per_day"):
        if not 0 <= getattr(quota, field) <= QUOTA_MAX:
            raise InvalidRequestError.of(Violation(field, f"give 0-{QUOTA_MAX}"))
    registry.set_quota(quota, act=act)


def set_partner(registry: RegistryWriter, partner: Partner, *, act: Act) -> None:
    """Set how an organisation is named to people affected; an empty name: not at all.

    Raises NotFoundError if no key belongs to it, InvalidRequestError for a name as
    ``create_key``, or a link that is no https address.
    """
    if partner.name:
        _checked_name("name", partner.name)
        if not is_https(partner.report_url):
            raise InvalidRequestError.of(
                Violation("report_url", "give an address that begins with https://")
            )
    registry.set_partner(partner, act=act)


def _checked_name(field: str, name: str) -> str:
    name = name.strip()
    if not (0 < len(name) <= NAME_CHARACTERS_MAX and name.isprintable()):
        raise InvalidRequestError.of(
            Violation(field, f"give 1-{NAME_CHARACTERS_MAX} printable characters")
        )
    return name


def _check_expiry(expires_on: str, day: str) -> None:
    """Raise InvalidRequestError unless a key may expire then, or ``expires_on`` is empty."""
    if not expires_on:
        return
    try:
        is_day = date.fromisoformat(expires_on).isoformat() == expires_on
    except ValueError:
        is_day = False
    if not is_day:
        raise InvalidRequestError.of(Violation("expires_on", "no day: write it as YYYY-MM-DD"))
    if expires_on <= day:
        raise InvalidRequestError.of(
            Violation(
                "expires_on",
                f"{expires_on} is not after today, {day} (UTC): give a later"
                " day, or revoke the key",
            )
        )


def _bank_numbers(registry: RegistryReader, names: Sequence[str]) -> frozenset[int]:
    """Return the numbers of the banks of these names; of all but the test bank for no name.

    The bank of pictures in common use is no key's.
    """
    banks = [bank for bank in registry.banks() if not bank.is_common]
    by_name = {bank.name: bank.number for bank in banks}
    for unknown in (name for name in names if name not in by_name):
        known = ", ".join(by_name)
        raise InvalidRequestError.of(
            Violation("banks", f"no bank is named {unknown!r}; there are: {known}")
        )
    wanted = names or [bank.name for bank in banks if not bank.is_test]
    return frozenset(by_name[name] for name in wanted)


def _new_key_id(registry: RegistryReader) -> str:
    keys = registry.keys()
    taken = {key.key_id for key in keys}
    key_id = secrets.token_hex(_KEY_ID_BYTES)
    while key_id in taken:
        key_id = secrets.token_hex(_KEY_ID_BYTES)
    return key_id


def _new_secret() -> str:
    random = base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).rstrip(b"=")
    return SECRET_PREFIX + random.decode()


def _canonical_id(key_id: str) -> str:
    return key_id.strip().lower()


def _unrevoked(registry: RegistryReader, key_id: str) -> ApiKey:
    """Return a key. Raises NotFoundError if there is none, InvalidRequestError if revoked."""
    keys, wanted = registry.keys(), _canonical_id(key_id)
    for key in keys:
        if key.key_id == wanted:
            if key.revoked_on:
                raise InvalidRequestError.of(
                    Violation("key_id", "this key was revoked, for good: make another")
                )
            return key
    raise NotFoundError("There is no key of this id. `disrupt keys list` shows all.")


class KeyUses:
    """The day on which each key was last used, as one worker saw it. For its event loop alone."""

    def __init__(self) -> None:
        """Start with none."""
        self._seen: dict[str, str] = {}
        self._told: dict[str, str] = {}

    def note(self, key_id: str, day: str) -> None:
        """Note in memory that a key is used on ``day``."""
        self._seen[key_id] = day

    def untold(self) -> dict[str, str]:
        """Return by key id the days of which the writer was not told yet."""
        return {key_id: day for key_id, day in self._seen.items() if self._told.get(key_id) != day}

    def told(self, days: Mapping[str, str]) -> None:
        """Note that the writer was told of these days."""
        self._told.update(days)


class KeyRing:
    """The keys that are valid on a day. Immutable, so safe to share between threads.

    The banks of a key are those that its organisation may see, too.
    """

    def __init__(
        self,
        keys: Sequence[ApiKey] = (),
        banks: tuple[Bank, ...] = (),
        quotas: Sequence[LookupQuota] = (),
        partners: Sequence[Partner] = (),
        *,
        day: str,
    ) -> None:
        restricted = [bank for bank in banks if bank.organisations]
        self._by_digest = {
            key.secret_sha256: without_hidden(key, restricted) for key in keys if key.valid_on(day)
        }
        self.day = day
        self.quotas = {quota.organisation: quota for quota in quotas}
        """Quotas of the organisations that have one, by name."""
        self.partners = listed(partners, self._by_digest.values(), banks)
        """Partner platforms that may be named, by name."""
        self.organisations = {key.key_id: key.organisation for key in keys}
        """Organisations by the ids of their keys, invalid ones too."""
        self.platforms = {
            key.organisation for key in self._by_digest.values() if Right.MATCH in key.rights
        }
        """Organisations with a valid key of right MATCH."""
        self.names = {key.key_id: key.name for key in keys}
        """Names of keys by their ids, invalid ones too."""
        self.banks = banks
        self.bank_names = {bank.number: bank.name for bank in banks}

    def authenticate(self, secret: str) -> ApiKey:
        """Return the key with this secret. Raises UnauthenticatedError if none is valid.

        Digests are compared, so that timing reveals nothing of a secret.
        """
        return self._valid(_digest(secret))

    def still(self, key: ApiKey) -> ApiKey:
        """Return the key as it is now. Raises UnauthenticatedError if it is not valid any more."""
        return self._valid(key.secret_sha256)

    def _valid(self, digest: bytes) -> ApiKey:
        key = self._by_digest.get(digest)
        if key is None:
            raise UnauthenticatedError(
                "This key is not known here, has expired, or was revoked. Ask the operator for a"
                " valid one."
            )
        return key


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()

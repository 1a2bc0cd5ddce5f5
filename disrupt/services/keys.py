"""Make, list, change, rotate, revoke and authenticate the keys of callers."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from disrupt.core.acts import Act
from disrupt.core.organisations import NAME_CHARACTERS_MAX, Kind, Organisation
from disrupt.core.policy import TEST, ApiKey, Bank, Right
from disrupt.errors import InvalidRequestError, UnauthenticatedError, Violation
from disrupt.registry.contract import RegistryReader, RegistryWriter, Successor

SECRET_PREFIX = "disrupt_"  # noqa: S105 the prefix lets scanners find leaked secrets
_SECRET_BYTES = 32
_KEY_ID_BYTES = 4

OVERLAP_DAYS_MAX = 366
"""Longest time that a key works beside the one that replaces it: a year, as for certificates."""


def create_key(
    registry: RegistryWriter,
    name: str,
    rights: Iterable[Right],
    bank_names: Sequence[str],
    *,
    day: str,
    act: Act,
    organisation: str = "",
    expires_on: str = "",
) -> tuple[ApiKey, str]:
    """Make a key; return it with its secret, of which only the SHA-256 is stored.

    Empty ``bank_names`` stand for every bank that exists now, an empty ``organisation`` for that
    which the key is named after. Raises InvalidRequestError for a name or organisation that is
    empty, longer than 100 characters or not printable, no right, an unknown bank, or a last day
    that is past or no ISO date.
    """
    name = _checked_name("name", name)
    organisation = _checked_name("organisation", organisation or name)
    granted = frozenset(rights)
    if not granted:
        raise InvalidRequestError.of(Violation("rights", "give at least one right"))
    banks = _bank_numbers(registry, bank_names) or frozenset(
        bank.number for bank in registry.banks()
    )
    _check_last_day(expires_on, day)
    secret = _new_secret()
    key = ApiKey(
        _new_id(registry),
        name,
        _digest(secret),
        granted,
        banks,
        created_on=day,
        organisation=organisation,
        expires_on=expires_on,
    )
    registry.add_key(key, act=act)
    return key, secret


def change_key(
    registry: RegistryWriter,
    key_id: str,
    *,
    rights: Iterable[Right] = (),
    bank_names: Sequence[str] = (),
    expires_on: str | None = None,
    organisation: str = "",
    day: str,
    act: Act,
) -> ApiKey:
    """Replace the rights, banks, last day or organisation of a key; what is empty, or None, stays.

    An empty ``expires_on`` removes the last day. Raises NotFoundError if no key has that id, and
    InvalidRequestError if it is revoked, for an unknown bank, an organisation that no key can have,
    or a last day that is past or no ISO date.
    """
    if expires_on is not None:
        _check_last_day(expires_on, day, "to end a key now, revoke it")
    return registry.change_key(
        _given_id(key_id),
        rights=frozenset(rights) or None,
        banks=_bank_numbers(registry, bank_names) or None,
        expires_on=expires_on,
        organisation=_checked_name("organisation", organisation) if organisation else None,
        act=act,
    )


def set_organisation(
    registry: RegistryWriter,
    name: str,
    rates: Mapping[Kind, float | None],
    certificate: str | None = None,
    *,
    act: Act,
) -> Organisation:
    """Replace quotas or the certificate of an organisation; return it as it is now.

    A rate of None is everybody's from now on; a kind that is not named stays, and so does a
    ``certificate`` of None. Raises NotFoundError if no key belongs to it, and InvalidRequestError
    for a rate that is not above 0, or a certificate's name that is not printable.
    """
    for kind, rate in rates.items():
        if rate is not None and not rate > 0:
            raise InvalidRequestError.of(Violation(kind.value, f"{rate:g} is not above 0"))
    if certificate:
        certificate = _checked_name("certificate", certificate)
    before = next(
        (known for known in registry.organisations() if known.name == name), Organisation(name)
    )
    own = {kind: rate for kind, rate in {**before.rates, **rates}.items() if rate is not None}
    changed = Organisation(name, own, before.certificate if certificate is None else certificate)
    registry.set_organisation(changed, act=act)
    return changed


def list_organisations(registry: RegistryReader) -> tuple[Organisation, ...]:
    """Return all organisations that have a key, in the order of their oldest keys."""
    own = {organisation.name: organisation for organisation in registry.organisations()}
    names = dict.fromkeys(key.organisation for key in list_keys(registry))
    return tuple(own.get(name, Organisation(name)) for name in names)


def rotate_key(
    registry: RegistryWriter,
    key_id: str,
    *,
    overlap_days: int,
    expires_on: str | None = None,
    day: str,
    act: Act,
) -> tuple[ApiKey, ApiKey, str]:
    """Make a key like another, which ends ``overlap_days`` from now; return old, new, and secret.

    The old key keeps its own last day if that is earlier; ``expires_on`` is that of the new one,
    empty for none, and has to be said where the old one has a last day.
    Raises NotFoundError if no key has that id, and InvalidRequestError if it is revoked or has a
    bank that does not exist any more, for an overlap longer than 366 days, or for a last day that
    is past or no ISO date.
    """
    if not 0 <= overlap_days <= OVERLAP_DAYS_MAX:
        raise InvalidRequestError.of(
            Violation("overlap_days", f"{overlap_days} is outside 0-{OVERLAP_DAYS_MAX} (inclusive)")
        )
    key_id = _given_id(key_id)
    if expires_on is None:
        _check_endless(list_keys(registry), key_id)
    _check_last_day(expires_on or "", day)
    secret = _new_secret()
    successor = Successor(_new_id(registry), _digest(secret), day, expires_on or "")
    until = (date.fromisoformat(day) + timedelta(days=overlap_days)).isoformat()
    old, new = registry.rotate_key(key_id, successor, overlap_until=until, act=act)
    return old, new, secret


def list_keys(registry: RegistryReader) -> tuple[ApiKey, ...]:
    """Return all keys, oldest first, revoked ones too."""
    return registry.keys()


def revoke_key(registry: RegistryWriter, key_id: str, *, day: str, act: Act) -> ApiKey:
    """Revoke a key; idempotent. Raises NotFoundError if no key has that id."""
    return registry.revoke_key(_given_id(key_id), day=day, act=act)


def _check_endless(keys: Iterable[ApiKey], key_id: str) -> None:
    """Refuse to guess when the successor of a key that has a last day is to end."""
    for key in keys:
        if key.key_id == key_id and key.expires_on and not key.revoked_on:
            raise InvalidRequestError.of(
                Violation(
                    "expires_on",
                    f"the key has a last day, {key.expires_on}: say that of the new one, or never",
                )
            )


def _given_id(key_id: str) -> str:
    return key_id.strip().lower()


def _new_id(registry: RegistryReader) -> str:
    taken = {key.key_id for key in list_keys(registry)}
    key_id = secrets.token_hex(_KEY_ID_BYTES)
    while key_id in taken:
        key_id = secrets.token_hex(_KEY_ID_BYTES)
    return key_id


def _new_secret() -> str:
    random = base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).rstrip(b"=")
    return SECRET_PREFIX + random.decode()


def _checked_name(field: str, name: str) -> str:
    name = name.strip()
    if not (0 < len(name) <= NAME_CHARACTERS_MAX and name.isprintable()):
        raise InvalidRequestError.of(
            Violation(field, f"give 1-{NAME_CHARACTERS_MAX} printable characters")
        )
    return name


def _bank_numbers(registry: RegistryReader, names: Sequence[str]) -> frozenset[int]:
    by_name = {bank.name: bank.number for bank in registry.banks()}
    for unknown in (name for name in names if name not in by_name):
        known = ", ".join(by_name)
        raise InvalidRequestError.of(
            Violation("banks", f"no bank is named {unknown!r}; there are: {known}")
        )
    return frozenset(by_name[name] for name in names)


def _check_last_day(expires_on: str, day: str, instead: str = "give a later day") -> None:
    """Raise InvalidRequestError unless a key may have this last day, on ``day``; empty is none.

    ``instead`` is what to do where the day is past.
    """
    if not expires_on:
        return
    try:
        is_day = date.fromisoformat(expires_on).isoformat() == expires_on
    except ValueError:
        is_day = False
    if not is_day:
        raise InvalidRequestError.of(
            Violation("expires_on", f"{expires_on!r} is no day: write it as YYYY-MM-DD")
        )
    if expires_on < day:
        raise InvalidRequestError.of(
            Violation(
                "expires_on",
                f"{expires_on} is past, today is {day} (UTC): {instead}",
            )
        )


class KeyUses:
    """The last day on which each key was used, as one worker saw it. For its event loop alone."""

    def __init__(self) -> None:
        """Start with none."""
        self._seen: dict[str, str] = {}
        self._told: dict[str, str] = {}

    def note(self, key_id: str, day: str) -> None:
        """Note in memory that a key is used, on ``day``."""
        self._seen[key_id] = day

    def untold(self) -> dict[str, str]:
        """Return by key id the days of which the writer was not told yet."""
        return {key_id: day for key_id, day in self._seen.items() if self._told.get(key_id) != day}

    def told(self, days: Mapping[str, str]) -> None:
        """Note that the writer was told of these days."""
        self._told.update(days)


class KeyRing:
    """The keys that are valid on a day. Immutable, so safe to share between threads."""

    def __init__(
        self,
        keys: Sequence[ApiKey],
        banks: tuple[Bank, ...],
        organisations: Sequence[Organisation] = (),
        *,
        day: str,
    ) -> None:
        self._by_digest = {key.secret_sha256: key for key in keys if key.valid_on(day)}
        self._ended = {key.secret_sha256 for key in keys if not key.valid_on(day)}
        self.numbers: dict[str, int] = {}
        """Of the organisations that have a key, see ``number``."""
        for at, key in enumerate(keys):
            self.numbers.setdefault(key.organisation, at)
        self.organisations = {organisation.name: organisation for organisation in organisations}
        """Those that have quotas or a certificate of their own, by name."""
        self.day = day
        self.banks = banks
        self.bank_names = {bank.number: bank.name for bank in (*banks, TEST)}

    def authenticate(self, secret: str) -> ApiKey:
        """Return the key with this secret. Raises UnauthenticatedError if there is no valid one.

        Digests are compared, so that timing reveals nothing of a secret.
        """
        return self._valid(_digest(secret))

    def still(self, key: ApiKey) -> ApiKey:
        """Return the key as it is now. Raises UnauthenticatedError if it is not valid any more."""
        return self._valid(key.secret_sha256)

    def ended(self, secret: str) -> bool:
        """Tell whether the key with this secret is known here, and has expired or was revoked."""
        return _digest(secret) in self._ended

    def number(self, organisation: str) -> int:
        """Return the number of an organisation that has a key: the index of its oldest key.

        It stays the same while keys are added, and no other organisation has it. It may change
        where a key is given another organisation.
        """
        return self.numbers[organisation]

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

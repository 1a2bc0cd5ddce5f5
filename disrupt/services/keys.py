"""Make, list, revoke and authenticate the keys of callers."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Sequence

from disrupt.core.policy import ApiKey, Bank, Right
from disrupt.errors import InvalidRequestError, UnauthenticatedError, Violation
from disrupt.registry.contract import RegistryWriter

SECRET_PREFIX = "disrupt_"  # noqa: S105 the prefix lets scanners find leaked secrets
_SECRET_BYTES = 32
_KEY_ID_BYTES = 4
NAME_CHARACTERS_MAX = 100


def create_key(
    registry: RegistryWriter,
    name: str,
    rights: Iterable[Right],
    bank_names: Sequence[str],
    *,
    day: str,
) -> tuple[ApiKey, str]:
    """Make a key; return it with its secret, of which only the SHA-256 is stored.

    Empty ``bank_names`` stand for every bank that exists now. Raises InvalidRequestError for a name
    that is empty, longer than 100 characters or not printable, no right, or an unknown bank.
    """
    name, granted = name.strip(), frozenset(rights)
    if not (0 < len(name) <= NAME_CHARACTERS_MAX and name.isprintable()):
        raise InvalidRequestError.of(
            Violation("name", f"give 1-{NAME_CHARACTERS_MAX} printable characters")
        )
    if not granted:
        raise InvalidRequestError.of(Violation("rights", "give at least one right"))
    by_name = {bank.name: bank for bank in registry.banks()}
    for unknown in (bank_name for bank_name in bank_names if bank_name not in by_name):
        known = ", ".join(by_name)
        raise InvalidRequestError.of(
            Violation("banks", f"no bank is named {unknown!r}; there are: {known}")
        )
    keys = registry.keys()
    taken = {key.key_id for key in keys}
    key_id = secrets.token_hex(_KEY_ID_BYTES)
    while key_id in taken:
        key_id = secrets.token_hex(_KEY_ID_BYTES)
    random = base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).rstrip(b"=")
    secret = SECRET_PREFIX + random.decode()
    banks = frozenset(by_name[bank_name].number for bank_name in bank_names or by_name)
    key = ApiKey(key_id, name, _digest(secret), granted, banks, created_on=day)
    registry.add_key(key)
    return key, secret


def revoke_key(registry: RegistryWriter, key_id: str, *, day: str) -> ApiKey:
    """Revoke a key; idempotent. Raises NotFoundError if no key has that id."""
    return registry.revoke_key(key_id.strip().lower(), day=day)


class KeyRing:
    """The keys that are valid now. Immutable, so safe to share between threads."""

    def __init__(self, keys: Sequence[ApiKey] = (), banks: tuple[Bank, ...] = ()) -> None:
        self._by_digest = {key.secret_sha256: key for key in keys if not key.revoked_on}
        self.banks = banks
        self.bank_names = {bank.number: bank.name for bank in banks}

    def authenticate(self, secret: str) -> ApiKey:
        """Return the key with this secret. Raises UnauthenticatedError if it is unknown or revoked.

        Digests are compared, so that timing reveals nothing of a secret.
        """
        return self._valid(_digest(secret))

    def still(self, key: ApiKey) -> ApiKey:
        """Return the key as it is now. Raises UnauthenticatedError if it was revoked."""
        return self._valid(key.secret_sha256)

    def _valid(self, digest: bytes) -> ApiKey:
        key = self._by_digest.get(digest)
        if key is None:
            raise UnauthenticatedError(
                "This key is not known here, or was revoked. Ask the operator for a valid one."
            )
        return key


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()

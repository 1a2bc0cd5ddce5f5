"""The part of the registry's contract for keys, and for the quotas of their organisations."""

from collections.abc import Collection
from typing import Protocol

from disrupt.core.acts import Act
from disrupt.core.policy import ApiKey, LookupQuota


class KeyReader(Protocol):
    """Reading of keys, as ``contract.RegistryReader`` reads."""

    def keys(self) -> tuple[ApiKey, ...]:
        """Return all keys, oldest first, revoked and expired ones too."""

    def quotas(self) -> tuple[LookupQuota, ...]:
        """Return the quotas of the organisations that have one."""


class KeyWriter(KeyReader, Protocol):
    """Writing of keys, as ``contract.RegistryWriter`` writes.

    An act is noted in the transaction of what was done, for each key that was changed by it.
    """

    def add_key(self, key: ApiKey, *, act: Act, replaced: ApiKey | None = None) -> None:
        """Add a key; with ``replaced``, change that one in the same transaction.

        UnavailableError if its id is taken.
        """

    def change_key(self, key: ApiKey, *, act: Act) -> None:
        """Change rights, banks and expiry of the key of this id; all else is ignored.

        NotFoundError if there is none.
        """

    def revoke_key(self, key_id: str, *, day: str, act: Act) -> ApiKey:
        """Revoke a key; idempotent. NotFoundError if there is none of that id.

        Kept outside the database too, as a removal is, and completed by calling again.
        """

    def note_key_uses(self, key_ids: Collection[str], *, day: str) -> None:
        """Note that keys were used on a day; of ids that there are not, nothing is noted."""

    def set_quota(self, quota: LookupQuota, *, act: Act) -> None:
        """Set the quota of an organisation. NotFoundError if no key belongs to it."""

"""The role of keys, of the organisations that they belong to, and of banks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from disrupt.core.acts import Act
from disrupt.core.organisations import Organisation
from disrupt.core.policy import ApiKey, Bank, BankPolicy, Right


@dataclass(frozen=True, slots=True)
class Successor:
    """What a key that takes the place of another does not have from it; days as in ``ApiKey``."""

    key_id: str
    secret_sha256: bytes
    created_on: str
    expires_on: str


class KeyReader(Protocol):
    """Read keys, organisations and banks."""

    def keys(self) -> tuple[ApiKey, ...]:
        """Return all keys, oldest first, revoked ones too."""

    def organisations(self) -> tuple[Organisation, ...]:
        """Return the organisations that have quotas or a certificate of their own, by name."""

    def banks(self) -> tuple[Bank, ...]:
        """Return all banks, by number."""


class KeyWriter(Protocol):
    """Change keys, organisations and banks."""

    def add_key(self, key: ApiKey, *, act: Act) -> None:
        """Add a key. The subject of the act gets ``key``, ``rights``, ``banks``, ``expires_on``."""

    def revoke_key(self, key_id: str, *, day: str, act: Act) -> ApiKey:
        """Revoke a key; idempotent. NotFoundError if there is none of that id.

        The subject of the act gets ``key``.

        Kept outside the database too, as a removal is, and completed by calling again.
        """

    def change_key(
        self,
        key_id: str,
        *,
        rights: Collection[Right] | None = None,
        banks: Collection[int] | None = None,
        expires_on: str | None = None,
        organisation: str | None = None,
        act: Act,
    ) -> ApiKey:
        """Replace rights, banks, last day or organisation of a key; None leaves them. Return it.

        The subject of the act gets what that of ``add_key`` has, as it is now.

        NotFoundError if there is none of that id, InvalidRequestError if it is revoked or one of
        ``banks`` does not exist; then nothing is changed.
        """

    def rotate_key(
        self, key_id: str, successor: Successor, *, overlap_until: str, act: Act
    ) -> tuple[ApiKey, ApiKey]:
        """Add a key with the name, organisation, rights and banks of another; return old and new.

        The old one is valid until the day ``overlap_until``, or until its own last day if that is
        before. Errors as for ``change_key``, also if a bank of the key does not exist any more. The
        subject of the act gets what that of ``add_key`` has, of the old key, and ``successor``.
        """

    def note_uses(self, days: Mapping[str, str]) -> None:
        """Note by key id the day on which a key was last used, unless a later one is noted.

        Ids of which there is no key are passed over.
        """

    def set_organisation(self, organisation: Organisation, *, act: Act) -> None:
        """Replace all that an organisation has of its own. NotFoundError if no key belongs to it.

        One that has nothing of its own any more is not listed. The subject of the act gets its
        name, quotas and certificate; there is none where nothing changes.
        """

    def add_bank(self, name: str, policy: BankPolicy, *, act: Act) -> Bank:
        """Add a bank with the next number, and return it.

        What ``policy`` leaves out is as in ``Bank``. InvalidRequestError if a bank has that name.
        """

    def change_bank(self, name: str, policy: BankPolicy, *, act: Act) -> Bank:
        """Change the policy of a bank, and return it as it is now. Items that are there stay as is.

        NotFoundError if no bank has that name.
        """

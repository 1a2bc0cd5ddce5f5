"""The passkeys of staff, in a file of the desk's folder, and how they are verified.

Beside each passkey is the secret of the key that it stands for, since the server takes nothing
else: whoever can read the folder has these keys. Hence the folder is its owner's alone.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from disrupt.desk.refusals import PasskeyRefusedError
from disrupt.errors import ConfigurationError

_OTHERS = 0o077
_MADE = """
    CREATE TABLE IF NOT EXISTS passkeys (
        id BLOB PRIMARY KEY,
        public_key BLOB NOT NULL,
        sign_count INTEGER NOT NULL,
        name TEXT NOT NULL,
        secret TEXT NOT NULL,
        enrolled_on TEXT NOT NULL
    )
"""
_REFUSED = "The passkey is not known here, or its answer came too late. Begin again."
_VERIFIED = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey, and the key of the server that it stands for; the day is an ISO date, UTC."""

    id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int
    name: str
    secret: str = field(repr=False)
    enrolled_on: str


@dataclass(frozen=True, slots=True)
class Party:
    """Who asks for passkeys: the origin of the desk, ``https://desk.example.org``, and its host."""

    origin: str
    host: str

    def options_to_enrol(self, challenge: bytes, name: str) -> str:
        """Return, as JSON, what the browser needs to make a passkey."""
        selection = AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_VERIFIED
        )
        options = webauthn.generate_registration_options(
            rp_id=self.host,
            rp_name="Disrupt",
            user_name=name,
            challenge=challenge,
            authenticator_selection=selection,
        )
        return webauthn.options_to_json(options)

    def options_to_sign_in(self, challenge: bytes) -> str:
        """Return, as JSON, what the browser needs to ask for any passkey of this desk."""
        options = webauthn.generate_authentication_options(
            rp_id=self.host, challenge=challenge, user_verification=_VERIFIED
        )
        return webauthn.options_to_json(options)

    def enrolled(
        self, credential: dict[str, Any], challenge: bytes, name: str, secret: str, day: str
    ) -> Passkey:
        """Return the passkey that a browser made. Raises PasskeyRefusedError."""
        with _refusing():
            made = webauthn.verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.host,
                expected_origin=self.origin,
                require_user_verification=True,
            )
        return Passkey(
            made.credential_id, made.credential_public_key, made.sign_count, name, secret, day
        )

    def sign_count(self, credential: dict[str, Any], challenge: bytes, passkey: Passkey) -> int:
        """Verify what a passkey signed; return its new count. Raises PasskeyRefusedError."""
        with _refusing():
            verified = webauthn.verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.host,
                expected_origin=self.origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        return verified.new_sign_count


class Passkeys:
    """The file of passkeys. For one thread."""

    def __init__(self, directory: Path) -> None:
        """Open or make it. Raises ConfigurationError where others could read it."""
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if directory.stat().st_mode & _OTHERS:
                raise ConfigurationError(
                    f"{directory} (--state-dir) holds secrets of keys, and others may enter it:"
                    f" chmod 700 {directory}.",
                    setting="state_dir",
                )
            path = directory / "passkeys.sqlite"
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._file = sqlite3.connect(path, isolation_level=None)
            self._file.execute("PRAGMA secure_delete = ON")
            self._file.execute("PRAGMA synchronous = FULL")
            self._file.execute(_MADE)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"The desk cannot keep passkeys in {directory} (--state-dir): {error}.",
                setting="state_dir",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, passkey: Passkey) -> None:
        """Add a passkey. Raises PasskeyRefusedError for an id that is there."""
        row = (
            *(passkey.id, passkey.public_key, passkey.sign_count),
            *(passkey.name, passkey.secret, passkey.enrolled_on),
        )
        try:
            self._file.execute("INSERT INTO passkeys VALUES (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError as error:
            raise PasskeyRefusedError(_REFUSED) from error

    def of_credential(self, credential: dict[str, Any]) -> Passkey:
        """Return the passkey that an answer names. Raises PasskeyRefusedError."""
        with _refusing():
            named = webauthn.base64url_to_bytes(credential["rawId"])
        row = self._file.execute("SELECT * FROM passkeys WHERE id = ?", (named,)).fetchone()
        if row is None:
            raise PasskeyRefusedError(_REFUSED)
        return Passkey(*row)

    def count(self, passkey: Passkey, sign_count: int) -> None:
        """Note how often a passkey has signed, so that a copy of it shows."""
        self._file.execute(
            "UPDATE passkeys SET sign_count = ? WHERE id = ?", (sign_count, passkey.id)
        )

    def of_secret(self, secret: str) -> list[Passkey]:
        """Return the passkeys of a key, the oldest first."""
        rows = self._file.execute(
            "SELECT * FROM passkeys WHERE secret = ? ORDER BY rowid", (secret,)
        )
        return [Passkey(*row) for row in rows]

    def remove(self, passkey_id: bytes, secret: str) -> None:
        """Remove a passkey of a key, where it has it."""
        self._file.execute("DELETE FROM passkeys WHERE id = ? AND secret = ?", (passkey_id, secret))


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Raise PasskeyRefusedError for an answer that is not what a passkey says."""
    try:
        yield
    except (WebAuthnException, KeyError, TypeError, ValueError, AttributeError) as error:
        raise PasskeyRefusedError(_REFUSED) from error

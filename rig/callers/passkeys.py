"""An authenticator of passkeys in software, which signs what a browser would have it sign."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import bytes_to_base64url

_PRESENT, _VERIFIED, _HAS_KEY = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """Make passkeys, and sign with them; ``verifies`` says whether it asks who touches it."""

    origin: str
    verifies: bool = True
    keys: dict[bytes, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    signed: int = 0

    def make(self, options: dict[str, Any], **changed: Any) -> dict[str, Any]:
        """Return the credential that answers the options of a registration."""
        key, key_id = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)
        self.keys[key_id] = key
        numbers = key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        attested = bytes(16) + len(key_id).to_bytes(2) + key_id + cbor2.dumps(public)
        data = self._data(options["rp"]["id"], _HAS_KEY) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._credential(
            key_id,
            clientDataJSON=self._client_data("webauthn.create", options, **changed),
            attestationObject=attestation,
        )

    def sign(self, options: dict[str, Any], **changed: Any) -> dict[str, Any]:
        """Return the newest passkey's answer to the options of a sign-in."""
        key_id, key = list(self.keys.items())[-1]
        data = self._data(options["rpId"])
        client_data = self._client_data("webauthn.get", options, **changed)
        signed = data + hashlib.sha256(client_data).digest()
        return self._credential(
            key_id,
            clientDataJSON=client_data,
            authenticatorData=data,
            signature=key.sign(signed, ec.ECDSA(hashes.SHA256())),
        )

    def _data(self, host: str, flags: int = 0) -> bytes:
        self.signed += 1
        flags |= _PRESENT | (_VERIFIED if self.verifies else 0)
        return hashlib.sha256(host.encode()).digest() + bytes([flags]) + self.signed.to_bytes(4)

    def _client_data(self, kind: str, options: dict[str, Any], **changed: Any) -> bytes:
        data = {"type": kind, "challenge": options["challenge"], "origin": self.origin}
        return json.dumps(data | changed).encode()

    def _credential(self, key_id: bytes, **response: bytes) -> dict[str, Any]:
        named = bytes_to_base64url(key_id)
        encoded = {name: bytes_to_base64url(value) for name, value in response.items()}
        return {"id": named, "rawId": named, "type": "public-key", "response": encoded}

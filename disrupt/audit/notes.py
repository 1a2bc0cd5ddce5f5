"""Checkpoints as signed notes: C2SP's signed-note and tlog-checkpoint, with Ed25519."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from disrupt.errors import NoteError

_ED25519 = b"\1"
_KEY_BYTES, _HASH_BYTES, _ID_BYTES, _SIGNATURE_BYTES = 32, 32, 4, 64
_SIGNATURE = re.compile(r"\u2014 (?P<name>[^\s+]+) (?P<value>[A-Za-z0-9+/=]+)")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
NAME = re.compile(r"[^\s+]{1,200}")
"""Pattern of the name of a log, which is its origin and that of its key: such as ``host/log``."""
NOTE_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Verifier:
    """Name and public key (32 bytes) by which the notes of a log are checked."""

    name: str
    key: bytes

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of the hash of name, algorithm and key."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """Return it as C2SP writes it: ``name+id+key``."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.key).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what ``str`` wrote. NoteError for anything else."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        key = _decoded(encoded)
        verifier = cls(name, key[1:])
        if (
            not NAME.fullmatch(name)
            or key[:1] != _ED25519
            or len(key) != 1 + _KEY_BYTES
            or key_id != verifier.key_id.hex()
        ):
            raise NoteError("The key of the log is not of the form NAME+ID+KEY.")
        return verifier


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Size and root (32 bytes) of the log ``origin``."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def signed(self, key: Ed25519PrivateKey) -> str:
        """Return the note of it, signed."""
        verifier = Verifier(self.origin, key.public_key().public_bytes_raw())
        value = base64.b64encode(verifier.key_id + key.sign(self.text.encode())).decode()
        return f"{self.text}\n\u2014 {self.origin} {value}\n"


def opened(note: str, verifier: Verifier) -> Checkpoint:
    """Return the checkpoint of a note. NoteError unless the key has signed it.

    Signatures of others, as witnesses add them, and further lines of its text are left alone.
    """
    if len(note) > NOTE_BYTES_MAX:
        raise NoteError("The note is too long.")
    body, separator, signatures = note.rpartition("\n\n")
    text = f"{body}\n"
    if not separator or not _is_signed(text, signatures, verifier):
        raise NoteError(f"The note is not signed by {verifier.name}.")
    lines = body.split("\n")
    if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004 of C2SP
        raise NoteError("The note is no checkpoint: it needs origin, size and root.")
    root = _decoded(lines[2])
    if lines[0] != verifier.name or len(root) != _HASH_BYTES:
        raise NoteError("The note is no checkpoint of this log.")
    return Checkpoint(lines[0], int(lines[1]), root)


def _is_signed(text: str, signatures: str, verifier: Verifier) -> bool:
    key = Ed25519PublicKey.from_public_bytes(verifier.key)
    for value in _values(signatures, verifier):
        try:
            key.verify(value, text.encode())
        except InvalidSignature:
            return False
        return True
    return False


def _values(signatures: str, verifier: Verifier) -> Iterable[bytes]:
    for line in signatures.removesuffix("\n").split("\n"):
        match = _SIGNATURE.fullmatch(line)
        if match is None:
            raise NoteError("A line of signatures is malformed.")
        value = _decoded(match["value"])
        if match["name"] == verifier.name and value[:_ID_BYTES] == verifier.key_id:
            if len(value) != _ID_BYTES + _SIGNATURE_BYTES:
                raise NoteError("A signature is not as long as Ed25519's.")
            yield value[_ID_BYTES:]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("The note or key has what is no base64.") from error

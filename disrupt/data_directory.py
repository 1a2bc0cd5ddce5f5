"""The data directory: where things are in it, who holds it, and its secrets."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disrupt import ownership
from disrupt.errors import DataDirectoryError, DataDirectoryInUseError

REGISTRY = "registry.db"
SECRETS = "secrets.json"
JOURNAL = "removals.journal"
RESERVE = "registry.reserve"
HEAD_NOTE = "registry.head"
REGISTRY_URL = "registry.url"
WAL_OWNER = "registry.wal-owner"
FOLLOWED = "followed"
AUDIT = "audit"
OUTCOMES = "outcomes.queue"
_INDEX = "index"

_SECRET_BYTES = 32
_RETRY_S = 0.05
_SOCKET_PATH_BYTES_MAX = 107
"""Longest path in the address of a Unix socket, on Linux."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Random bytes, 32 each, that the database must not hold."""

    pepper: bytes = field(repr=False)
    match_tokens: bytes = field(repr=False)

    @property
    def pepper_check(self) -> bytes:
        """Key check value: tells the pepper from others, and nothing else of it."""
        return hmac.digest(self.pepper, b"disrupt pepper check", hashlib.sha256)

    @property
    def audit_seed(self) -> bytes:
        """Ed25519 seed of the key that signs the checkpoints of the audit log."""
        return hmac.digest(self.pepper, b"disrupt audit log", hashlib.sha256)


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Paths of one data directory."""

    path: Path

    @property
    def registry(self) -> Path:
        """The SQLite file."""
        return self.path / REGISTRY

    @property
    def registry_url(self) -> str | None:
        """URL of the PostgreSQL database that has the registry; None: the SQLite file has it.

        DataDirectoryError where it cannot be read.
        """
        try:
            return (self.path / REGISTRY_URL).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise DataDirectoryError(
                f"{self.path / REGISTRY_URL} cannot be read, or is no ASCII text."
            ) from error

    @property
    def has_registry(self) -> bool:
        """Tell whether there is a registry, in a file or in a database."""
        return self.registry.exists() or self.registry_url is not None

    def note_registry_url(self, url: str) -> None:
        """Let a PostgreSQL database have the registry from now on. OSError if it cannot."""
        write_private(self.path / REGISTRY_URL, f"{url}\n")

    @property
    def index(self) -> Path:
        """Generations of the index."""
        return self.path / _INDEX

    @property
    def secrets_file(self) -> Path:
        """JSON, see ``secrets``."""
        return self.path / SECRETS

    @property
    def journal(self) -> Path:
        """The journal of removals."""
        return self.path / JOURNAL

    @property
    def outcomes(self) -> Path:
        """Of a mirror: the queue of outcomes that the hotline was not told yet."""
        return self.path / OUTCOMES

    @property
    def audit(self) -> Path:
        """The copy of the audit log, and its checkpoints, see ``audit.files``."""
        return self.path / AUDIT

    @property
    def followed(self) -> Path:
        """JSON: position and timeline of the registry that was followed, see ``feed.node``."""
        return self.path / FOLLOWED

    @property
    def socket(self) -> Path:
        """Unix socket of the writer."""
        return self.path / "writer.sock"

    @property
    def health_socket(self) -> Path:
        """Unix socket of the supervisor, see ``ask_supervisor``."""
        return self.path / "health.sock"

    def ask_supervisor(self, request: str, timeout_s: float | None = None) -> dict[str, Any]:
        """Return what the supervisor answers to ``states`` or ``reload``.

        Raises OSError where no server runs or it does not answer in time, and ValueError where it
        ends before it answers.
        """
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(timeout_s)
            asked.connect(str(self.health_socket.absolute()))
            asked.sendall(f"{request}\n".encode())
            answer: dict[str, Any] = json.loads(asked.makefile("rb").readline())
        return answer

    @property
    def socket_address(self) -> str:
        """For gRPC. DataDirectoryError where the path is too long for a Unix socket."""
        path = str(self.socket.absolute())
        if len(os.fsencode(path)) > _SOCKET_PATH_BYTES_MAX:
            raise DataDirectoryError(
                f"The path {path} is too long for a socket, which takes {_SOCKET_PATH_BYTES_MAX}"
                " bytes. Give a shorter --data-dir."
            )
        return f"unix:{path}"

    def make(self) -> None:
        """Make the directory, for its owner alone, where there is none.

        DataDirectoryError if that fails, or it belongs to another user than this process runs as.
        """
        ownership.check(self.path)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataDirectoryError(
                f"The data directory {self.path} cannot be made: {error.strerror}."
            ) from error

    @contextmanager
    def locked(
        self, *, patience_s: float = 0.0, held: tuple[int, ...] = ()
    ) -> Iterator[tuple[int, ...]]:
        """Hold the directory as its only writer; yield the descriptors that hold it.

        With ``held`` descriptors, which the program before in this process passed on, it is held
        already.

        A forked process holds it too, so that no successor begins while one of them lives: a lock
        on a file, and on the directory itself, as a file can be deleted. DataDirectoryInUseError
        when another holds it for ``patience_s``.
        """
        with ExitStack() as stack:
            if held:
                for descriptor in held:
                    stack.callback(os.close, descriptor)
                yield held
                return
            try:
                descriptors = (
                    _opened(stack, self.path / "lock", os.O_RDWR | os.O_CREAT),
                    _opened(stack, self.path, os.O_RDONLY | os.O_DIRECTORY),
                )
            except OSError as error:
                raise DataDirectoryError(
                    f"The data directory {self.path} cannot be used: {error.strerror}."
                ) from error
            give_up_s = time.monotonic() + patience_s
            while not all(map(_try_lock, descriptors)):
                if time.monotonic() >= give_up_s:
                    raise DataDirectoryInUseError(
                        f"Another server or command uses the data directory {self.path}. Stop it,"
                        " or give another --data-dir."
                    )
                time.sleep(_RETRY_S)
            self.complete_restore()
            yield descriptors

    @property
    def restoring(self) -> Path:
        """Directory in which a restore prepares its files."""
        return self.path / "restoring"

    @property
    def restored(self) -> Path:
        """Files that a restore has prepared to replace the present ones; complete if it exists."""
        return self.path / "restored"

    def complete_restore(self) -> None:
        """Move what is in ``restored`` into place; after a kill, the next holder continues.

        Also deletes what an interrupted restore left. DataDirectoryError where that fails, as it
        may hold withdrawn items.
        """
        try:
            if self.restoring.exists():
                shutil.rmtree(self.restoring)
        except OSError as error:
            raise DataDirectoryError(
                f"What an interrupted restore left in {self.restoring} cannot be deleted:"
                f" {error.strerror}. Delete it by hand."
            ) from error
        if not self.restored.is_dir():
            return
        try:
            self._replace_by_restored()
        except OSError as error:
            raise DataDirectoryError(
                f"A restore of {self.path} cannot be completed: {error.strerror}. Free or repair"
                " the disk and try again; nothing is lost."
            ) from error

    def _replace_by_restored(self) -> None:
        if (self.restored / self.registry.name).exists():
            for suffix in ("-wal", "-shm"):  # These belong to the old database.
                self.registry.with_name(self.registry.name + suffix).unlink(missing_ok=True)
            sync(self.path)
        for part in list(self.restored.iterdir()):
            if part.name == self.index.name and self.index.exists():
                shutil.rmtree(self.index)
            part.replace(self.path / part.name)
        sync(self.path)
        self.restored.rmdir()
        sync(self.path)

    def secrets(self) -> Secrets:
        """Return the secrets; make them together with a new data directory.

        The caller holds the lock, or they exist already. DataDirectoryError where they are damaged,
        or gone: with others in their place every PIN would be wrong. Also where a journal waits for
        a restore, which would take a directory with secrets of its own for another server's.
        """
        file = self.secrets_file
        if not file.exists() and not self.registry.exists() and _has_records(self.journal):
            raise DataDirectoryError(
                f"{self.path} has a {JOURNAL}, and neither {REGISTRY} nor {SECRETS}: nothing was"
                " made. Restore the backup that it belongs to with `disrupt restore`; to begin anew"
                f" without one, move {JOURNAL} away."
            )
        if not file.exists() and not self.registry.exists():
            drawn = {name: secrets.token_hex(_SECRET_BYTES) for name in _NAMES}
            try:
                write_private(file, json.dumps(drawn))
            except OSError as error:  # a full disk, say
                raise DataDirectoryError(f"{file} cannot be made: {error}") from error
        return Secrets(*self._stored_secrets(_NAMES))

    def match_tokens(self) -> bytes:
        """Return the secret of match ids and cursors: all that a machine without cases has.

        DataDirectoryError where it is damaged, or gone.
        """
        return self._stored_secrets(_NAMES[1:])[0]

    @property
    def has_pepper(self) -> bool:
        """Tell whether there are secrets with a pepper, as machines that write the registry have.

        Secrets that cannot be read have none.
        """
        try:
            stored = json.loads(self.secrets_file.read_bytes())
        except (OSError, ValueError):
            return False
        return isinstance(stored, dict) and "pepper" in stored

    def check_secrets_of_node(self) -> None:
        """Raise DataDirectoryError unless there are secrets of a machine of role ``match``."""
        problem = "has the pepper of PINs" if self.has_pepper else "is missing, or damaged"
        with suppress(DataDirectoryError):
            self.match_tokens()
            if not self.has_pepper:
                return
        raise DataDirectoryError(
            f"{self.secrets_file} {problem}. A machine of role match has what `disrupt registry"
            " node-secrets` prints on a writer's: write that into it."
        )

    def _stored_secrets(self, names: Sequence[str]) -> list[bytes]:
        try:
            stored = json.loads(self.secrets_file.read_bytes())
            values = [bytes.fromhex(stored[name]) for name in names]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(self.secrets_file) from error
        if any(len(value) != _SECRET_BYTES for value in values):
            raise _damaged(self.secrets_file)
        return values


_NAMES = ("pepper", "match_tokens")
_JOURNAL_HEADER_BYTES = 48


def _has_records(journal: Path) -> bool:
    try:
        return journal.stat().st_size > _JOURNAL_HEADER_BYTES
    except FileNotFoundError:
        return False


def _damaged(file: Path) -> DataDirectoryError:
    return DataDirectoryError(
        f"{file} is missing, damaged, or cannot be read. Without it no PIN of this registry can be"
        " checked: restore it from a backup."
    )


def _opened(stack: ExitStack, path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, descriptor)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private(file: Path, text: str) -> None:
    """Write a file in UTF-8 in place of any present one, atomically and durably; mode 0600.

    Processes that write the same file take turns.
    """
    aside = file.with_name(f"{file.name}.new")
    with ExitStack() as stack:
        descriptor = _opened_alone(stack, aside)
        os.ftruncate(descriptor, 0)  # what a killed writer left
        with os.fdopen(descriptor, "w", encoding="utf-8", closefd=False) as opened:
            opened.write(text)
        os.fsync(descriptor)
        aside.rename(file)
    sync(file.parent)


def _opened_alone(stack: ExitStack, path: Path) -> int:
    """Open a file for writing once nobody else has it open so."""
    while True:
        descriptor = _opened(stack, path, os.O_WRONLY | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor  # and none that its writer has renamed meanwhile


def sync(path: Path) -> None:
    """Make durable what was written to a file, or made, renamed and removed in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

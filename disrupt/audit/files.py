"""Files of the audit log: a copy of its leaves, apart from the database, and signed checkpoints.

``leaves`` has a line for each leaf, in order, ``checkpoint`` the newest note, and ``checkpoints``
each note by its size: others mirror these as they are. ``access`` says who may do what, as of the
newest leaves, so that a restore need not forget it.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from disrupt.audit.entries import CLEARED, Leaf, read
from disrupt.audit.notes import Checkpoint, Verifier
from disrupt.audit.tree import Frontier, inclusion_proof, subtrees
from disrupt.data_directory import sync, write_private
from disrupt.errors import DataDirectoryError, UnavailableError

LEAVES, CHECKPOINT, CHECKPOINTS, ACCESS = "leaves", "checkpoint", "checkpoints", "access"


class AuditFiles:
    """The files, open for adding to. One process at a time."""

    def __init__(self, directory: Path) -> None:
        """Read what is there, without a last line that was not written to its end.

        DataDirectoryError where that is damaged: a leaf of another number, or no leaf.
        """
        self._directory = directory
        self._frontier = Frontier()
        self.signed = (0, "")
        """Size of the newest checkpoint that was signed here, and its note."""
        self._cleared = list[tuple[int, int]]()
        """For each leaf that says so: before which one all is erased; and its own number."""
        try:
            (directory / CHECKPOINTS).mkdir(mode=0o700, parents=True, exist_ok=True)
            (directory / LEAVES).touch(mode=0o600)
            _drop_torn(directory / LEAVES)
        except OSError as error:
            raise DataDirectoryError(f"{directory} cannot be used: {error.strerror}.") from error
        self.newest: Leaf | None = None
        for leaf in read(directory / LEAVES):
            self._take(leaf)

    @property
    def size(self) -> int:
        """Number of the leaf that comes next."""
        return self._frontier.size

    def add(self, leaves: Sequence[Leaf]) -> None:
        """Add leaves, durably. UnavailableError where that fails: what was added is cut off."""
        path = self._directory / LEAVES
        before = path.stat().st_size
        try:
            with path.open("a", encoding="ascii") as file:
                file.writelines(leaf.line() for leaf in leaves)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            os.truncate(path, before)
            raise UnavailableError(f"{path} cannot be written: {error.strerror}.") from error
        for leaf in leaves:
            self._take(leaf)

    def sign(self, key: Ed25519PrivateKey, origin: str) -> Checkpoint:
        """Sign a checkpoint of what is there, unless the newest is of it; return it."""
        checkpoint = Checkpoint(origin, self.size, self._frontier.root())
        if self.signed[0] != self.size or not self.signed[1]:
            note = checkpoint.signed(key)
            for path in (
                self._directory / CHECKPOINTS / f"{self.size:012}",
                self._directory / CHECKPOINT,
            ):
                write_private(path, note)
            self.signed = (self.size, note)
        return checkpoint

    def cleared(self, number: int, before: int) -> int | None:
        """Return the first leaf, ``before`` another, that says that what a leaf tells is erased."""
        index = bisect_right(self._cleared, number, key=itemgetter(0))
        if index == len(self._cleared) or self._cleared[index][1] >= before:
            return None
        return self._cleared[index][1]

    def proof(
        self, number: int, size: int, leaves: Callable[[int, int], Iterable[bytes]]
    ) -> list[bytes]:
        """Prove that the tree of a size has a leaf; ``leaves`` returns some hundreds by number."""
        return inclusion_proof(number, size, subtrees(leaves, self._frontier.blocks))

    def _take(self, leaf: Leaf) -> None:
        if leaf.number != self.size:
            raise DataDirectoryError(
                f"{self._directory / LEAVES} is damaged: leaf {self.size} is missing. Move the"
                " directory away, and it is written anew from the registry."
            )
        self._frontier.add(leaf.leaf)
        self.newest = leaf
        if leaf.entry and CLEARED in leaf.entry and leaf.content.get("kind") == CLEARED:
            self._cleared.append((leaf.content["before"], leaf.number))


def _drop_torn(path: Path) -> None:
    """Cut off a last line that was not written to its end."""
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        os.truncate(path, end)
        sync(path)


def foreign(directory: Path) -> DataDirectoryError:
    """Return the error that the files are of another registry, or of an earlier one."""
    return DataDirectoryError(
        f"{directory} is the audit log of another registry, or this one was replaced by an older"
        " copy. Nothing was added. Keep the directory, under another name: it proves what was"
        " there. A new one is written then."
    )


def name_of(key: Ed25519PrivateKey) -> str:
    """Return the name of a log that has no other: by its key."""
    return f"disrupt-{key.public_key().public_bytes_raw()[:8].hex()}"


def verifier_of(key: Ed25519PrivateKey, origin: str) -> Verifier:
    """Return by what the checkpoints of a log are checked."""
    return Verifier(origin, key.public_key().public_bytes_raw())


def checkpoints(paths: Iterable[Path]) -> list[str]:
    """Return the notes of files, or of all files of directories. DataDirectoryError."""
    notes = []
    try:
        for path in paths:
            files = sorted(path.iterdir()) if path.is_dir() else [path]
            notes += [file.read_text(encoding="utf-8") for file in files]
    except (OSError, UnicodeDecodeError) as error:
        raise DataDirectoryError(f"A checkpoint cannot be read: {error}") from error
    return notes

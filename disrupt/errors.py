"""One exception tree: each class names its gRPC status and a reason to program against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a request: the field's path as in proto/, and what to do about it."""

    field: str
    description: str


class DisruptError(Exception):
    """Root of everything raised on purpose; itself, that the server failed, and its log says how.

    The message is shown to callers: it says what to do, and carries no hash, PIN or picture's path.
    """

    status = "INTERNAL"
    """Name of a gRPC status code."""
    reason = "INTERNAL"
    """Reason of the ErrorInfo, which is stable."""

    def __init__(
        self,
        message: str,
        *,
        violations: tuple[Violation, ...] = (),
        retry_after_s: float | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.violations = violations
        self.retry_after_s = retry_after_s
        self.metadata = metadata


class InvalidRequestError(DisruptError):
    """The request can never succeed as it is; ``violations`` name the fields."""

    status = "INVALID_ARGUMENT"
    reason = "INVALID_REQUEST"

    @classmethod
    def of(cls, *violations: Violation) -> InvalidRequestError:
        """Make the error for violations, with a message that lists them."""
        text = "; ".join(f"{violation.field}: {violation.description}" for violation in violations)
        return cls(text, violations=violations)


class InvalidMediaError(InvalidRequestError):
    """The bytes are no picture to hash: not an image, truncated, unsupported or too large."""

    reason = "INVALID_MEDIA"


class ArchiveRefusedError(InvalidRequestError):
    """A file is no archive of hashes: damaged, neither Parquet nor CSV, or of other columns.

    Raised by ``disrupt scan``, by no server.
    """

    reason = "ARCHIVE_REFUSED"


class UnreadableMediaError(DisruptError):
    """A file could not be read: missing, without permission, no regular file, or an I/O error.

    Says nothing of what the file shows: raised where it lies, by no server.
    """

    status = "FAILED_PRECONDITION"
    reason = "UNREADABLE_MEDIA"


class LimitExceededError(DisruptError):
    """A limit of this server was exceeded; the message names the limit."""

    status = "RESOURCE_EXHAUSTED"
    reason = "LIMIT_EXCEEDED"


class OverloadedError(DisruptError):
    """The server is busy; try again after ``retry_after_s``."""

    status = "RESOURCE_EXHAUSTED"
    reason = "OVERLOADED"


class QuotaExceededError(OverloadedError):
    """The quota of the caller's organisation is used up; try again after ``retry_after_s``."""

    reason = "QUOTA_EXCEEDED"

    def __init__(
        self, message: str, *, retry_after_s: float, organisation: str, quota: str
    ) -> None:
        super().__init__(
            message, retry_after_s=retry_after_s, organisation=organisation, quota=quota
        )


class TooManyAttemptsError(OverloadedError):
    """A PIN waits for its turn, and keeps its place: try again after ``retry_after_s``."""

    reason = "TOO_MANY_ATTEMPTS"


class ClientUnusableError(DisruptError):
    """The client was closed, or belongs to another event loop: make a new one. Raised by SDKs."""

    status = "FAILED_PRECONDITION"
    reason = "CLIENT_UNUSABLE"


class StorageFullError(DisruptError):
    """The disk is full: no registration was stored; repeat a removal, which may have been done."""

    status = "RESOURCE_EXHAUSTED"
    reason = "STORAGE_FULL"


class UnauthenticatedError(DisruptError):
    """No key, or one that is unknown, revoked or expired."""

    status = "UNAUTHENTICATED"
    reason = "KEY_REFUSED"


class PermissionDeniedError(DisruptError):
    """A valid key without the right that the call needs."""

    status = "PERMISSION_DENIED"
    reason = "RIGHT_MISSING"


class NotFoundError(DisruptError):
    """What was named does not exist, or is not the caller's to see."""

    status = "NOT_FOUND"
    reason = "NOT_FOUND"


class CaseRefusedError(NotFoundError):
    """Unknown case number or wrong PIN: one answer, so that nobody can probe for case numbers."""

    reason = "CASE_REFUSED"

    def __init__(self) -> None:
        super().__init__("No case with this number and PIN. Check both and try again.")


class RequestIdReusedError(DisruptError):
    """The request id was used for something else, or its case number is taken: draw a new one."""

    status = "ALREADY_EXISTS"
    reason = "REQUEST_ID_REUSED"


class CaseClosedError(DisruptError):
    """The case's status does not allow this."""

    status = "FAILED_PRECONDITION"
    reason = "CASE_CLOSED"


class CaseErasingError(CaseClosedError):
    """The case is about to be erased, as its PIN was said to be lost: KeepCase ends that."""

    reason = "CASE_ERASING"


class ItemsChangedError(DisruptError):
    """Conditions name another number of items than before: look at the preview again."""

    status = "FAILED_PRECONDITION"
    reason = "ITEMS_CHANGED"


class PictureMatchesError(DisruptError):
    """A picture that staff add to those in common use matches a registered one.

    Look whether it is a template that both share, then say so.
    """

    status = "FAILED_PRECONDITION"
    reason = "PICTURE_MATCHES"


class UndoTooLateError(DisruptError):
    """The act is too old to be undone."""

    status = "FAILED_PRECONDITION"
    reason = "UNDO_TOO_LATE"


class CursorExpiredError(DisruptError):
    """The cursor is too old, or of another epoch of the registry: start over from the beginning."""

    status = "FAILED_PRECONDITION"
    reason = "CURSOR_EXPIRED"


class SnapshotRefusedError(DisruptError):
    """A snapshot is damaged, of another format or another registry; the message names the file."""

    status = "UNAVAILABLE"
    reason = "SNAPSHOT_REFUSED"


class OtherHistoryError(SnapshotRefusedError):
    """Index and registry do not belong together: one is an older copy, or a foreign one.

    The operator has to restore or rebuild before anything is answered.
    """

    reason = "OTHER_HISTORY"


class UnavailableError(DisruptError):
    """A part of the service cannot answer now; try again."""

    status = "UNAVAILABLE"
    reason = "UNAVAILABLE"


class RegistryReplacedError(UnavailableError):
    """The registry's file was replaced while it was open: the open file is the old one.

    The server answers nothing until it is started again.
    """

    reason = "REGISTRY_REPLACED"


class NotSignedYetError(UnavailableError):
    """The withdrawal is in no signed checkpoint of the audit log yet: ask in an hour."""

    reason = "NOT_SIGNED_YET"


class LeadershipLostError(UnavailableError):
    """The one connection that may write to the registry's database was lost.

    The process has to end: another may write already. Whether the change took effect is not known:
    send the same request again.
    """

    reason = "LEADERSHIP_LOST"


class DeadlineExceededError(DisruptError):
    """The time given to the call was not enough; whether it took effect is not known."""

    status = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_EXCEEDED"


class DataDirectoryError(DisruptError):
    """The data directory cannot be used: in use, of a newer version, or missing."""

    status = "FAILED_PRECONDITION"
    reason = "DATA_DIRECTORY"


class NoteError(DataDirectoryError):
    """A signed note is malformed, or its signature is not that of the key."""

    reason = "NOTE"


class ReceiptError(DataDirectoryError):
    """A receipt of a withdrawal is malformed, or shows nothing."""

    reason = "RECEIPT"


class DataDirectoryInUseError(DataDirectoryError):
    """Another server or command holds the data directory."""

    reason = "DATA_DIRECTORY_IN_USE"


class ConfigurationError(DisruptError):
    """The configuration is refused; the message names the setting."""

    status = "FAILED_PRECONDITION"
    reason = "CONFIGURATION"


class UnimplementedError(DisruptError):
    """The call, or the format of the file, is none that this server or installation has."""

    status = "UNIMPLEMENTED"
    reason = "UNIMPLEMENTED"

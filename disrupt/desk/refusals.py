"""What the desk itself refuses; all else is refused by the server, and passed on."""

from __future__ import annotations

from disrupt.errors import DisruptError


class SignedOutError(DisruptError):
    """There is no session: none was begun, it ended, or the desk was started anew."""

    status = "UNAUTHENTICATED"
    reason = "SIGNED_OUT"


class PasskeyRefusedError(DisruptError):
    """A passkey is unknown, or what it signed is not what was asked for, or came too late."""

    status = "UNAUTHENTICATED"
    reason = "PASSKEY_REFUSED"


class ForeignRequestError(DisruptError):
    """A request is not the desk's own page's: another origin, no JSON, or without its token."""

    status = "PERMISSION_DENIED"
    reason = "FOREIGN_REQUEST"

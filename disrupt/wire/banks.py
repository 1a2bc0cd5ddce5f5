"""Convert the messages of AdminService that are about banks."""

from __future__ import annotations

from collections.abc import Iterable

from disrupt.admin.v1 import admin_pb2
from disrupt.core.policy import Bank, BankPolicy
from disrupt.wire.fields import invalid


def policy(message: admin_pb2.BankPolicy) -> BankPolicy:
    """Return what is to hold of a bank. Raises InvalidRequestError for what no bank may have."""
    return BankPolicy(
        message.max_distance_bits if message.HasField("max_distance_bits") else None,
        message.waiting if message.HasField("waiting") else None,
        frozenset(message.visible_to.names) if message.HasField("visible_to") else None,
        message.share_percent if message.HasField("share_percent") else None,
    )


def policy_message(value: BankPolicy) -> admin_pb2.BankPolicy:
    """Convert a policy to a message."""
    message = admin_pb2.BankPolicy()
    for name in ("max_distance_bits", "waiting", "share_percent"):
        if getattr(value, name) is not None:
            setattr(message, name, getattr(value, name))
    if value.visible_to is not None:
        message.visible_to.SetInParent()
        message.visible_to.names.extend(sorted(value.visible_to))
    return message


def create_request(name: str, value: BankPolicy) -> admin_pb2.CreateBankRequest:
    """Make the request for a new bank."""
    try:
        return admin_pb2.CreateBankRequest(name=name, policy=policy_message(value))
    except UnicodeEncodeError:
        raise invalid("name or organisation", "not UTF-8") from None


def set_request(name: str, value: BankPolicy) -> admin_pb2.SetBankRequest:
    """Make the request to change a bank."""
    try:
        return admin_pb2.SetBankRequest(name=name, policy=policy_message(value))
    except UnicodeEncodeError:
        raise invalid("name or organisation", "not UTF-8") from None


def list_request() -> admin_pb2.ListBanksRequest:
    """Make the request to list banks."""
    return admin_pb2.ListBanksRequest()


def created_answer(value: Bank, unknown: Iterable[str]) -> admin_pb2.CreateBankResponse:
    """Make the answer with a new bank, and the organisations that are not known."""
    return admin_pb2.CreateBankResponse(bank=bank(value), unknown_organisations=unknown)


def changed_answer(value: Bank, unknown: Iterable[str]) -> admin_pb2.SetBankResponse:
    """Make the answer to a change of a bank, with the organisations that are not known."""
    return admin_pb2.SetBankResponse(bank=bank(value), unknown_organisations=unknown)


def list_answer(values: Iterable[Bank]) -> admin_pb2.ListBanksResponse:
    """Make the answer that lists banks."""
    return admin_pb2.ListBanksResponse(banks=map(bank, values))


def bank(value: Bank) -> admin_pb2.Bank:
    """Convert a bank to a message."""
    return admin_pb2.Bank(
        name=value.name,
        max_distance_bits=value.max_distance_bits,
        waiting=value.waiting,
        visible_to=sorted(value.visible_to),
        share_percent=value.share_percent,
    )

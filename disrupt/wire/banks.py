"""Convert the messages of AdminService for banks."""

from __future__ import annotations

from disrupt.admin.v1 import admin_pb2
from disrupt.core.policy import Bank, BankPolicy
from disrupt.wire.fields import invalid


def create_request(name: str, policy: BankPolicy) -> admin_pb2.CreateBankRequest:
    """Make the request for a new bank. InvalidRequestError where a name is not UTF-8."""
    return admin_pb2.CreateBankRequest(name=_checked(name), policy=_policy(policy))


def set_request(name: str, policy: BankPolicy) -> admin_pb2.SetBankRequest:
    """Make the request to change a bank. InvalidRequestError where a name is not UTF-8."""
    return admin_pb2.SetBankRequest(name=_checked(name), policy=_policy(policy))


def policy(message: admin_pb2.BankPolicy) -> BankPolicy:
    """Return what is to be set of a bank."""
    return BankPolicy(
        message.max_distance_bits if message.HasField("max_distance_bits") else None,
        message.goes_live if message.HasField("goes_live") else None,
        frozenset(message.organisations.names) if message.HasField("organisations") else None,
    )


def bank(value: Bank) -> admin_pb2.Bank:
    """Convert a bank to a message."""
    return admin_pb2.Bank(
        number=value.number,
        name=value.name,
        max_distance_bits=value.max_distance_bits,
        goes_live=value.goes_live,
        organisations=sorted(value.organisations),
    )


def _policy(value: BankPolicy) -> admin_pb2.BankPolicy:
    names = value.organisations
    return admin_pb2.BankPolicy(
        max_distance_bits=value.max_distance_bits,
        goes_live=value.goes_live,
        organisations=(
            None if names is None else admin_pb2.Organisations(names=map(_checked, sorted(names)))
        ),
    )


def _checked(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise invalid("name or organisation", "not UTF-8") from None
    return name

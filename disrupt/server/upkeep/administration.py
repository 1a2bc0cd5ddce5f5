"""Manage keys, banks, items and the database's log: by the running writer, or directly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import grpc

from disrupt.admin.v1 import admin_pb2
from disrupt.admin.v1.admin_pb2_grpc import AdminServiceStub
from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.media import ItemState
from disrupt.data_directory import DataDirectory
from disrupt.errors import (
    DataDirectoryError,
    DataDirectoryInUseError,
    UnavailableError,
)
from disrupt.registry import opening
from disrupt.registry.contract import RegistryReader, RegistryWriter
from disrupt.server.days import now_s, today
from disrupt.services import banks, door, keys
from disrupt.wire import admin as wire
from disrupt.wire import banks as wire_banks
from disrupt.wire import policy as wire_policy
from disrupt.wire.errors import details_of, error_of

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

_TIMEOUT_S = 10.0
"""Longest wait for an answer, also of a server that starts and has no writer yet."""

_ACTIONS = {
    ItemState.LIVE: Action.ITEMS_ENABLED,
    ItemState.WAITING: Action.ITEMS_SET_WAITING,
    ItemState.DISABLED: Action.ITEMS_DISABLED,
}


class Administration(Protocol):
    """The calls of AdminService."""

    def create(self, request: admin_pb2.CreateKeyRequest) -> admin_pb2.CreateKeyResponse:
        """Make a key."""

    def list(self, request: admin_pb2.ListKeysRequest) -> admin_pb2.ListKeysResponse:
        """List keys."""

    def revoke(self, request: admin_pb2.RevokeKeyRequest) -> admin_pb2.RevokeKeyResponse:
        """Revoke a key."""

    def change(self, request: admin_pb2.SetKeyRequest) -> admin_pb2.SetKeyResponse:
        """Change a key."""

    def rotate(self, request: admin_pb2.RotateKeyRequest) -> admin_pb2.RotateKeyResponse:
        """Make a key in place of another."""

    def create_bank(self, request: admin_pb2.CreateBankRequest) -> admin_pb2.CreateBankResponse:
        """Make a bank."""

    def list_banks(self, request: admin_pb2.ListBanksRequest) -> admin_pb2.ListBanksResponse:
        """List banks."""

    def change_bank(self, request: admin_pb2.SetBankRequest) -> admin_pb2.SetBankResponse:
        """Change a bank."""

    def organisations(
        self, request: admin_pb2.ListOrganisationsRequest
    ) -> admin_pb2.ListOrganisationsResponse:
        """List organisations."""

    def set_organisation(
        self, request: admin_pb2.SetOrganisationRequest
    ) -> admin_pb2.SetOrganisationResponse:
        """Change an organisation."""

    def set_states(
        self, request: admin_pb2.SetItemStatesRequest
    ) -> admin_pb2.SetItemStatesResponse:
        """Change the state of items."""

    def get_states(
        self, request: admin_pb2.GetItemStatesRequest
    ) -> admin_pb2.GetItemStatesResponse:
        """Show the state of items."""

    def add_negatives(
        self, request: admin_pb2.AddNegativesRequest
    ) -> admin_pb2.AddNegativesResponse:
        """Add harmless pictures."""

    def list_negatives(
        self, request: admin_pb2.ListNegativesRequest
    ) -> admin_pb2.ListNegativesResponse:
        """List harmless pictures by label."""

    def remove_negatives(
        self, request: admin_pb2.RemoveNegativesRequest
    ) -> admin_pb2.RemoveNegativesResponse:
        """Remove harmless pictures."""

    def checkpoint(self, request: admin_pb2.CheckpointRequest) -> admin_pb2.CheckpointResponse:
        """Clear the registry's log."""


@dataclass(frozen=True, slots=True)
class InRegistry:
    """Administration that writes to the registry; this process holds its lock."""

    registry: RegistryWriter

    def create(self, request: admin_pb2.CreateKeyRequest) -> admin_pb2.CreateKeyResponse:
        """Make a key."""
        rights = wire.rights(request)
        key, secret = keys.create_key(
            self.registry,
            request.name,
            rights,
            tuple(request.banks),
            day=today(),
            act=_act(Action.KEY_CREATED),
            organisation=request.organisation,
            expires_on=request.expires_on,
        )
        return wire.created_answer(key, secret, _bank_names(self.registry))

    def list(self, _request: admin_pb2.ListKeysRequest) -> admin_pb2.ListKeysResponse:
        """List keys."""
        return wire.list_answer(keys.list_keys(self.registry), _bank_names(self.registry))

    def revoke(self, request: admin_pb2.RevokeKeyRequest) -> admin_pb2.RevokeKeyResponse:
        """Revoke a key."""
        key = keys.revoke_key(
            self.registry, request.key_id, day=today(), act=_act(Action.KEY_REVOKED)
        )
        return wire.revoked_answer(key, _bank_names(self.registry))

    def change(self, request: admin_pb2.SetKeyRequest) -> admin_pb2.SetKeyResponse:
        """Change a key."""
        key = keys.change_key(
            self.registry,
            request.key_id,
            rights=wire.rights(request),
            bank_names=tuple(request.banks),
            expires_on=wire.new_last_day(request),
            organisation=request.organisation,
            day=today(),
            act=_act(Action.KEY_CHANGED),
        )
        return wire.changed_answer(key, _bank_names(self.registry))

    def rotate(self, request: admin_pb2.RotateKeyRequest) -> admin_pb2.RotateKeyResponse:
        """Make a key in place of another."""
        old, new, secret = keys.rotate_key(
            self.registry,
            request.key_id,
            overlap_days=request.overlap_days,
            expires_on=wire.new_last_day(request),
            day=today(),
            act=_act(Action.KEY_ROTATED),
        )
        return wire.rotated_answer(old, new, secret, _bank_names(self.registry))

    def organisations(
        self, _request: admin_pb2.ListOrganisationsRequest
    ) -> admin_pb2.ListOrganisationsResponse:
        """List organisations."""
        return wire.organisations_answer(keys.list_organisations(self.registry))

    def set_organisation(
        self, request: admin_pb2.SetOrganisationRequest
    ) -> admin_pb2.SetOrganisationResponse:
        """Change an organisation."""
        rates, certificate = wire.new_rates(request), wire.new_certificate(request)
        act = _act(Action.ORGANISATION_CHANGED)
        changed = keys.set_organisation(self.registry, request.name, rates, certificate, act=act)
        return wire.organisation_answer(changed)

    def note_uses(self, request: admin_pb2.NoteKeyUsesRequest) -> admin_pb2.NoteKeyUsesResponse:
        """Note the days on which keys were used, for workers."""
        self.registry.note_uses(wire.uses(request))
        return wire.noted_answer()

    def create_bank(self, request: admin_pb2.CreateBankRequest) -> admin_pb2.CreateBankResponse:
        """Make a bank."""
        policy, act = wire_banks.policy(request.policy), _act(Action.BANK_CREATED)
        bank = banks.create_bank(self.registry, request.name, policy, act=act)
        unknown = banks.unknown_organisations(self.registry, policy.visible_to or ())
        return wire_banks.created_answer(bank, unknown)

    def list_banks(self, _request: admin_pb2.ListBanksRequest) -> admin_pb2.ListBanksResponse:
        """List banks."""
        return wire_banks.list_answer(self.registry.banks())

    def change_bank(self, request: admin_pb2.SetBankRequest) -> admin_pb2.SetBankResponse:
        """Change a bank."""
        policy, act = wire_banks.policy(request.policy), _act(Action.BANK_CHANGED)
        bank = banks.change_bank(self.registry, request.name, policy, act=act)
        unknown = banks.unknown_organisations(self.registry, policy.visible_to or ())
        return wire_banks.changed_answer(bank, unknown)

    def set_states(
        self, request: admin_pb2.SetItemStatesRequest
    ) -> admin_pb2.SetItemStatesResponse:
        """Change the state of items."""
        item_ids, state = wire.item_ids(request), wire.item_state(request)
        self.registry.set_states(item_ids, state, day=today(), act=_act(_ACTIONS[state]))
        return wire.states_answer(self.registry.states(item_ids), _bank_names(self.registry))

    def get_states(
        self, request: admin_pb2.GetItemStatesRequest
    ) -> admin_pb2.GetItemStatesResponse:
        """Show the state of items."""
        records = self.registry.states(wire.item_ids(request))
        return wire.items_answer(records, _bank_names(self.registry))

    def add_negatives(
        self, request: admin_pb2.AddNegativesRequest
    ) -> admin_pb2.AddNegativesResponse:
        """Add harmless pictures."""
        label, hashes = wire_policy.added_negatives(request)
        act = _act(Action.NEGATIVES_ADDED)
        added = door.add_negatives(self.registry, hashes, label, day=today(), act=act)
        return wire_policy.add_negatives_answer(added)

    def list_negatives(
        self, _request: admin_pb2.ListNegativesRequest
    ) -> admin_pb2.ListNegativesResponse:
        """List harmless pictures by label."""
        return wire_policy.list_negatives_answer(self.registry.negatives().labels)

    def remove_negatives(
        self, request: admin_pb2.RemoveNegativesRequest
    ) -> admin_pb2.RemoveNegativesResponse:
        """Remove harmless pictures."""
        act = _act(Action.NEGATIVES_REMOVED)
        label = wire_policy.removed_label(request)
        removed = self.registry.remove_negatives(label, act=act)
        return wire_policy.remove_negatives_answer(removed)

    def checkpoint(self, _request: admin_pb2.CheckpointRequest) -> admin_pb2.CheckpointResponse:
        """Clear the registry's log."""
        return wire.checkpoint_answer(done=self.registry.checkpoint())


@dataclass(frozen=True, slots=True)
class OverSocket:
    """Administration that asks the running writer."""

    stub: AdminServiceStub

    def create(self, request: admin_pb2.CreateKeyRequest) -> admin_pb2.CreateKeyResponse:
        """Make a key."""
        return _answer(self.stub.CreateKey, request)

    def list(self, request: admin_pb2.ListKeysRequest) -> admin_pb2.ListKeysResponse:
        """List keys."""
        return _answer(self.stub.ListKeys, request)

    def revoke(self, request: admin_pb2.RevokeKeyRequest) -> admin_pb2.RevokeKeyResponse:
        """Revoke a key."""
        return _answer(self.stub.RevokeKey, request)

    def change(self, request: admin_pb2.SetKeyRequest) -> admin_pb2.SetKeyResponse:
        """Change a key."""
        return _answer(self.stub.SetKey, request)

    def rotate(self, request: admin_pb2.RotateKeyRequest) -> admin_pb2.RotateKeyResponse:
        """Make a key in place of another."""
        return _answer(self.stub.RotateKey, request)

    def create_bank(self, request: admin_pb2.CreateBankRequest) -> admin_pb2.CreateBankResponse:
        """Make a bank."""
        return _answer(self.stub.CreateBank, request)

    def list_banks(self, request: admin_pb2.ListBanksRequest) -> admin_pb2.ListBanksResponse:
        """List banks."""
        return _answer(self.stub.ListBanks, request)

    def change_bank(self, request: admin_pb2.SetBankRequest) -> admin_pb2.SetBankResponse:
        """Change a bank."""
        return _answer(self.stub.SetBank, request)

    def organisations(
        self, request: admin_pb2.ListOrganisationsRequest
    ) -> admin_pb2.ListOrganisationsResponse:
        """List organisations."""
        return _answer(self.stub.ListOrganisations, request)

    def set_organisation(
        self, request: admin_pb2.SetOrganisationRequest
    ) -> admin_pb2.SetOrganisationResponse:
        """Change an organisation."""
        return _answer(self.stub.SetOrganisation, request)

    def set_states(
        self, request: admin_pb2.SetItemStatesRequest
    ) -> admin_pb2.SetItemStatesResponse:
        """Change the state of items."""
        return _answer(self.stub.SetItemStates, request)

    def get_states(
        self, request: admin_pb2.GetItemStatesRequest
    ) -> admin_pb2.GetItemStatesResponse:
        """Show the state of items."""
        return _answer(self.stub.GetItemStates, request)

    def add_negatives(
        self, request: admin_pb2.AddNegativesRequest
    ) -> admin_pb2.AddNegativesResponse:
        """Add harmless pictures."""
        return _answer(self.stub.AddNegatives, request)

    def list_negatives(
        self, request: admin_pb2.ListNegativesRequest
    ) -> admin_pb2.ListNegativesResponse:
        """List harmless pictures by label."""
        return _answer(self.stub.ListNegatives, request)

    def remove_negatives(
        self, request: admin_pb2.RemoveNegativesRequest
    ) -> admin_pb2.RemoveNegativesResponse:
        """Remove harmless pictures."""
        return _answer(self.stub.RemoveNegatives, request)

    def checkpoint(self, request: admin_pb2.CheckpointRequest) -> admin_pb2.CheckpointResponse:
        """Clear the registry's log."""
        return _answer(self.stub.Checkpoint, request)


@contextmanager
def administration(data_dir: Path) -> Iterator[Administration]:
    """Open the registry itself or, while a server runs, its writer's socket.

    Raises DataDirectoryError where there is no such directory: its name may be mistyped.
    """
    if not data_dir.is_dir():
        raise DataDirectoryError(
            f"There is no data directory {data_dir}. Is its name right? A server makes a new one."
        )
    directory = DataDirectory(data_dir)
    directory.make()
    with ExitStack() as stack:
        try:
            stack.enter_context(directory.locked())
        except DataDirectoryInUseError:
            options = [("grpc.enable_http_proxy", 0)]
            channel = grpc.insecure_channel(directory.socket_address, options=options)
            yield OverSocket(AdminServiceStub(stack.enter_context(channel)))
        else:
            directory.secrets()
            registry = stack.enter_context(opening.writing(directory))
            yield InRegistry(registry)


def _act(action: Action) -> Act:
    """Return an act of whoever runs commands on this machine."""
    return Act(OPERATOR, action, now_s())


def _bank_names(registry: RegistryReader) -> dict[int, str]:
    return {bank.number: bank.name for bank in registry.banks()}


def _answer(
    call: grpc.UnaryUnaryMultiCallable[_Request, _Response], request: _Request
) -> _Response:
    try:
        return call(request, timeout=_TIMEOUT_S, wait_for_ready=True)
    except grpc.RpcError as error:
        code, details = error.code(), details_of(error)
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            raise UnavailableError(
                f"A server or another command holds the data directory, and no writer answered for"
                f" {_TIMEOUT_S:g} s. Try again; the server's log says more."
            ) from None
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED) and not details:
            raise UnavailableError(
                "The writer ended before it answered, so that a change may have been made, or not."
                " Look whether it was, and try again if not; the server's log says more."
            ) from None
        message = error.details() or f"The server answered {code.name}."
        raise error_of(code.name, message, details) from None

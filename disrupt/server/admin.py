"""Make, list and revoke keys, and clear the database's log: by the writer or, without one, here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from disrupt.admin.v1 import admin_pb2
from disrupt.admin.v1.admin_pb2_grpc import AdminServiceStub
from disrupt.data_directory import DataDirectory
from disrupt.errors import (
    DataDirectoryError,
    DataDirectoryInUseError,
    DisruptError,
    UnavailableError,
)
from disrupt.registry import opening
from disrupt.registry.contract import RegistryReader, RegistryWriter
from disrupt.services import keys
from disrupt.wire import admin as wire

_TIMEOUT_S = 10.0

_Response = TypeVar("_Response")


def today() -> str:
    """Return today's ISO date, UTC."""
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True, slots=True)
class DirectAdmin:
    """Write to the registry; this process holds its lock."""

    registry: RegistryWriter

    def create(self, request: admin_pb2.CreateKeyRequest) -> admin_pb2.CreateKeyResponse:
        """Make a key."""
        rights = wire.rights(request)
        key, secret = keys.create_key(
            self.registry, request.name, rights, tuple(request.banks), day=today()
        )
        return wire.created_answer(key, secret, _bank_names(self.registry))

    def list(self) -> admin_pb2.ListKeysResponse:
        """List keys."""
        return wire.list_answer(self.registry.keys(), _bank_names(self.registry))

    def revoke(self, request: admin_pb2.RevokeKeyRequest) -> admin_pb2.RevokeKeyResponse:
        """Revoke a key."""
        key = keys.revoke_key(self.registry, request.key_id, day=today())
        return wire.revoked_answer(key, _bank_names(self.registry))

    def checkpoint(self) -> admin_pb2.CheckpointResponse:
        """Clear the registry's log."""
        return wire.checkpoint_answer(done=self.registry.checkpoint())


@dataclass(frozen=True, slots=True)
class RemoteAdmin:
    """Ask the running writer, by AdminService on its Unix socket."""

    stub: AdminServiceStub

    def create(self, request: admin_pb2.CreateKeyRequest) -> admin_pb2.CreateKeyResponse:
        """Make a key."""
        return _answer(self.stub.CreateKey, request)

    def list(self) -> admin_pb2.ListKeysResponse:
        """List keys."""
        return _answer(self.stub.ListKeys, wire.list_request())

    def revoke(self, request: admin_pb2.RevokeKeyRequest) -> admin_pb2.RevokeKeyResponse:
        """Revoke a key."""
        return _answer(self.stub.RevokeKey, request)

    def checkpoint(self) -> admin_pb2.CheckpointResponse:
        """Clear the registry's log."""
        return _answer(self.stub.Checkpoint, wire.checkpoint_request())


@contextmanager
def open_admin(data_dir: Path) -> Iterator[DirectAdmin | RemoteAdmin]:
    """Open the registry or, while a server runs, a channel to its writer.

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
            yield RemoteAdmin(AdminServiceStub(stack.enter_context(channel)))
        else:
            directory.secrets()
            registry = stack.enter_context(opening.writing(directory))
            yield DirectAdmin(registry)


def _bank_names(registry: RegistryReader) -> dict[int, str]:
    return {bank.number: bank.name for bank in registry.banks()}


def _answer(call: Callable[..., _Response], request: Message) -> _Response:
    """Make a call of AdminService. Raises UnavailableError, DisruptError for what is refused."""
    try:
        # waits: a server that starts has no writer yet
        return call(request, timeout=_TIMEOUT_S, wait_for_ready=True)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            raise UnavailableError(
                f"A server or another command holds the data directory, and no writer answered for"
                f" {_TIMEOUT_S:g} s. Try again; the server's log says more."
            ) from None
        raise DisruptError(error.details() or f"The server answered {error.code().name}.") from None

"""The writer: alone opens the registry for writing, and serves the workers on a Unix socket."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from grpc import aio
from grpc_health.v1 import health_pb2_grpc

from disrupt.admin.v1 import admin_pb2, admin_pb2_grpc
from disrupt.hashing.fair_queue import turn_of
from disrupt.registry.contract import RegistryWriter
from disrupt.registry.sql import SqlRegistry
from disrupt.server import housekeeping
from disrupt.server.administration import InRegistry, today
from disrupt.server.config import Config
from disrupt.server.directory import DataDirectory
from disrupt.server.forking import keep_little
from disrupt.server.health import STORAGE_LOOK_S, Health, look_at_storage
from disrupt.server.interceptors import Errors
from disrupt.server.limits import MessageLimits
from disrupt.server.pin_waits import PinWaits
from disrupt.server.pool import Pool
from disrupt.server.receiving import Context, Decode, Receiver
from disrupt.server.relaying import CALLER_KEY
from disrupt.server.serving import until_told_to_stop
from disrupt.server.supervision import forever, vital
from disrupt.services.cursors import SealedCursors
from disrupt.services.pins import Pins
from disrupt.services.registration import Registrar, RegistrationLimits
from disrupt.services.throttle import Throttle
from disrupt.v1 import registration_pb2, registration_pb2_grpc
from disrupt.wire import payloads
from disrupt.wire import registration as wire

_T = TypeVar("_T")

_THREADS = 4
_QUEUED = 256

_NICENESS = 5
"""Workers go first on a busy machine, so that guesses of PINs take little from lookups.

The writer has a quarter of a processor even then, which is enough for all that is written.
"""

_REGISTERING = 2
"""Threads that read and store registrations: one hashes a PIN while the other stores."""

_REGISTER = "/disrupt.v1.RegistrationService/RegisterHashes"


class RegistrationServicer(registration_pb2_grpc.RegistrationServiceServicer):
    """The calls of RegistrationService that workers relay.

    Registrations have a pool of their own, so that withdrawals do not wait for them to be read.
    """

    def __init__(
        self,
        registrar: Registrar,
        decode: Decode,
        pool: Pool,
        registering: Pool,
        cursors: SealedCursors,
    ) -> None:
        self._registrar = registrar
        self._decode = decode
        self._pool = pool
        self._registering = registering
        self._cursors = cursors
        self._pin_waits = PinWaits()

    async def RegisterHashes(  # noqa: N802 gRPC's name
        self,
        request: bytes,  # type: ignore[override]  # decoded in the thread that stores it
        context: Context,
    ) -> registration_pb2.RegisterHashesResponse:
        """Registers media items."""
        job = self._job(self._register, context, request, day=today())
        return await self._pin_waits.run(self._registering, job)

    def _register(
        self, data: bytes, *, caller: str, now_s: float, day: str
    ) -> registration_pb2.RegisterHashesResponse:
        request = wire.registration(self._decode(data))
        receipt = self._registrar.register(request, caller=caller, now_s=now_s, day=day)
        # a replayed answer is the same in every byte
        cursor = self._cursors.seal(receipt.cursor, same=True) if receipt.cursor else ""
        return registration_pb2.RegisterHashesResponse(receipt=wire.receipt(receipt, cursor))

    async def GetCase(  # noqa: N802 gRPC's name
        self, request: registration_pb2.GetCaseRequest, context: Context
    ) -> registration_pb2.GetCaseResponse:
        """Shows a case."""
        access = wire.access(request.access)
        case = await self._run(self._registrar.show, context, access)
        return registration_pb2.GetCaseResponse(case=wire.case(case))

    async def WithdrawItems(  # noqa: N802 gRPC's name
        self, request: registration_pb2.WithdrawItemsRequest, context: Context
    ) -> registration_pb2.WithdrawItemsResponse:
        """Withdraws some items of a case."""
        access, item_ids = wire.access(request.access), wire.item_ids(request)
        case, cursor = await self._run(
            self._registrar.withdraw, context, access, item_ids, day=today()
        )
        return registration_pb2.WithdrawItemsResponse(
            case=wire.case(case), cursor=self._cursors.seal(cursor)
        )

    async def WithdrawCase(  # noqa: N802 gRPC's name
        self, request: registration_pb2.WithdrawCaseRequest, context: Context
    ) -> registration_pb2.WithdrawCaseResponse:
        """Withdraws a whole case."""
        access = wire.access(request.access)
        case, cursor = await self._run(self._registrar.withdraw, context, access, None, day=today())
        return registration_pb2.WithdrawCaseResponse(
            case=wire.case(case), cursor=self._cursors.seal(cursor)
        )

    async def RegisterImage(self, _request: object, _context: Context) -> Any:  # noqa: ANN401, N802
        """Relayed as RegisterHashes: pictures do not come here."""
        raise NotImplementedError

    async def RegisterVideo(self, _request: object, _context: Context) -> Any:  # noqa: ANN401, N802
        """Relayed as RegisterHashes: videos do not come here."""
        raise NotImplementedError

    async def _run(
        self, use_case: Callable[..., Any], context: Context, *args: object, **kwargs: object
    ) -> Any:  # noqa: ANN401 what the use case returns
        return await self._pin_waits.run(self._pool, self._job(use_case, context, *args, **kwargs))

    @staticmethod
    def _job(
        use_case: Callable[..., _T], context: Context, *args: object, **kwargs: object
    ) -> Callable[..., _T]:
        """Return the use case with its arguments and who calls; it still needs ``now_s``.

        Callers take turns at the pools.
        """
        pairs: Any = context.invocation_metadata() or ()
        caller = next((value for name, value in pairs if name == CALLER_KEY), "")
        turn_of.set(caller)
        return partial(use_case, *args, caller=caller, **kwargs)


class AdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """See proto/disrupt/admin/v1/admin.proto."""

    def __init__(self, registry: InRegistry, pool: Pool) -> None:
        self._registry = registry
        self._pool = pool

    async def CreateKey(  # noqa: N802 gRPC's name
        self, request: admin_pb2.CreateKeyRequest, _context: Context
    ) -> admin_pb2.CreateKeyResponse:
        """Makes a key."""
        return await self._pool.run(self._registry.create, request)

    async def ListKeys(  # noqa: N802 gRPC's name
        self, _request: admin_pb2.ListKeysRequest, _context: Context
    ) -> admin_pb2.ListKeysResponse:
        """Lists keys."""
        return await self._pool.run(self._registry.list)

    async def RevokeKey(  # noqa: N802 gRPC's name
        self, request: admin_pb2.RevokeKeyRequest, _context: Context
    ) -> admin_pb2.RevokeKeyResponse:
        """Revokes a key."""
        return await self._pool.run(self._registry.revoke, request)

    async def Checkpoint(  # noqa: N802 gRPC's name
        self, _request: admin_pb2.CheckpointRequest, _context: Context
    ) -> admin_pb2.CheckpointResponse:
        """Clears the registry's log."""
        return await self._pool.run(self._registry.checkpoint)


async def run(config: Config) -> None:
    """Serves until SIGTERM."""
    os.nice(_NICENESS)
    keep_little()
    directory = DataDirectory(config.data_dir)
    with SqlRegistry.open_writer(directory.registry) as registry:
        await _serve(config, directory, registry)


async def _serve(config: Config, directory: DataDirectory, registry: RegistryWriter) -> None:
    secrets = directory.secrets()
    pepper = secrets.pepper
    limits = RegistrationLimits(
        items_per_registration=config.max_items_per_registration,
        hashes_per_item=config.max_hashes_per_item,
        items_per_case=config.max_items_per_case,
        hashes_per_registration=config.max_hashes_per_registration,
    )
    pins = Pins(pepper)
    throttle = Throttle(pins.verify)
    threading.Thread(target=throttle.run, name="pins", daemon=True).start()
    registrar = Registrar(registry, pins, throttle, pepper, limits)
    decode = partial(
        payloads.register_hashes,
        items_max=config.max_items_per_registration,
        hashes_max=config.max_hashes_per_registration,
    )
    receiver = Receiver(MessageLimits.of(config), {_REGISTER: bytes})
    pool = Pool("writer", threads=_THREADS, queued=_QUEUED)
    registering = Pool("register", threads=_REGISTERING, queued=_QUEUED)
    server = aio.server(
        interceptors=[Errors(receiver, config.max_call_s, config.max_video_call_s)],
        options=[("grpc.max_receive_message_length", config.max_message_bytes)],
    )
    registration_pb2_grpc.add_RegistrationServiceServicer_to_server(
        RegistrationServicer(
            registrar, decode, pool, registering, SealedCursors(secrets.match_tokens)
        ),
        server,
    )
    admin_pb2_grpc.add_AdminServiceServicer_to_server(
        AdminServicer(InRegistry(registry), pool), server
    )
    told = Health()
    health_pb2_grpc.add_HealthServicer_to_server(told.servicer, server)
    directory.socket.unlink(missing_ok=True)  # what a killed writer left
    mask = os.umask(0o177)  # the socket is for this user alone
    server.add_insecure_port(directory.socket_address)
    os.umask(mask)
    storage = partial(look_at_storage, told, registry, (pool, registering))
    await storage()
    tasks = [
        vital("compaction", housekeeping.watch(config, registry)),
        vital("storage", forever(storage, STORAGE_LOOK_S)),
    ]
    await until_told_to_stop(server, config.drain_grace_s, told.servicer.enter_graceful_shutdown)
    for task in tasks:
        task.cancel()
    directory.socket.unlink(missing_ok=True)

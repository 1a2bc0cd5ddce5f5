"""A message that has come is freed also where its call is cancelled before it is read."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from disrupt.server.config import Config
from disrupt.server.edge.methods import message_limit
from disrupt.server.edge.receiving import Context, Receiver
from rig.callers.wire import Wire, begun

METHOD = "/disrupt.v1.MatchService/MatchImage"
SIZE_BYTES = 16 * 2**20
ROUNDS = 4


class Memory(ctypes.Structure):
    """What glibc's mallinfo2 returns."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def allocated_bytes() -> int:
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Memory
    memory = libc.mallinfo2()
    return int(memory.uordblks + memory.hblkhd)


class Cancelling(grpc.GenericRpcHandler):
    """Cancel each call once its message has come, and before the event loop learns of that."""

    def __init__(self, receiver: Receiver, sent: threading.Event) -> None:
        self._reading = receiver.of(METHOD, lambda data: data)
        self._sent = sent

    def service(self, _details: object) -> grpc.RpcMethodHandler[Any, Any]:
        return grpc.stream_unary_rpc_method_handler(self._received)

    async def _received(self, _: object, context: Context) -> None:
        reading = asyncio.ensure_future(self._reading.single(context))
        for _step in range(3):
            await asyncio.sleep(0)  # it begins to read
        self._sent.wait()  # the event loop is held up
        time.sleep(0.1)  # noqa: ASYNC251
        reading.cancel()
        await asyncio.wait([reading])
        await context.abort(grpc.StatusCode.CANCELLED)


def test_a_message_whose_call_is_cancelled_before_it_is_read_is_freed(tmp_path: Path) -> None:
    sent = threading.Event()
    message = begun(SIZE_BYTES, bytes(SIZE_BYTES))

    def call(wire: Wire) -> None:
        began = wire.begin(METHOD, None)
        at = 0
        while at < len(message):
            at += wire.send(began, message[at : at + (1 << 20)])
            wire.read(0.001)
        sent.set()
        wire.until(lambda: began in wire.ended)
        sent.clear()

    async def serve() -> None:
        limits = partial(message_limit, config=Config(data_dir=tmp_path))
        server = aio.server(
            handlers=[Cancelling(Receiver(limits, {}), sent)],
            options=[("grpc.max_receive_message_length", -1)],
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        with closing(Wire(f"127.0.0.1:{port}")) as wire:
            for _ in range(ROUNDS):
                await asyncio.to_thread(call, wire)
        await server.stop(None)

    before = allocated_bytes()
    asyncio.run(serve())
    assert allocated_bytes() - before < SIZE_BYTES

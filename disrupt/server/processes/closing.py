"""Stop taking connections so that none is reset which the kernel has taken.

A listener that closes resets the connections that wait in its queue, though another process listens
on the same port, as after a reload. So before it closes, a filter keeps new ones out, and the queue
runs empty. A peer whose first packet was dropped sends it again after a second, as TCP does, and
reaches whoever listens then.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import stat
import struct
import time
from collections.abc import Sequence
from contextlib import suppress

from disrupt.server.admission.sockets import copied, descriptors

_HANDSHAKE_S = 0.2
"""Time for handshakes that have begun: a packet to the other side of the world and back."""
_LONGEST_S = 2.0
_PAUSE_S = 0.01
_QUEUED_AT = 24
"""Offset of tcpi_unacked in struct tcp_info, of a listener the connections in its queue."""
_SO_ATTACH_FILTER = 26
_FLAGS_AT, _SYN, _ACK = 13, 0x02, 0x10
_DROP_FIRST_PACKETS = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, _FLAGS_AT),  # load the byte of flags
        (0x54, 0, 0, _SYN | _ACK),  # and
        (0x15, 0, 1, _SYN),  # go on to the next if equal, else skip it
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # let through
    )
)
"""A classic BPF program, of struct sock_filter, for packets that begin with their TCP header."""


async def run_empty() -> None:
    """Keep new connections out of this process, and wait until all that came are taken.

    Some may be reset all the same where the kernel has no such filters.
    """
    with suppress(OSError):
        await run_these_empty([each for each in descriptors() if _shares_its_port(each)])


async def run_these_empty(listeners: Sequence[int]) -> None:
    """Do so for some listeners, by descriptor. After _LONGEST_S go on, whatever is left.

    Raises OSError.
    """
    if not listeners:
        return
    for listener in listeners:
        with copied(listener) as copy:
            _drop_first_packets(copy)
    give_up_s = time.monotonic() + _LONGEST_S
    await asyncio.sleep(_HANDSHAKE_S)
    while any(map(_queued, listeners)) and time.monotonic() < give_up_s:  # noqa: ASYNC110
        await asyncio.sleep(_PAUSE_S)


def _shares_its_port(descriptor: int) -> bool:
    """Tell whether a descriptor is of a TCP listener beside which others may listen.

    The listener for metrics is not: it is the supervisor's, and goes on.
    """
    with suppress(OSError):  # closed by now
        # a copy of another file must not be closed: that gives away the locks of the process on it
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        with copied(descriptor) as copy:
            return copy.family in {socket.AF_INET, socket.AF_INET6} and all(
                copy.getsockopt(socket.SOL_SOCKET, option)
                for option in (socket.SO_ACCEPTCONN, socket.SO_REUSEPORT)
            )
    return False


def _drop_first_packets(listener: socket.socket) -> None:
    program = ctypes.create_string_buffer(_DROP_FIRST_PACKETS)
    count = len(_DROP_FIRST_PACKETS) // 8
    pointed = struct.pack("@HP", count, ctypes.addressof(program))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointed)


def _queued(listener: int) -> int:
    with copied(listener) as copy:
        info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _QUEUED_AT + 4)
    return int(struct.unpack_from("=I", info, _QUEUED_AT)[0])

"""All that a browser sends, from its own log of the network, and what in it gives a file away."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11
import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from disrupt.v1 import registration_pb2

WINDOW_BYTES = 16
"""Shortest run of bytes of a file that must not leave."""
_WORD_BYTES = WINDOW_BYTES // 2
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""Odd and irregular, so that no two runs have one sum but by chance."""
_PLACE_BITS = 24

HASH_BYTES_MAX = 64
MESSAGE_BYTES_MAX = 1024

_REQUESTS: dict[str, type[Message]] = {
    "/v1/RegisterHashes": registration_pb2.RegisterHashesRequest,
    "/v1/GetCase": registration_pb2.GetCaseRequest,
    "/v1/WithdrawItems": registration_pb2.WithdrawItemsRequest,
    "/v1/WithdrawCase": registration_pb2.WithdrawCaseRequest,
    "/v1/KeepCase": registration_pb2.KeepCaseRequest,
}
_FILES = re.compile(r"/[a-z0-9_./-]*", re.IGNORECASE)
"""Paths of the page's files: without a query."""

_HEADERS = {
    *("accept", "accept-encoding", "accept-language", "cache-control", "connection", "pragma"),
    *("content-digest", "content-length", "content-type", "host", "origin", "user-agent"),
    *("sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "upgrade-insecure-requests"),
    *("sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user"),
    *("sec-fetch-storage-access", "priority", "dnt", "sec-gpc"),
}
"""What a browser writes by itself, and what the page adds."""


OWN_NAMES = {"accounts.google.com", "update.googleapis.com"}
"""Names that Chromium looks up for itself, whatever page is open."""


@dataclass
class Traffic:
    """What left: bytes of each TCP connection, datagrams, names that were looked up, addresses."""

    streams: dict[int, bytearray] = field(default_factory=dict)
    datagrams: list[bytes] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)

    @property
    def everything(self) -> Iterator[bytes]:
        yield from map(bytes, self.streams.values())
        yield from self.datagrams
        yield from (name.encode() for name in self.names)


def read(log: Path) -> Traffic:
    """Read a log that Chromium wrote by --log-net-log, with all bytes."""
    content = json.loads(log.read_text("utf-8", "replace"))
    types = {number: name for name, number in content["constants"]["logEventTypes"].items()}
    traffic = Traffic()
    for event in content["events"]:
        _note(traffic, types[event["type"]], event["source"]["id"], event.get("params", {}))
    return traffic


def _note(traffic: Traffic, kind: str, source: int, params: dict[str, Any]) -> None:
    if kind == "SOCKET_BYTES_SENT":
        traffic.streams.setdefault(source, bytearray()).extend(base64.b64decode(params["bytes"]))
    elif kind == "UDP_BYTES_SENT":
        traffic.datagrams.append(base64.b64decode(params.get("bytes", "")))
    elif kind.startswith("HOST_RESOLVER_MANAGER") and "host" in params:
        traffic.names.add(re.sub(r"^\w+://|:\d+$", "", params["host"]))
    elif kind == "TCP_CONNECT_ATTEMPT" and "address" in params:
        traffic.addresses.add(params["address"])


class Secrets:
    """Bytes that must not leave: all runs of files and pixels, as they are and in base64."""

    def __init__(self, contents: Iterable[bytes]) -> None:
        self._contents = list(contents)

    def are_in(self, sent: Iterable[bytes]) -> bool:
        """Tell whether a run of WINDOW_BYTES is in any that was sent.

        What was sent is little beside the pixels of a video: so its sums are kept, and the secrets
        are looked for in them.
        """
        parts = [part for stream in sent for part in _sums(stream)]
        sums = np.unique(np.concatenate([np.empty(0, np.uint64), *parts]))
        is_place = np.zeros(1 << _PLACE_BITS, bool)
        is_place[_places(sums)] = True
        return any(
            np.isin(part[is_place[_places(part)]], sums).any()
            for content in self._contents
            for form in _forms(content)
            for part in _sums(form)
        )


def _forms(content: bytes) -> Iterator[bytes]:
    yield content
    for skipped in range(3):
        encoded = base64.b64encode(content[skipped:])
        yield encoded
        yield encoded.translate(bytes.maketrans(b"+/", b"-_"))


def _sums(content: bytes) -> Iterator[NDArray[np.uint64]]:
    """Yield a sum of each run of WINDOW_BYTES, those at every eighth place together."""
    for start in range(min(_WORD_BYTES, len(content) - WINDOW_BYTES + 1)):
        words = np.frombuffer(content, "<u8", (len(content) - start) // _WORD_BYTES, start)
        yield words[:-1] * _FACTOR + words[1:]


def _places(sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the place of each sum in a table that leaves nearly all others out."""
    return sums >> np.uint64(64 - _PLACE_BITS)


def faults(traffic: Traffic, address: str, secrets: Secrets, names: Iterable[str]) -> set[str]:
    """Return in which ways more left than may; ``address`` is that of the gateway."""
    host, _, _ = address.rpartition(":")
    found = set[str]()
    if traffic.datagrams:
        found.add("datagrams")
    if traffic.names - {host, "~notfound"} - OWN_NAMES:
        found.add("names looked up")
    if traffic.addresses - {address}:
        found.add("other addresses")
    if secrets.are_in(traffic.everything):
        found.add("bytes of a file")
    for sent in traffic.everything:
        if any(name.encode() in sent for name in names):
            found.add("name of a file")
    for stream in traffic.streams.values():
        found.update(_request_faults(bytes(stream)))
    return found


def _request_faults(stream: bytes) -> Iterator[str]:
    try:
        for request, body in _requests(stream):
            path = request.target.decode()
            if {name.decode() for name, _ in request.headers} - _HEADERS:
                yield "headers"
            if kind := _REQUESTS.get(path):
                yield from _message_faults(kind, body)
            elif body or request.method != b"GET" or not _FILES.fullmatch(path):
                yield "requests"
    except h11.RemoteProtocolError:
        yield "requests"


def _requests(stream: bytes) -> Iterator[tuple[h11.Request, bytes]]:
    """Yield the requests of a connection, which it sends one after the other."""
    left = stream
    while left:
        reader = h11.Connection(h11.SERVER)
        reader.receive_data(left)
        request = reader.next_event()
        if not isinstance(request, h11.Request):
            return
        body = bytearray()
        while isinstance(event := reader.next_event(), h11.Data):
            body += event.data
        if not isinstance(event, h11.EndOfMessage):
            raise h11.RemoteProtocolError("a request that does not end")
        yield request, bytes(body)
        left = reader.trailing_data[0]


def _message_faults(kind: type[Message], body: bytes) -> Iterator[str]:
    message = kind()
    try:
        message.ParseFromString(body)
    except DecodeError:
        yield "messages"
        return
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) != body:
        yield "messages"
    hashes = sum(len(item.fingerprints.hashes) // 32 for item in getattr(message, "items", ()))
    if len(body) > HASH_BYTES_MAX * hashes + MESSAGE_BYTES_MAX:
        yield "sizes"

"""All that a browser sends, by its own log of the network, and what in it is not expected."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h11
import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from disrupt.v1 import registration_pb2
from disrupt.web.gateway import CONTENT_TYPE, SERVICE

WINDOW_BYTES = 16
"""Shortest run of bytes of a secret that must not leave."""
_WORD_BYTES = WINDOW_BYTES // 2
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""Odd and irregular, so that no two runs have one sum but by chance."""

_HASH_BYTES_MAX, _MESSAGE_BYTES_MAX = 64, 1024
"""Most bytes of a message for each of its hashes, and beside them."""

_MESSAGES: dict[str, type[Message]] = {
    f"{SERVICE}/RegisterHashes": registration_pb2.RegisterHashesRequest,
    f"{SERVICE}/GetCase": registration_pb2.GetCaseRequest,
    f"{SERVICE}/GetChallenge": registration_pb2.GetChallengeRequest,
    f"{SERVICE}/WithdrawItems": registration_pb2.WithdrawItemsRequest,
    f"{SERVICE}/KeepCase": registration_pb2.KeepCaseRequest,
    f"{SERVICE}/WithdrawCase": registration_pb2.WithdrawCaseRequest,
    f"{SERVICE}/GetReceipt": registration_pb2.GetReceiptRequest,
}
_FILE = re.compile(r"/[a-z0-9_./-]*")
"""Paths of the page's files: without a query."""

_HEADERS = {
    *("accept", "accept-encoding", "accept-language", "cache-control", "connection", "pragma"),
    *("connect-protocol-version", "content-length", "content-type", "host", "origin", "priority"),
    *("sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "sec-fetch-dest", "sec-fetch-mode"),
    *("sec-fetch-site", "sec-fetch-user", "sec-fetch-storage-access", "user-agent"),
    "upgrade-insecure-requests",
}
"""What Chromium writes by itself, and what the page adds."""

OWN_NAMES = {"accounts.google.com", "update.googleapis.com"}
"""Names that Chromium looks up for itself, whatever page is open."""


@dataclass
class Sent:
    """What left: bytes of each TCP connection, datagrams, names looked up, addresses."""

    streams: dict[int, bytearray] = field(default_factory=dict)
    datagrams: list[bytes] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)

    @property
    def everything(self) -> Iterator[bytes]:
        yield from map(bytes, self.streams.values())
        yield from self.datagrams
        yield from (name.encode() for name in self.names)


def read(log: Path) -> Sent:
    """Read a log that Chromium wrote by --log-net-log, with all bytes."""
    content = json.loads(log.read_text("utf-8", "replace"))
    kinds = {number: name for name, number in content["constants"]["logEventTypes"].items()}
    sent = Sent()
    for event in content["events"]:
        kind, params = kinds[event["type"]], event.get("params", {})
        if kind == "SOCKET_BYTES_SENT":
            stream = sent.streams.setdefault(event["source"]["id"], bytearray())
            stream.extend(base64.b64decode(params["bytes"]))
        elif kind == "UDP_BYTES_SENT":
            sent.datagrams.append(base64.b64decode(params.get("bytes", "")))
        elif kind.startswith("HOST_RESOLVER_MANAGER") and "host" in params:
            sent.names.add(re.sub(r"^\w+://|:\d+$", "", params["host"]))
        elif kind == "TCP_CONNECT_ATTEMPT" and "address" in params:
            sent.addresses.add(params["address"])
    return sent


def shared(secrets: Iterable[bytes], sent: Iterable[bytes]) -> bool:
    """Tell whether a run of WINDOW_BYTES of a secret left, as it is or in base64."""
    left = np.unique(np.concatenate([np.empty(0, np.uint64), *(s for b in sent for s in _sums(b))]))
    return any(
        np.isin(sums, left).any()
        for secret in secrets
        for form in _forms(secret)
        for sums in _sums(form)
    )


def _forms(secret: bytes) -> Iterator[bytes]:
    yield secret
    for skipped in range(3):
        yield base64.b64encode(secret[skipped:])
        yield base64.urlsafe_b64encode(secret[skipped:])


def _sums(content: bytes) -> Iterator[NDArray[np.uint64]]:
    """Yield a sum of each run of WINDOW_BYTES, those at every eighth place together."""
    for start in range(min(_WORD_BYTES, len(content) - WINDOW_BYTES + 1)):
        words = np.frombuffer(content, "<u8", (len(content) - start) // _WORD_BYTES, start)
        yield words[:-1] * _FACTOR + words[1:]


def faults(sent: Sent, gateway: str, secrets: Iterable[bytes], names: Iterable[str]) -> set[str]:
    """Return in which ways more left than may; ``gateway`` is its HOST:PORT."""
    found = set[str]()
    if sent.datagrams:
        found.add("datagrams")
    if sent.names - {gateway.rpartition(":")[0], "~notfound"} - OWN_NAMES:
        found.add("names looked up")
    if sent.addresses - {gateway}:
        found.add("other addresses")
    if shared(secrets, sent.everything):
        found.add("bytes of a file")
    if any(name.encode() in part for part in sent.everything for name in names):
        found.add("name of a file")
    for stream in sent.streams.values():
        try:
            for request, body in _requests(bytes(stream)):
                found.update(_request_faults(request, body))
        except h11.RemoteProtocolError:
            found.add("requests")
    return found


def _requests(stream: bytes) -> Iterator[tuple[h11.Request, bytes]]:
    """Yield the requests of a connection, which it sends one after the other."""
    left = stream
    while left:
        reader = h11.Connection(h11.SERVER)
        reader.receive_data(left)
        request, body = reader.next_event(), bytearray()
        if not isinstance(request, h11.Request):
            return
        while isinstance(event := reader.next_event(), h11.Data):
            body += event.data
        if not isinstance(event, h11.EndOfMessage):
            raise h11.RemoteProtocolError("a request that does not end")
        yield request, bytes(body)
        left = reader.trailing_data[0]


def _request_faults(request: h11.Request, body: bytes) -> Iterator[str]:
    headers = {name.decode(): value.decode() for name, value in request.headers}
    if headers.keys() - _HEADERS or headers.get("content-type", CONTENT_TYPE) != CONTENT_TYPE:
        yield "headers"
    kind = _MESSAGES.get(request.target.decode())
    if kind is None:
        if body or request.method != b"GET" or not _FILE.fullmatch(request.target.decode()):
            yield "requests"
        return
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
    if len(body) > _HASH_BYTES_MAX * hashes + _MESSAGE_BYTES_MAX:
        yield "sizes"

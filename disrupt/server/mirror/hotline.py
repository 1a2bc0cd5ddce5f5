"""Call the FeedService of the hotline, with the key that it has given."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message import Message
from grpc import aio

from disrupt.client.connection import Connection, connect
from disrupt.client.failures import failure
from disrupt.core.mirrors import FeedPage
from disrupt.errors import ConfigurationError, UnauthenticatedError
from disrupt.server.config import Config
from disrupt.v1.feed_pb2_grpc import FeedServiceStub
from disrupt.wire import feed as wire

_CALL_S = 30.0


def connection(config: Config) -> Connection:
    """Return address and key of the hotline. Raises ConfigurationError."""
    try:
        key = str(config.hotline_key and config.hotline_key.read_text("ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"hotline_key cannot be read: {error}.") from error
    return connect(config.hotline, key, config.hotline_ca)


class Hotline:
    """Makes calls; of each that fails it raises a class of disrupt.errors. For one event loop."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._opened: tuple[Connection, aio.Channel] | None = None

    async def page(self, cursor: str) -> FeedPage:
        """Return the page after a cursor; InvalidRequestError where it is none."""
        return wire.read_page(await self.call("ListChanges", wire.page_request(cursor)))

    async def call(self, method: str, request: Message) -> Any:  # noqa: ANN401 the method's response
        """Return the answer to a call."""
        if self._opened is None:
            settings = connection(self._config)
            self._opened = settings, settings.open_async()
        settings, channel = self._opened
        stub: Any = FeedServiceStub(channel)
        try:
            return await getattr(stub, method)(request, timeout=_CALL_S, metadata=settings.metadata)
        except grpc.RpcError as error:
            failed = failure(error, settings.server)
        if isinstance(failed, UnauthenticatedError):
            await self.close()  # the next call reads the file of the key again
        raise failed

    async def close(self) -> None:
        """Close the connection."""
        if self._opened is not None:
            _, channel = self._opened
            self._opened = None
            await channel.close()

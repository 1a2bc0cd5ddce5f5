"""ReviewService in a worker: relayed to the writer, which lacks the index alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import numpy as np
from google.protobuf.descriptor import MethodDescriptor
from numpy.typing import NDArray

from disrupt.errors import PictureMatchesError
from disrupt.server.edge.handlers import by_name
from disrupt.server.edge.interceptors import Handler
from disrupt.server.edge.receiving import Context
from disrupt.server.worker.relay import Relay
from disrupt.v1 import review_pb2
from disrupt.wire import review as wire

_ADD = "/disrupt.v1.ReviewService/AddCommonPicture"


class RelayingReviewServicer:
    """Relay calls; look a picture in common use up before."""

    def __init__(
        self, relay: Relay, matches: Callable[[NDArray[np.void], Context], Awaitable[bool]]
    ) -> None:
        """Take a function that tells whether any fingerprint, dtype FINGERPRINT, matches."""
        self._relay = relay
        self._matches = matches

    def handler(self, method: MethodDescriptor) -> Handler:
        """Return the handler of a call of ReviewService."""
        return by_name(self)(method) or self._relay.handler(method)

    async def AddCommonPicture(
        self, request: review_pb2.AddCommonPictureRequest, context: Context
    ) -> review_pb2.AddCommonPictureResponse:
        """Add a picture to those in common use.

        The writer, which has no index, is told whether the picture matches a registered one.
        """
        matches = await self._matches(wire.common_picture(request), context)
        if matches and not request.although_matched:
            raise PictureMatchesError(
                "The picture matches one that is registered, so nothing was added. It is no picture"
                " in common use if it shows what that one shows. Where it is a template that both"
                " share, add it with although_matched (--although-matched)."
            )
        relayed = wire.common_relayed(request, matches=matches)
        answer = await self._relay(_ADD, relayed.SerializeToString(), context)
        return review_pb2.AddCommonPictureResponse.FromString(answer)

"""ReviewService: workers relay it, and the writer answers it, which alone writes."""

from __future__ import annotations

from grpc import aio

from disrupt.isolation.fair_queue import turn_of
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.receiving import Context
from disrupt.server.calls.relay import Relay, relayed_for
from disrupt.server.days import now_s, today
from disrupt.services.review import Review
from disrupt.v1 import review_pb2, review_pb2_grpc
from disrupt.wire import review as wire


class RelayingReviewServicer(review_pb2_grpc.ReviewServiceServicer):
    """Relay the calls of proto/disrupt/v1/review.proto to the writer."""

    def __init__(self, max_call_s: float, channel: aio.Channel) -> None:
        self._writer = review_pb2_grpc.ReviewServiceStub(channel)
        self._relay = Relay(channel, max_call_s)

    async def ListItems(  # noqa: N802 gRPC's name
        self, request: review_pb2.ListItemsRequest, context: Context
    ) -> review_pb2.ListItemsResponse:
        """List items."""
        return await self._relay(self._writer.ListItems, request, context)

    async def GetItem(  # noqa: N802 gRPC's name
        self, request: review_pb2.GetItemRequest, context: Context
    ) -> review_pb2.GetItemResponse:
        """Show one item."""
        return await self._relay(self._writer.GetItem, request, context)

    async def SetItemStates(  # noqa: N802 gRPC's name
        self, request: review_pb2.SetItemStatesRequest, context: Context
    ) -> review_pb2.SetItemStatesResponse:
        """Change the state of items."""
        return await self._relay(self._writer.SetItemStates, request, context)

    async def MoveItems(  # noqa: N802 gRPC's name
        self, request: review_pb2.MoveItemsRequest, context: Context
    ) -> review_pb2.MoveItemsResponse:
        """Move items to another bank."""
        return await self._relay(self._writer.MoveItems, request, context)

    async def ConfirmItems(  # noqa: N802 gRPC's name
        self, request: review_pb2.ConfirmItemsRequest, context: Context
    ) -> review_pb2.ConfirmItemsResponse:
        """Confirm items."""
        return await self._relay(self._writer.ConfirmItems, request, context)

    async def ListCases(  # noqa: N802 gRPC's name
        self, request: review_pb2.ListCasesRequest, context: Context
    ) -> review_pb2.ListCasesResponse:
        """List cases."""
        return await self._relay(self._writer.ListCases, request, context)

    async def ListActs(  # noqa: N802 gRPC's name
        self, request: review_pb2.ListActsRequest, context: Context
    ) -> review_pb2.ListActsResponse:
        """List the log of acts."""
        return await self._relay(self._writer.ListActs, request, context)

    async def VerifyActs(  # noqa: N802 gRPC's name
        self, request: review_pb2.VerifyActsRequest, context: Context
    ) -> review_pb2.VerifyActsResponse:
        """Verify the log of acts."""
        return await self._relay(self._writer.VerifyActs, request, context)


class ReviewServicer(review_pb2_grpc.ReviewServiceServicer):
    """Answer the calls of ReviewService in the writer. Callers take turns at the pool."""

    def __init__(self, review: Review, pool: Pool) -> None:
        self._review = review
        self._pool = pool

    async def ListItems(  # noqa: N802 gRPC's name
        self, request: review_pb2.ListItemsRequest, context: Context
    ) -> review_pb2.ListItemsResponse:
        """List items."""
        wanted, size = wire.item_filter(request), wire.page_size(request)
        banks, token, caller = tuple(request.banks), request.page_token, _caller(context)
        items, following = await self._pool.run(
            self._review.items, wanted, banks, token, size, caller=caller
        )
        return wire.items_answer(items, following, await self._named())

    async def GetItem(  # noqa: N802 gRPC's name
        self, request: review_pb2.GetItemRequest, context: Context
    ) -> review_pb2.GetItemResponse:
        """Show one item."""
        item_id, caller = wire.item_id(request), _caller(context)
        item = await self._pool.run(self._review.item, item_id, caller=caller)
        return wire.item_answer(item, await self._named())

    async def SetItemStates(  # noqa: N802 gRPC's name
        self, request: review_pb2.SetItemStatesRequest, context: Context
    ) -> review_pb2.SetItemStatesResponse:
        """Change the state of items."""
        item_ids, caller = wire.item_ids(request), _caller(context)
        items = await self._pool.run(
            self._review.set_states,
            item_ids,
            wire.item_state(request),
            wire.state_reason(request),
            caller=caller,
            day=today(),
            at_s=now_s(),
        )
        return wire.states_answer(items, await self._named())

    async def MoveItems(  # noqa: N802 gRPC's name
        self, request: review_pb2.MoveItemsRequest, context: Context
    ) -> review_pb2.MoveItemsResponse:
        """Move items to another bank."""
        item_ids, caller = wire.item_ids(request), _caller(context)
        items = await self._pool.run(
            self._review.move, item_ids, request.bank, caller=caller, at_s=now_s()
        )
        return wire.moved_answer(items, await self._named())

    async def ConfirmItems(  # noqa: N802 gRPC's name
        self, request: review_pb2.ConfirmItemsRequest, context: Context
    ) -> review_pb2.ConfirmItemsResponse:
        """Confirm items."""
        item_ids, caller = wire.item_ids(request), _caller(context)
        items = await self._pool.run(self._review.confirm, item_ids, caller=caller, at_s=now_s())
        return wire.confirmed_answer(items, await self._named())

    async def ListCases(  # noqa: N802 gRPC's name
        self, request: review_pb2.ListCasesRequest, context: Context
    ) -> review_pb2.ListCasesResponse:
        """List cases."""
        wanted, size, caller = (
            wire.case_filter(request),
            wire.page_size(request),
            _caller(context),
        )
        cases, following = await self._pool.run(
            self._review.cases, wanted, request.page_token, size, caller=caller
        )
        return wire.cases_answer(cases, following, self._review.case_handle)

    async def ListActs(  # noqa: N802 gRPC's name
        self, request: review_pb2.ListActsRequest, context: Context
    ) -> review_pb2.ListActsResponse:
        """List the log of acts."""
        size = wire.page_size(request)
        _caller(context)
        return wire.acts_answer(await self._pool.run(self._review.acts, wire.after(request), size))

    async def VerifyActs(  # noqa: N802 gRPC's name
        self, request: review_pb2.VerifyActsRequest, context: Context
    ) -> review_pb2.VerifyActsResponse:
        """Verify the log of acts."""
        after, digest = wire.verified_before(request)
        _caller(context)
        verified = await self._pool.run(self._review.verify, after, digest)
        return wire.verified_answer(
            verified.number, verified.digest, verified.broken, complete=verified.complete
        )

    async def _named(self) -> wire.Named:
        return await self._pool.run(self._review.bank_names), self._review.case_handle


def _caller(context: Context) -> str:
    """Return the id of the key whose call this is, and let it take its turns at the pool."""
    caller = relayed_for(context)
    turn_of.set(caller)
    return caller

"""ReviewService, answered by the writer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from disrupt.core.acts import Action
from disrupt.core.policy import ApiKey
from disrupt.core.review import ItemFilter, ReviewedItem
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.receiving import Context
from disrupt.server.edge.shares import holder
from disrupt.server.edge.today import today
from disrupt.services import mirrors, tallies
from disrupt.services.common_bank import CommonBank
from disrupt.services.cursors import SealedCursors
from disrupt.services.review import Decided, Reviewer, act_of
from disrupt.services.tokens import MatchTokens
from disrupt.v1 import review_pb2
from disrupt.wire import review as wire
from disrupt.wire import service as wire_service
from disrupt.wire import tallies as wire_tallies

_Response = TypeVar("_Response")


class ReviewServicer:
    """Answer the calls of proto/disrupt/v1/review.proto, which workers relay."""

    def __init__(
        self,
        reviewer: Reviewer,
        common: CommonBank,
        pool: Pool,
        cursors: SealedCursors,
        tokens: MatchTokens,
        oldest_withdrawn_s: Callable[[], float],
        erase_within_s: float,
    ) -> None:
        self._oldest_withdrawn_s = oldest_withdrawn_s
        self._erase_within_s = erase_within_s
        self._common = common
        self._tokens = tokens
        self._reviewer = reviewer
        self._registry = reviewer.registry
        self._pool = pool
        self._cursors = cursors

    async def ListItems(
        self, request: review_pb2.ListItemsRequest, _context: Context
    ) -> review_pb2.ListItemsResponse:
        """List items."""
        return await self._run(self._list_items, request)

    def _list_items(
        self, key: ApiKey, request: review_pb2.ListItemsRequest
    ) -> review_pb2.ListItemsResponse:
        banks = self._reviewer.listed_banks(key, request.conditions.banks)
        wanted = wire.item_filter(request.conditions, banks)
        size, before = wire.page_size(request), wire.before(request.page)
        page = self._registry.items_for_review(wanted, size, before)
        return wire.items_answer(page.items, page.before, self._bank_names())

    async def SetItemStates(
        self, request: review_pb2.SetItemStatesRequest, _context: Context
    ) -> review_pb2.SetItemStatesResponse:
        """Set the state of items."""
        return await self._run(self._set_states, request)

    def _set_states(
        self, key: ApiKey, request: review_pb2.SetItemStatesRequest
    ) -> review_pb2.SetItemStatesResponse:
        ids, (state, action) = wire.item_ids(request.item_ids), wire.state_to_set(request)
        act = act_of(key, action, int(time.time()), request.reason)
        decided = self._reviewer.set_states(key, ids, state, act)
        return wire.states_set_answer(*self._decided(decided))

    async def PreviewItems(
        self, request: review_pb2.PreviewItemsRequest, _context: Context
    ) -> review_pb2.PreviewItemsResponse:
        """Count items."""
        return await self._run(self._preview, request)

    def _preview(
        self, key: ApiKey, request: review_pb2.PreviewItemsRequest
    ) -> review_pb2.PreviewItemsResponse:
        counts = self._reviewer.preview(self._wanted(key, request.conditions))
        return wire.preview_answer(counts, self._bank_names())

    async def SetAllStates(
        self, request: review_pb2.SetAllStatesRequest, _context: Context
    ) -> review_pb2.SetAllStatesResponse:
        """Set the state of all items that conditions name."""
        return await self._run(self._set_all_states, request)

    def _set_all_states(
        self, key: ApiKey, request: review_pb2.SetAllStatesRequest
    ) -> review_pb2.SetAllStatesResponse:
        wanted, (state, action) = self._wanted(key, request.conditions), wire.state_to_set(request)
        act = act_of(key, action, int(time.time()), request.reason)
        done = self._reviewer.set_all_states(wanted, state, act, expected=request.expected_items)
        return wire.all_states_set_answer(done, self._cursors.seal(done.cursor))

    async def UndoAct(
        self, request: review_pb2.UndoActRequest, _context: Context
    ) -> review_pb2.UndoActResponse:
        """Undo an act on many items."""
        return await self._run(self._undo, request)

    def _undo(self, key: ApiKey, request: review_pb2.UndoActRequest) -> review_pb2.UndoActResponse:
        act = act_of(key, Action.UNDO, int(time.time()), request.reason)
        done = self._reviewer.undo(key, wire.act_number(request), act)
        return wire.undone_answer(done, self._cursors.seal(done.cursor))

    async def ListErasures(
        self, request: review_pb2.ListErasuresRequest, _context: Context
    ) -> review_pb2.ListErasuresResponse:
        """List erasures of cases."""
        return await self._run(self._list_erasures, request)

    def _list_erasures(
        self, key: ApiKey, request: review_pb2.ListErasuresRequest
    ) -> review_pb2.ListErasuresResponse:
        size, before = wire.page_size(request), wire.before(request.page)
        page = self._registry.erasures(size, before, banks=key.banks, at_s=int(time.time()))
        return wire.erasures_answer(page.erasures, page.before)

    async def ListMirrors(
        self, request: review_pb2.ListMirrorsRequest, _context: Context
    ) -> review_pb2.ListMirrorsResponse:
        """List who reads the feed."""
        return await self._run(self._list_mirrors, request)

    def _list_mirrors(
        self, _key: ApiKey, _request: review_pb2.ListMirrorsRequest
    ) -> review_pb2.ListMirrorsResponse:
        keys, reports = self._registry.keys(), self._registry.mirror_reports()
        now_s = int(time.time())
        return wire.mirrors_answer(mirrors.statuses(keys, reports, day=today(), now_s=now_s))

    async def MoveItems(
        self, request: review_pb2.MoveItemsRequest, _context: Context
    ) -> review_pb2.MoveItemsResponse:
        """Move items to another bank."""
        return await self._run(self._move, request)

    def _move(
        self, key: ApiKey, request: review_pb2.MoveItemsRequest
    ) -> review_pb2.MoveItemsResponse:
        ids = wire.item_ids(request.item_ids)
        act = act_of(key, Action.MOVE, int(time.time()), request.reason)
        decided = self._reviewer.move(key, ids, request.bank, act)
        return wire.moved_answer(*self._decided(decided))

    async def ConfirmItems(
        self, request: review_pb2.ConfirmItemsRequest, _context: Context
    ) -> review_pb2.ConfirmItemsResponse:
        """Confirm items."""
        return await self._run(self._confirm, request)

    def _confirm(
        self, key: ApiKey, request: review_pb2.ConfirmItemsRequest
    ) -> review_pb2.ConfirmItemsResponse:
        ids = wire.item_ids(request.item_ids)
        act = act_of(key, Action.CONFIRM, int(time.time()), request.reason)
        decided = self._reviewer.confirm(key, ids, act)
        return wire.confirmed_answer(*self._decided(decided))

    async def SettleDisputes(
        self, request: review_pb2.SettleDisputesRequest, _context: Context
    ) -> review_pb2.SettleDisputesResponse:
        """Settle what is disputed of items."""
        return await self._run(self._settle, request)

    def _settle(
        self, key: ApiKey, request: review_pb2.SettleDisputesRequest
    ) -> review_pb2.SettleDisputesResponse:
        ids, (settlement, action) = wire.item_ids(request.item_ids), wire.settlement_to_set(request)
        act = act_of(key, action, int(time.time()), request.reason)
        decided = self._reviewer.settle(key, ids, settlement, act)
        return wire.settled_answer(*self._decided(decided), decided.changed)

    async def ShowItem(
        self, request: review_pb2.ShowItemRequest, _context: Context
    ) -> review_pb2.ShowItemResponse:
        """Show one item."""
        return await self._run(self._show, request)

    def _show(
        self, key: ApiKey, request: review_pb2.ShowItemRequest
    ) -> review_pb2.ShowItemResponse:
        item_id = wire.named_item(request)
        token = None if item_id else self._tokens.open(request.match_id)
        item, reports = self._reviewer.show(key, token.item_id if token else item_id)
        matched = (token.versions, token.time_s) if token else ()
        return wire.shown_answer(
            item, reports.outcomes, reports.disputes, self._bank_names(), *matched
        )

    async def ListActs(
        self, request: review_pb2.ListActsRequest, _context: Context
    ) -> review_pb2.ListActsResponse:
        """List acts."""
        return await self._run(self._list_acts, request)

    def _list_acts(
        self, key: ApiKey, request: review_pb2.ListActsRequest
    ) -> review_pb2.ListActsResponse:
        size = wire.page_size(request)
        wanted = wire.act_filter(request)
        acts = self._reviewer.acts(key, size, wire.before(request.before), wanted)
        return wire.acts_answer(acts, size, self._bank_names())

    async def ListTallies(
        self, request: review_pb2.ListTalliesRequest, _context: Context
    ) -> review_pb2.ListTalliesResponse:
        """List tallies."""
        return await self._run(self._list_tallies, request)

    def _list_tallies(
        self, key: ApiKey, request: review_pb2.ListTalliesRequest
    ) -> review_pb2.ListTalliesResponse:
        names, size = wire_tallies.names(request), wire_tallies.page_size(request)
        counts = tallies.tallies(
            *(self._registry, key, *wire_tallies.days(request), names),
            limit=size,
            after=wire_tallies.after(request.page),
        )
        return wire_tallies.answer(counts, size)

    async def ShowService(
        self, request: review_pb2.ShowServiceRequest, _context: Context
    ) -> review_pb2.ShowServiceResponse:
        """Show what operators have set."""
        return await self._run(self._show_service, request)

    def _show_service(
        self, key: ApiKey, _request: review_pb2.ShowServiceRequest
    ) -> review_pb2.ShowServiceResponse:
        own = wire_service.service_key(key, self._bank_names())
        if not self._reviewer.sees_all(key):
            return wire_service.answer_of_own_key(own)
        return wire_service.answer(
            own,
            self._registry.banks(),
            self._registry.keys(),
            self._registry.quotas(),
            oldest_withdrawn_s=self._oldest_withdrawn_s(),
            erase_within_s=self._erase_within_s,
        )

    async def AddCommonPicture(
        self, request: review_pb2.AddCommonPictureRequest, _context: Context
    ) -> review_pb2.AddCommonPictureResponse:
        """Add a picture to those in common use; ``although_matched`` says that it matches."""
        return await self._run(self._add_common, request)

    def _add_common(
        self, key: ApiKey, request: review_pb2.AddCommonPictureRequest
    ) -> review_pb2.AddCommonPictureResponse:
        request_id, picture = wire.request_id(request), wire.common_picture(request)
        added, although = Action.COMMON_ADDED, Action.COMMON_ADDED_ALTHOUGH_MATCHED
        action = although if request.although_matched else added
        act = act_of(key, action, int(time.time()), request.reason)
        item_id, cursor = self._common.add(request_id, picture, act, day=today())
        item = self._reviewer.common_picture(item_id)
        return wire.common_added_answer(item, self._bank_names(), self._cursors.seal(cursor))

    async def RemoveCommonPictures(
        self, request: review_pb2.RemoveCommonPicturesRequest, _context: Context
    ) -> review_pb2.RemoveCommonPicturesResponse:
        """Take pictures out of those in common use."""
        return await self._run(self._remove_common, request)

    def _remove_common(
        self, key: ApiKey, request: review_pb2.RemoveCommonPicturesRequest
    ) -> review_pb2.RemoveCommonPicturesResponse:
        act = act_of(key, Action.COMMON_REMOVED, int(time.time()), request.reason)
        cursor = self._common.remove(wire.item_ids(request.item_ids), act, day=today())
        return wire.common_removed_answer(self._cursors.seal(cursor))

    async def EraseCase(
        self, request: review_pb2.EraseCaseRequest, _context: Context
    ) -> review_pb2.EraseCaseResponse:
        """Ask that a case be erased."""
        return await self._run(self._erase_case, request)

    def _erase_case(
        self, key: ApiKey, request: review_pb2.EraseCaseRequest
    ) -> review_pb2.EraseCaseResponse:
        act = act_of(key, Action.ERASE_REQUESTED, int(time.time()), "pin_lost")
        return wire.erasure_answer(
            self._reviewer.erase_case(key, wire.case_number(request), act, day=today())
        )

    async def _run(self, answer: Callable[[ApiKey, Any], _Response], request: object) -> _Response:
        return await self._pool.run(partial(self._with_key, answer, holder.get().key_id, request))

    def _with_key(
        self, answer: Callable[[ApiKey, Any], _Response], key_id: str, request: object
    ) -> _Response:
        return answer(self._reviewer.key(key_id, day=today()), request)

    def _wanted(self, key: ApiKey, conditions: review_pb2.ItemConditions) -> ItemFilter:
        return wire.item_filter(conditions, self._reviewer.banks(key, conditions.banks))

    def _decided(self, decided: Decided) -> tuple[Sequence[ReviewedItem], dict[int, str], str]:
        return decided.items, self._bank_names(), self._cursors.seal(decided.cursor)

    def _bank_names(self) -> dict[int, str]:
        return {bank.number: bank.name for bank in self._registry.banks()}

"""The operators' desk: keys, banks and the database's log, by the writer or, without one, here.

Who writes the registry answers as AdminService, on its Unix socket; and four of the calls to other
machines, too, see ``edge.internal``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from disrupt.admin.v1 import admin_pb2
from disrupt.admin.v1.admin_pb2_grpc import AdminServiceStub
from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.policy import TEST_BANK, ApiKey, Right
from disrupt.data_directory import DataDirectory
from disrupt.durable_queue import DurableQueue
from disrupt.errors import (
    DataDirectoryError,
    DataDirectoryInUseError,
    DisruptError,
    InvalidRequestError,
    UnavailableError,
    Violation,
)
from disrupt.registry import opening
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.server.edge.handlers import answering
from disrupt.server.edge.interceptors import Handler, caller
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.receiving import Context
from disrupt.server.edge.today import today
from disrupt.services import banks, keys, tallies
from disrupt.services.common_bank import CommonBank
from disrupt.services.lists import PartnerLists
from disrupt.wire import admin as wire
from disrupt.wire import banks as wire_banks
from disrupt.wire import feed as wire_feed
from disrupt.wire import lists as wire_lists

_TIMEOUT_S = 10.0
_OF_MIRRORS = frozenset({Right.MATCH, Right.OPERATOR})
"""Rights of keys of a mirror."""

_Response = TypeVar("_Response")


@dataclass(frozen=True, slots=True)
class Desk:
    """Answer the calls of AdminService from the registry, whose lock this process holds."""

    registry: RegistryWriter
    common: CommonBank
    mirror_disputes_per_day: int = 0
    outcomes: DurableQueue | None = None
    """Of a mirror: outcomes that the hotline is to be told."""

    def CreateKey(self, request: admin_pb2.CreateKeyRequest) -> admin_pb2.CreateKeyResponse:
        """Make a key."""
        rights = self._checked(wire.rights(request))
        key, secret = keys.create_key(
            self.registry,
            request.name,
            rights,
            tuple(request.banks),
            day=today(),
            act=_act(Action.KEY_ADDED),
            organisation=request.organisation,
            expires_on=request.expires_on,
            distance_bands=request.distance_bands,
        )
        return admin_pb2.CreateKeyResponse(key=self._key(key), secret=secret)

    def ListKeys(self, _request: admin_pb2.ListKeysRequest) -> admin_pb2.ListKeysResponse:
        """List keys."""
        registry = self.registry
        names = _bank_names(registry)
        return wire.list_answer(registry.keys(), names, registry.quotas(), registry.partners())

    def RotateKey(self, request: admin_pb2.RotateKeyRequest) -> admin_pb2.RotateKeyResponse:
        """Make a key that replaces another."""
        old, new, secret = keys.rotate_key(
            self.registry,
            request.key_id,
            overlap_days=request.overlap_days,
            day=today(),
            act=_act(Action.KEY_ADDED, "rotated"),
            expires_on=request.expires_on,
        )
        return admin_pb2.RotateKeyResponse(
            key=self._key(new), secret=secret, replaced=self._key(old)
        )

    def ChangeKey(self, request: admin_pb2.ChangeKeyRequest) -> admin_pb2.ChangeKeyResponse:
        """Change a key."""
        key = keys.change_key(
            self.registry,
            request.key_id,
            day=today(),
            act=_act(Action.KEY_CHANGED),
            rights=self._checked(wire.rights(request)),
            bank_names=tuple(request.banks),
            expires_on=request.expires_on if request.HasField("expires_on") else None,
            distance_bands=(request.distance_bands if request.HasField("distance_bands") else None),
        )
        return admin_pb2.ChangeKeyResponse(key=self._key(key))

    def NoteKeyUses(self, request: admin_pb2.NoteKeyUsesRequest) -> admin_pb2.NoteKeyUsesResponse:
        """Note that keys were used today."""
        self.registry.note_key_uses(tuple(request.key_ids), day=today())
        return admin_pb2.NoteKeyUsesResponse()

    def CountUploads(
        self, request: admin_pb2.CountUploadsRequest
    ) -> admin_pb2.CountUploadsResponse:
        """Add what a worker counted."""
        tallies.count_uploads(self.registry, wire.upload_batch(request), day=today())
        return admin_pb2.CountUploadsResponse()

    def SetQuota(self, request: admin_pb2.SetQuotaRequest) -> admin_pb2.SetQuotaResponse:
        """Set the quota of an organisation."""
        quota = wire.quota(request)
        act = replace(_act(Action.QUOTA_SET), organisation=quota.organisation)
        keys.set_quota(self.registry, quota, act=act)
        return admin_pb2.SetQuotaResponse()

    def SetPartner(self, request: admin_pb2.SetPartnerRequest) -> admin_pb2.SetPartnerResponse:
        """Set how an organisation is named to people affected."""
        partner = wire.partner(request)
        act = replace(_act(Action.PARTNER_SET), organisation=partner.organisation)
        keys.set_partner(self.registry, partner, act=act)
        return admin_pb2.SetPartnerResponse()

    def CreateBank(self, request: admin_pb2.CreateBankRequest) -> admin_pb2.CreateBankResponse:
        """Make a bank, or complete the test bank."""
        self._refuse_of_mirror()
        policy, act = wire_banks.policy(request.policy), _act(Action.BANK_ADDED)
        if request.name == TEST_BANK:
            bank = banks.create_test_bank(self.registry, policy, day=today(), act=act)
        else:
            bank = banks.create_bank(self.registry, request.name, policy, act=act)
        return admin_pb2.CreateBankResponse(bank=wire_banks.bank(bank))

    def ListBanks(self, _request: admin_pb2.ListBanksRequest) -> admin_pb2.ListBanksResponse:
        """List banks."""
        return admin_pb2.ListBanksResponse(banks=map(wire_banks.bank, self.registry.banks()))

    def SetBank(self, request: admin_pb2.SetBankRequest) -> admin_pb2.SetBankResponse:
        """Change a bank."""
        self._refuse_of_mirror()
        policy, act = wire_banks.policy(request.policy), _act(Action.BANK_CHANGED)
        bank = banks.set_bank(self.registry, request.name, policy, act=act)
        return admin_pb2.SetBankResponse(bank=wire_banks.bank(bank))

    def RevokeKey(self, request: admin_pb2.RevokeKeyRequest) -> admin_pb2.RevokeKeyResponse:
        """Revoke a key."""
        key = keys.revoke_key(
            self.registry, request.key_id, day=today(), act=_act(Action.KEY_REVOKED)
        )
        return admin_pb2.RevokeKeyResponse(key=self._key(key))

    def RecordOutcome(
        self, request: admin_pb2.RecordOutcomeRequest
    ) -> admin_pb2.RecordOutcomeResponse:
        """Note what came of a match."""
        report, first = wire.outcome_report(request), True
        if self.outcomes is not None:
            self.outcomes.add([wire_feed.item_outcome_request(report).SerializeToString()])
        elif request.HasField("mirrored"):
            first = self.registry.report_mirrored(
                report,
                day=today(),
                banks=frozenset(request.mirrored.banks),
                disputes_max=self.mirror_disputes_per_day,
            )
        else:
            first = self.registry.report(report, day=today())
        return wire.recorded_answer(first=first)

    def NoteMirror(self, request: admin_pb2.NoteMirrorRequest) -> admin_pb2.NoteMirrorResponse:
        """Keep what a mirror reports of itself."""
        self.registry.note_mirror_report(wire.mirror_report(request, int(time.time())))
        return admin_pb2.NoteMirrorResponse()

    def AddList(self, request: admin_pb2.AddListRequest) -> admin_pb2.AddListResponse:
        """Add a partner's list, and its bank."""
        self._refuse_of_mirror()
        policy, act = wire_banks.policy(request.policy), _act(Action.LIST_ADDED)
        added = self._lists.add(request.name, request.source, policy, act=act, day=today())
        return admin_pb2.AddListResponse(list=wire_lists.partner_list(added))

    def ListLists(self, _request: admin_pb2.ListListsRequest) -> admin_pb2.ListListsResponse:
        """List partners' lists."""
        lists = map(wire_lists.partner_list, self.registry.lists())
        return admin_pb2.ListListsResponse(lists=lists)

    def ApplyList(self, request: admin_pb2.ApplyListRequest) -> admin_pb2.ApplyListResponse:
        """Apply a part of a list."""
        skipped, is_more = self._lists.apply(
            request.name,
            wire_lists.entries(request),
            request.checkpoint if request.HasField("checkpoint") else None,
            request.withdrawn_before_s,
            day=today(),
        )
        return admin_pb2.ApplyListResponse(
            skipped=wire_lists.skipped_messages(skipped), is_more=is_more
        )

    def NoteListRun(self, request: admin_pb2.NoteListRunRequest) -> admin_pb2.NoteListRunResponse:
        """Note how a run of a list ended."""
        ended_s = int(time.time())
        self._lists.note_run(
            request.name, request.failure, wire_lists.skipped(request.skipped), at_s=ended_s
        )
        return admin_pb2.NoteListRunResponse()

    def RemoveList(self, request: admin_pb2.RemoveListRequest) -> admin_pb2.RemoveListResponse:
        """Withdraw a part of a list."""
        act = _act(Action.LIST_REMOVED)
        return admin_pb2.RemoveListResponse(
            is_done=self.registry.remove_list(request.name, act, day=today())
        )

    def ReadListFeedback(
        self, request: admin_pb2.ReadListFeedbackRequest
    ) -> admin_pb2.ReadListFeedbackResponse:
        """Note what the source of a list was told, and return what it was not."""
        told = [wire_lists.feedback(feedback) for feedback in request.told]
        waiting = self.registry.list_feedback(request.name, told)
        return admin_pb2.ReadListFeedbackResponse(
            feedback=map(wire_lists.feedback_message, waiting)
        )

    def Checkpoint(self, _request: admin_pb2.CheckpointRequest) -> admin_pb2.CheckpointResponse:
        """Clear the registry's log."""
        return admin_pb2.CheckpointResponse(done=self.registry.checkpoint())

    def _checked(self, rights: tuple[Right, ...]) -> tuple[Right, ...]:
        """Return rights that keys may have here. Raises InvalidRequestError for others."""
        if not _OF_MIRRORS.issuperset(rights) and self.registry.mirror() is not None:
            raise InvalidRequestError.of(
                Violation("rights", "a mirror answers lookups alone: give match, or operator")
            )
        return rights

    def _refuse_of_mirror(self) -> None:
        """Raise InvalidRequestError where the hotline says which banks there are."""
        if self.registry.mirror() is not None:
            raise InvalidRequestError.of(
                Violation("name", "a mirror has the banks of its hotline: ask there for a change")
            )

    @property
    def _lists(self) -> PartnerLists:
        return PartnerLists(self.registry, self.common)

    def _key(self, key: ApiKey) -> admin_pb2.Key:
        return wire.key(key, _bank_names(self.registry))


class _Remote:
    """Make the calls of the running writer, on its Unix socket."""

    def __init__(self, stub: AdminServiceStub) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Callable[[Message], object]:
        return partial(_answer, getattr(self._stub, name))


def desk_handler(desk: Desk, pool: Pool, method: MethodDescriptor) -> Handler:
    """Return a handler that answers a call from the desk, in a thread."""
    answer = getattr(desk, method.name)

    async def call(request: Any, _context: Context) -> Any:  # noqa: ANN401 any message
        if (key := caller.get(None)) is not None:  # another machine asks in this key's name
            if method.name == "RecordOutcome":
                request.organisation = key.organisation
            elif method.name == "NoteMirror":
                request.key_id = key.key_id
        return await pool.run(answer, request)

    return answering(method, call)


@contextmanager
def open_desk(data_dir: Path) -> Iterator[Desk]:
    """Open the registry or, while a server runs, what has its writer make the same calls.

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
            yield cast("Desk", _Remote(AdminServiceStub(stack.enter_context(channel))))
        else:
            registry = stack.enter_context(opening.writing(directory))
            yield Desk(registry, CommonBank(registry))


def clear_log(desk: Desk) -> bool:
    """Clear the database's log; tell whether nothing held that up."""
    return desk.Checkpoint(admin_pb2.CheckpointRequest()).done


def _act(action: Action, reason: str = "") -> Act:
    return Act(OPERATOR, "", action, int(time.time()), reason)


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

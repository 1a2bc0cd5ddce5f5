"""A hotline's banks as an exchange: its feed in, outcomes of matches out."""

# No `from __future__ import annotations`: `tx config` makes options of the types of fields.

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import grpc
from threatexchange.exchanges.auth import CredentialHelper, SignalExchangeWithAuth
from threatexchange.exchanges.collab_config import CollaborationConfigWithDefaults
from threatexchange.exchanges.fetch_state import (
    FetchCheckpointBase,
    FetchDelta,
    FetchedSignalMetadata,
    SignalOpinion,
    SignalOpinionCategory,
)
from threatexchange.exchanges.signal_exchange_api import SignalExchangeAPI
from threatexchange.signal_type.pdq.signal import PdqSignal
from threatexchange.signal_type.signal_base import SignalType

from disrupt.client import MatchClient, MatchOutcome, Profile
from disrupt.client.connection import connect
from disrupt.client.failures import failure
from disrupt.core.hashes import PdqHash
from disrupt.core.media import NOT_NARROWED, MediaKind
from disrupt.core.mirrors import FeedItem, FeedPage
from disrupt.errors import CursorExpiredError, InvalidRequestError, NotFoundError, Violation
from disrupt.threatexchange.signal_type import DisruptPdqSignal
from disrupt.v1.feed_pb2_grpc import FeedServiceStub
from disrupt.wire import feed as wire

_CALL_S = 30.0
_START_OVER = "Start over: `tx fetch --clear`, or delete the exchange in HMA and add it again."
_OUTCOMES = {outcome.name.lower(): outcome for outcome in MatchOutcome}
_BY_CATEGORY = {
    SignalOpinionCategory.NEGATIVE_CLASS: MatchOutcome.FALSE_POSITIVE,
    SignalOpinionCategory.INVESTIGATION_SEED: MatchOutcome.PENDING_REVIEW,
}


@dataclass
class DisruptConfig(CollaborationConfigWithDefaults):
    """Where a hotline is."""

    server: str = field(default="", metadata={"help": "address of the hotline, HOST:PORT"})
    tls_ca: str = field(default="", metadata={"help": "PEM file of its authority [the system's]"})


@dataclass
class DisruptCredentials(CredentialHelper):
    """A key of right ``feed``, and of right ``match`` for outcomes."""

    ENV_VARIABLE = "TX_DISRUPT_KEY"
    FILE_NAME = "~/.tx_disrupt_key"

    key: str

    @classmethod
    def _from_str(cls, s: str) -> "DisruptCredentials":
        return cls(s.strip())


@dataclass
class DisruptCheckpoint(FetchCheckpointBase):
    """Cursor of the feed, the banks of the key, and when all was read (s, the hotline's clock)."""

    cursor: str
    banks: list[str]
    level_s: int = 0

    def get_progress_timestamp(self) -> int | None:
        """Return when all changes were last read."""
        return self.level_s or None


@dataclass
class DisruptRecord(FetchedSignalMetadata):
    """A picture of a bank: its hashes in hex, and below how many bits each is answered."""

    bank: str
    assurance: str
    below_bits: dict[str, int]

    def get_as_opinions(self) -> list[SignalOpinion]:
        """Return the hotline's opinion, and beside it one that disputes where platforms do."""
        tags = {self.bank, self.assurance}
        opinions = [
            SignalOpinion(is_mine=False, category=SignalOpinionCategory.POSITIVE_CLASS, tags=tags)
        ]
        if all(bits != NOT_NARROWED for bits in self.below_bits.values()):
            opinions.append(replace(opinions[0], category=SignalOpinionCategory.NEGATIVE_CLASS))
        return opinions


_Delta = FetchDelta[str, DisruptRecord, DisruptCheckpoint]


class DisruptExchangeAPI(
    SignalExchangeAPI[DisruptConfig, DisruptCheckpoint, DisruptRecord, str, DisruptRecord],
    SignalExchangeWithAuth[DisruptConfig, DisruptCredentials],
):
    """Reads FeedService.ListChanges; each record is an item, by its id in hex.

    Methods that call the hotline raise classes of ``disrupt.errors``.
    """

    def __init__(self, config: DisruptConfig, key: str) -> None:
        self._server, self._key, self._tls_ca = config.server, key, config.tls_ca or None

    @classmethod
    def for_collab(
        cls, collab: DisruptConfig, credentials: DisruptCredentials | None = None
    ) -> "DisruptExchangeAPI":
        """Return an exchange with a hotline, whose key is found where none is given."""
        return cls(collab, (credentials or DisruptCredentials.get(cls)).key)

    @classmethod
    def get_name(cls) -> str:
        """Return the name of the exchange."""
        return "disrupt"

    @staticmethod
    def get_checkpoint_cls() -> type[DisruptCheckpoint]:
        """Return the class of checkpoints."""
        return DisruptCheckpoint

    @staticmethod
    def get_record_cls() -> type[DisruptRecord]:
        """Return the class of records."""
        return DisruptRecord

    @staticmethod
    def get_config_cls() -> type[DisruptConfig]:
        """Return the class of configurations."""
        return DisruptConfig

    @staticmethod
    def get_credential_cls() -> type[DisruptCredentials]:
        """Return the class of credentials."""
        return DisruptCredentials

    @classmethod
    def naive_convert_to_signal_type(
        cls,
        signal_types: Sequence[type[SignalType]],
        collab: DisruptConfig,  # noqa: ARG003 the interface's
        fetched: Mapping[str, DisruptRecord | None],
    ) -> dict[type[SignalType], dict[str, DisruptRecord]]:
        """Return each hash with its item; of two items with one hash, one that is not disputed."""
        signals: dict[str, DisruptRecord] = {}
        for record in fetched.values():
            if record is None:
                continue
            for signal, bits in record.below_bits.items():
                if signal not in signals or bits == NOT_NARROWED:
                    signals[signal] = replace(record, below_bits={signal: bits})
        types = [kind for kind in signal_types if kind in (DisruptPdqSignal, PdqSignal)]
        return dict.fromkeys(types, signals) if signals else {}

    def fetch_iter(
        self,
        supported_signal_types: Sequence[type[SignalType]],  # noqa: ARG002 the interface's
        checkpoint: DisruptCheckpoint | None,
    ) -> Iterator[_Delta]:
        """Yield pages of the feed, to its end; what is matched no more has the record None.

        Raises CursorExpiredError where removals may have been missed, as after a restore of the
        hotline or once the banks of the key changed: then the copy has to be fetched anew.
        """
        at = checkpoint or DisruptCheckpoint("", [])
        connection = connect(self._server, self._key, self._tls_ca)
        with connection.open() as channel:
            call = FeedServiceStub(channel).ListChanges
            caught_up = False
            while not caught_up:
                request = wire.page_request(at.cursor)
                try:
                    answer = call(request, timeout=_CALL_S, metadata=connection.metadata)
                except grpc.RpcError as error:
                    failed = failure(error, connection.server)
                    if isinstance(failed, CursorExpiredError | InvalidRequestError):  # the cursor
                        raise CursorExpiredError(f"{failed.message} {_START_OVER}") from error
                    raise failed from error
                page = wire.read_page(answer)
                at, caught_up = _after(at, page), page.caught_up
                yield _Delta({key.hex(): _record(item) for key, item in page.items.items()}, at)

    def report_opinion(self, s_type: type[SignalType], signal: str, opinion: SignalOpinion) -> None:
        """Tell the hotline what came of an upload with this hash, for each item that it matches.

        The outcome is the label ``blocked``, ``not_blocked``, ``pending_review`` or
        ``false_positive``; without a label a negative opinion is a false positive, and a seed
        waits for a review. InvalidRequestError for any other: that a picture belongs to the list
        does not say that it was blocked. NotFoundError where nothing matches.
        """
        named = [_OUTCOMES[tag] for tag in opinion.tags if tag in _OUTCOMES]
        if not named and opinion.category in _BY_CATEGORY:
            named = [_BY_CATEGORY[opinion.category]]
        if len(named) != 1:
            raise InvalidRequestError.of(Violation("labels", f"one of {', '.join(_OUTCOMES)}"))
        with MatchClient(self._server, key=self._key, tls_ca=self._tls_ca) as client:
            (answer,) = client.match_hashes([PdqHash.from_hex(signal)], profile=_profile(s_type))
            if not answer.matches:
                raise NotFoundError("Nothing that the key may search matches this hash.")
            for match in answer.matches:
                client.report_outcome(match.match_id, named[0])


def _profile(s_type: type[SignalType]) -> Profile:
    return Profile.PDQ_512 if s_type is DisruptPdqSignal else Profile.PDQ_FULL


def _after(at: DisruptCheckpoint, page: FeedPage) -> DisruptCheckpoint:
    """Return the checkpoint after a page. CursorExpiredError where the banks have changed."""
    banks = sorted(bank.name for bank in page.banks)
    if at.cursor and banks != at.banks:
        raise CursorExpiredError(f"The banks of this key have changed. {_START_OVER}")
    level_s = max(page.answered_at_s, at.level_s) if page.caught_up else at.level_s
    return DisruptCheckpoint(page.cursor, banks, level_s)


def _record(item: FeedItem | None) -> DisruptRecord | None:
    """Return what is kept of an item: of what is gone nothing, nor of videos, hashed as frames."""
    if item is None or item.kind is not MediaKind.IMAGE:
        return None
    hashes = [row.tobytes().hex() for row in item.fingerprints["hash"]]
    below_bits = dict(zip(hashes, item.below_bits.tolist(), strict=True))
    return DisruptRecord(item.bank, item.assurance.name.lower(), below_bits)

"""Unmodified python-threatexchange reads the feed, matches, reports, and forgets what goes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from threatexchange.exchanges.fetch_state import SignalOpinion, SignalOpinionCategory
from threatexchange.signal_type.pdq.signal import PdqSignal
from threatexchange.storage.interfaces import SignalExchangeAPIConfig
from threatexchange.storage.local_dbm import DBMStore

from disrupt.client import MatchOutcome
from disrupt.core.media import NOT_NARROWED
from disrupt.errors import CursorExpiredError, InvalidMediaError, InvalidRequestError
from disrupt.registry import sqlite
from disrupt.threatexchange import TX_MANIFEST, DisruptExchangeAPI, DisruptPdqSignal
from disrupt.threatexchange.exchange import (
    DisruptCheckpoint,
    DisruptConfig,
    DisruptCredentials,
    DisruptRecord,
)
from disrupt.v1 import registration_pb2
from rig.callers.acts import withdraw
from rig.callers.caller import Caller, calling, register
from rig.media.generated import no_picture, picture, plain
from rig.servers.deployment import BIN, FEW_DECODERS, Deployment

LATER = "9999-12-31"
SIGNAL, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("server")
    with Deployment.start(folder / "data", workers=1, settings=FEW_DECODERS) as server:
        yield server


@pytest.fixture(scope="module")
def staff(server: Deployment) -> Iterator[Caller]:
    with calling(server.address, server.make_key("staff", "staff", "register")) as caller:
        yield caller


def registered(staff: Caller, path: Path) -> str:
    """Register a picture; return the number of its case."""
    request = registration_pb2.RegisterImageRequest(
        context=register().context, image=path.read_bytes()
    )
    return str(staff("RegisterImage", request).receipt.case_number)


def test_tx_fetches_matches_and_labels(server: Deployment, staff: Caller, tmp_path: Path) -> None:
    case = registered(staff, picture(tmp_path / "own.png", 1, 700))
    registered(staff, picture(tmp_path / "other.png", 3))
    copy = tmp_path / "copy.jpg"
    with Image.open(tmp_path / "own.png") as own:
        own.resize((400, 400)).save(copy, quality=70)
    key = server.make_key("platform", "feed", "match")
    environment = {"TX_STATEDIR": str(tmp_path / "tx"), "TX_DISRUPT_KEY": key}

    def tx(*words: str | Path) -> str:
        command = [BIN / "tx", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
        return done.stdout

    def outcomes() -> list[MatchOutcome]:
        with sqlite.open_reader(server.data_dir / "registry.db") as reader:
            return [
                outcome for kept in reader.outcomes(case, before=LATER).values() for outcome in kept
            ]

    tx("config", "extensions", "add", "disrupt.threatexchange")
    collab = ("config", "collab", "edit", "disrupt", "--create", "hotline")
    tx(*collab, "--server", server.address)
    tx("fetch")
    matched = tx("match", "-S", "disrupt_pdq", "photo", copy)
    assert "(hotline) POSITIVE_CLASS" in matched
    assert "adults" in matched
    assert "(hotline)" in tx("match", "-S", "pdq", "photo", copy)

    hashed = tx("hash", "-S", "disrupt_pdq", "photo", copy).split()[1]
    (tmp_path / "hash.txt").write_text(hashed)
    tx("label", "-l", "blocked", "-H", "disrupt_pdq", "hotline", "photo", tmp_path / "hash.txt")
    assert outcomes() == [MatchOutcome.BLOCKED]

    withdraw(staff, case)
    tx("fetch")
    assert not tx("match", "photo", copy)


def test_hma_reads_the_feed_by_its_store(server: Deployment, staff: Caller, tmp_path: Path) -> None:
    """Its store keeps configuration, key, checkpoint and records as JSON, and makes the client."""
    case = registered(staff, picture(tmp_path / "own.png", 2))
    store = DBMStore(tmp_path, signal_types=[DisruptPdqSignal], exchange_types=[*TX_MANIFEST.apis])
    credentials = DisruptCredentials(server.make_key("HMA", "feed"))
    api: Any = DisruptExchangeAPI
    store.exchange_api_config_update(SignalExchangeAPIConfig(api, credentials))
    store.exchange_update(
        DisruptConfig("hotline", DisruptExchangeAPI.get_name(), server=server.address), create=True
    )

    def fetch() -> dict[str, DisruptRecord | None]:
        config = store.exchanges_get()["hotline"]
        client = store.exchange_get_client(config)
        checkpoint = store.exchange_get_fetch_checkpoint("hotline")
        updates: dict[str, DisruptRecord | None] = {}
        for delta in client.fetch_iter([DisruptPdqSignal], checkpoint):
            store.exchange_commit_fetch(config, checkpoint, delta.updates, delta.checkpoint)
            checkpoint = delta.checkpoint
            updates |= delta.updates
        return updates

    own = DisruptPdqSignal.hash_from_file(tmp_path / "own.png")
    (key,) = (key for key, record in fetch().items() if record and own in record.below_bits)
    kept = store.exchange_get_data("hotline", key)
    assert isinstance(kept, DisruptRecord)
    assert own in kept.below_bits
    withdraw(staff, case)
    assert fetch() == {key: None}
    with pytest.raises(KeyError):
        store.exchange_get_data("hotline", key)


def test_a_cursor_of_another_registry_and_other_banks_start_over(server: Deployment) -> None:
    config = DisruptConfig("hotline", server=server.address)
    exchange = DisruptExchangeAPI(config, server.make_key("reader", "feed"))
    *_, last = exchange.fetch_iter([], None)
    for checkpoint in (
        DisruptCheckpoint("x" * 80, last.checkpoint.banks),
        DisruptCheckpoint(last.checkpoint.cursor, ["adults"]),
    ):
        with pytest.raises(CursorExpiredError, match="tx fetch --clear"):
            list(exchange.fetch_iter([], checkpoint))


def test_an_opinion_that_names_no_outcome_is_refused() -> None:
    opinion = SignalOpinion(
        is_mine=True, category=SignalOpinionCategory.POSITIVE_CLASS, tags={"cat"}
    )
    with pytest.raises(InvalidRequestError, match="not_blocked"):
        DisruptExchangeAPI(DisruptConfig("x"), "key").report_opinion(PdqSignal, SIGNAL, opinion)


def test_hashes_that_platforms_dispute_say_so() -> None:
    """Of two items with one hash, that of the item which nobody disputes counts."""
    disputed = DisruptRecord("adults", "reviewed", {SIGNAL: 8, OTHER: 0})
    own = DisruptRecord("list", "imported", {SIGNAL: NOT_NARROWED})
    converted = DisruptExchangeAPI.naive_convert_to_signal_type(
        [PdqSignal, DisruptPdqSignal], DisruptConfig("x"), {"1": own, "2": disputed, "3": None}
    )
    assert [*converted] == [PdqSignal, DisruptPdqSignal]
    signals = converted[PdqSignal]
    assert str(signals[OTHER]).startswith("DISPUTED")
    assert str(signals[SIGNAL]).startswith("POSITIVE_CLASS")


def test_files_without_a_hash_match_nothing_and_no_picture_is_an_error(tmp_path: Path) -> None:
    blank = DisruptPdqSignal.hash_from_file(plain(tmp_path / "plain.png"))
    assert not blank
    index = DisruptPdqSignal.get_index_cls()([(SIGNAL, 1)])
    assert not index.query(blank)
    with pytest.raises(InvalidMediaError):
        DisruptPdqSignal.hash_from_file(no_picture(tmp_path / "none.png"))


def test_the_index_keeps_to_the_limit_of_a_hash_that_says_little() -> None:
    regular = "ff00" * 16
    index = DisruptPdqSignal.get_index_cls()([(regular, 1)])
    assert not index.query(regular)

"""A withdrawn picture is gone: from every worker, every file and every restore.

It calls a real server over real sockets. Each file that should hold a hash must hold it before, or
finding it nowhere afterwards would prove nothing. So must a backup that is restored without the
journal of removals.
"""

from __future__ import annotations

import base64
import json
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from disrupt.client import MatchClient
from disrupt.core.hashes import PdqHash
from disrupt.hashing import ImageFingerprints, fingerprint_image
from disrupt.submission.client import SubmissionClient
from rig.callers.each_worker import client_of_each_worker
from rig.faults.sabotages import broken_by
from rig.media.generated import noise
from rig.servers.deployment import FEW_DECODERS, Deployment, run
from tests.proofs.traces import traces

WITHDRAWN_WITHIN_S = 1.0

_GIVE_UP_S = 120.0
_POLL_S = 0.02


@dataclass(frozen=True)
class Case:
    """A registered picture: its case, which holds nothing else, and its unique hash."""

    number: str
    pin: str
    hash: PdqHash


class Site:
    """A data directory and its server."""

    def __init__(self, work: Path, sabotage: str | None = None) -> None:
        self.work, self.data_dir = work, work / "data"
        self.server = Deployment.start(
            self.data_dir, settings=FEW_DECODERS, wrapper=broken_by(sabotage)
        )
        self._chance = np.random.default_rng(1)
        self._register_key = self.server.make_key("helpline", "register")
        self.match_key = self.server.make_key("platform", "match")

    def register(self) -> Case:
        """Register a new generated picture."""
        file = self.work / "picture.png"
        noise(self._chance, (480, 360)).save(file)
        outcome = fingerprint_image(file.read_bytes())
        assert isinstance(outcome, ImageFingerprints)
        with SubmissionClient(self.server.address, key=self._register_key) as client:
            done = client.submit([file])
        return Case(done.case_number, done.pin, outcome.fingerprints[0].hash)

    def spread(self) -> Case:
        """Make a case whose hash is in the database, in its log, and in two index generations."""
        case = self.register()
        self.run("erase")  # from the log into the database
        for _ in range(2):
            self.register()  # writes the page of the case to the log again
            self.rebuild()
        return case

    def withdraw(self, case: Case) -> None:
        """Withdraw a case; return when that is acknowledged."""
        with SubmissionClient(self.server.address, key=self._register_key) as client:
            client.withdraw(case.number, case.pin)

    def run(self, command: str, *words: str | Path) -> str:
        """Run a command on the data directory."""
        return run("disrupt", command, "--data-dir", self.data_dir, *words)

    def rebuild(self) -> None:
        """Publish a generation of the index."""
        run("disrupt-index", "rebuild", "--data-dir", self.data_dir)

    def holders(self, case: Case) -> set[str]:
        """Return which files of the registry, and generations of the index, have a case's hash."""
        return {path.rpartition("/")[0] or path for path in traces(self.data_dir, case.hash.value)}


def _matches(client: MatchClient, case: Case) -> bool:
    return bool(client.match_hashes([case.hash])[0].matches)


def _matched_until(case: Case, clients: list[MatchClient], *, matches: bool) -> float:
    """Return the seconds until every client answers so; fail if that takes too long."""
    began_s = time.monotonic()
    for client in clients:
        while _matches(client, case) != matches:
            assert time.monotonic() - began_s < _GIVE_UP_S
            time.sleep(_POLL_S)
    return time.monotonic() - began_s


def test_what_is_withdrawn_is_in_no_worker_no_file_and_no_restore(
    tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    figures(erasure(tmp_path, whole=whole))


def test_hashes_left_in_freed_pages_are_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"assert not \{'registry\.db'\}"):
        erasure(tmp_path, whole=False, sabotage="freed-pages-kept")


def erasure(work: Path, *, whole: bool, sabotage: str | None = None) -> str:
    """Register, withdraw, erase, restore; return a line of figures. AssertionError for a trace."""
    site, backup = Site(work, sabotage), work / "backup"
    try:
        case = site.spread()
        holders = site.holders(case)
        assert holders >= {"registry.db", "registry.db-wal"}
        assert sum(holder.startswith("index/") for holder in holders) >= 2
        site.run("backup", "--to", backup)
        assert traces(backup, case.hash.value)
        with client_of_each_worker(site.server, site.match_key) as by_worker:
            clients = list(by_worker.values())
            _matched_until(case, clients, matches=True)
            site.withdraw(case)
            took_s = _matched_until(case, clients, matches=False)
            assert not whole or took_s <= WITHDRAWN_WITHIN_S
            _roll_back(site, case, clients)
        assert site.holders(case)
        site.run("erase")
        assert not site.holders(case)
        with client_of_each_worker(site.server, site.match_key) as by_worker:
            clients, kept = list(by_worker.values()), site.register()
            _matched_until(kept, clients, matches=True)
            assert not any(_matches(client, case) for client in clients)
        assert site.server.stop() == 0

        # The registry is lost, and the backup has what was withdrawn since.
        (site.data_dir / "registry.db").write_bytes(bytes(100_000))
        for name in ("registry.db-wal", "registry.db-shm"):
            (site.data_dir / name).unlink(missing_ok=True)
        without_journal = work / "without-journal"
        shutil.copytree(site.data_dir, without_journal)
        (without_journal / "removals.journal").unlink()
        restore = ("disrupt", "restore", "--from", backup, "--data-dir")
        run(*restore, without_journal, "--accept-unknown-removals")
        assert traces(without_journal, case.hash.value)
        run(*restore, site.data_dir)
        assert not site.holders(case)

        within_s = 24.0 if whole else 3.0  # for the 24 hours of a real server
        settings = f"{FEW_DECODERS}erase_within_h = {within_s / 3600}\n"
        site.server = Deployment.start(site.data_dir, settings=settings)
        with client_of_each_worker(site.server, site.match_key) as by_worker:
            assert not any(_matches(client, case) for client in by_worker.values())
        unattended_s = _unattended(site)
        assert site.server.stop() == 0
    finally:
        site.server.kill()
    return (
        f"matches in no worker {took_s:.2f} s after the withdrawal; in no file after `disrupt"
        f" erase`, a restore, and unattended within {unattended_s:.0f} s (set to {within_s:.0f} s)"
    )


def _roll_back(site: Site, case: Case, clients: list[MatchClient]) -> None:
    """Serve a generation again that holds the withdrawn case, which must not match."""
    site.rebuild()
    done = run("disrupt-index", "rollback", "--data-dir", site.data_dir, "--json")
    generation = json.loads(done)["generation"]
    assert f"index/{generation:08d}" in site.holders(case)
    give_up_s = time.monotonic() + _GIVE_UP_S
    while any(client.index_status().generation != generation for client in clients):
        assert not any(_matches(client, case) for client in clients)
        assert time.monotonic() < give_up_s
    assert not any(_matches(client, case) for client in clients)


def _unattended(site: Site) -> float:
    """Withdraw a case, and wait for the server to erase it by itself; return the seconds."""
    case = site.spread()
    assert "registry.db" in site.holders(case)
    site.withdraw(case)
    began_s = time.monotonic()
    while site.holders(case):
        assert time.monotonic() - began_s < _GIVE_UP_S
        time.sleep(0.5)
    return time.monotonic() - began_s


HASH = random.Random(7).randbytes(32)


def reversed_bits(value: bytes) -> bytes:
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in value)


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("raw", b"x" * 1000 + HASH + b"y"),
        ("raw", HASH[:16] + b"the end of a page" + HASH[16:20]),
        ("raw", HASH[5:16] + b"the end of a page" + HASH[16:]),
        ("bytes reversed", HASH[::-1]),
        ("bits of each byte reversed", b"1" + reversed_bits(HASH)),
        ("all bits reversed", b"1" + reversed_bits(HASH)[::-1]),
        ("hex", b'{"hash": "%s"}' % HASH.hex().encode()),
        ("HEX", HASH.hex().upper().encode()),
        *(
            (f"base64, shifted by {shift}", encode(b"\xfb" * shift + HASH + b"\xff" * after))
            for shift in range(3)
            for after in range(3)
            for encode in (base64.b64encode, base64.urlsafe_b64encode)
        ),
    ],
)
def test_every_form_of_a_hash_is_found_and_nothing_else(
    tmp_path: Path, form: str, content: bytes
) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "file").write_bytes(content)
    (tmp_path / "other").write_bytes(random.Random(8).randbytes(100_000))
    traced = traces(tmp_path, HASH)
    assert list(traced) == ["index/file"]
    assert form in traced["index/file"]
    assert len(traced["index/file"]) == 1
    assert traces(tmp_path, random.Random(9).randbytes(32)) == {}


def test_a_hash_across_two_blocks_of_a_large_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes((1 << 24) - 20) + HASH + bytes(100))
    assert traces(tmp_path, HASH) == {"large": ["raw"]}

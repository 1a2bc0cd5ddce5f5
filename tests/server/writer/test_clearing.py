"""What the log says is erased is in no file of any machine, and all of it is said in the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from disrupt.audit import entries, files
from disrupt.audit.entries import Leaf, LeafId
from disrupt.audit.receipts import Cleared, WithdrawalReceipt, verify
from disrupt.core.mirrors import MirrorReport
from disrupt.core.policy import Right
from disrupt.data_directory import DataDirectory
from disrupt.errors import DataDirectoryError, NotFoundError, ReceiptError, UnavailableError
from disrupt.index.generations import create_first
from disrupt.registry import opening
from disrupt.registry.registry import RegistryWriter
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.today import today
from disrupt.server.writer.clearing import Clearing
from disrupt.upkeep.audit import AuditCopy
from disrupt.upkeep.erasure import erase
from disrupt.upkeep.rebuild import rebuild
from rig.media.registrations import ACT, DAY, api_key, new_item, registration

STALE_S = 300.0
MIRROR = "000000aa"


class House:
    """A registry, its index and one mirror; ``now_s`` is the time."""

    def __init__(self, registry: RegistryWriter, directory: DataDirectory, nodes: Any = ()) -> None:
        self.registry = registry
        self.directory = directory
        self.chance = random.Random(3)
        self.now_s = 1_800_000_000.0
        config: Any = SimpleNamespace(nodes=nodes, stale_closes_s=STALE_S)
        pool = Pool("writer", threads=1, queued=10)
        self._clearing = Clearing(config, registry, directory, pool, lambda: self.now_s)
        self.cases = list[tuple[str, bytes]]()
        self.withdrawn = list[tuple[LeafId, bytes, float]]()
        """Leaf, a secret that files may hold, and the time."""
        self.mirror_clean_s = 0.0

    def register(self) -> None:
        item = new_item(self.chance)
        registered = self.registry.register(registration(self.chance, None, item), day=DAY)
        self.cases.append((registered.case_number, item.item_id))

    def withdraw(self) -> None:
        if self.cases:
            number, item_id = self.cases.pop(self.chance.randrange(len(self.cases)))
            leaf = self.registry.withdraw(number, None, day=DAY).receipt
            assert leaf
            self.withdrawn.append((leaf, item_id, self.now_s))

    def rebuild(self) -> None:
        rebuild(self.registry, self.directory.index)

    def erase(self) -> None:
        erase(self.registry, self.directory.index)

    def hear_from_the_mirror(self) -> None:
        self.mirror_clean_s = self.now_s
        report = MirrorReport(MIRROR, int(self.now_s), int(self.now_s), int(self.now_s), "")
        self.registry.note_mirror_report(report)

    def wait(self) -> None:
        self.now_s += self.chance.choice((1.0, STALE_S / 2, 2 * STALE_S))

    def look(self) -> None:
        asyncio.run(self._clearing.step())

    def cleared(self) -> int:
        """Return before which leaf all is erased, as the log has it."""
        leaves = self.registry.leaves(0, 10_000)
        return max(
            (leaf.content["before"] for leaf in leaves if leaf.content["kind"] == entries.CLEARED),
            default=0,
        )

    def holding(self, secret: bytes) -> list[Path]:
        paths = (path for path in self.directory.index.rglob("*") if path.is_file())
        return [path for path in paths if secret in path.read_bytes()]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    directory = DataDirectory(tmp_path)
    with opening.writing(directory) as registry:
        directory.audit.mkdir(exist_ok=True)
        create_first(directory.index, registry.head().epoch)
        yield House(registry, directory)


def follow(house: House) -> None:
    key = replace(api_key(MIRROR), rights=frozenset({Right.FEED}))
    house.registry.add_key(key, act=ACT)
    house.hear_from_the_mirror()


@pytest.mark.parametrize("seed", range(5))
def test_what_is_said_to_be_erased_is_in_no_file(house: House, seed: int) -> None:
    follow(house)
    house.chance.seed(seed)
    steps = (house.register, house.withdraw, house.rebuild, house.wait, house.look)
    for step in house.chance.choices((*steps, house.erase, house.hear_from_the_mirror), k=80):
        step()
        cleared = house.cleared()
        for leaf, secret, at_s in house.withdrawn:
            if leaf.number < cleared:
                assert house.holding(secret) == []
                assert at_s <= house.mirror_clean_s
                assert at_s <= house.now_s - STALE_S
    house.register()
    house.withdraw()
    house.erase()
    house.look()
    house.now_s += 2 * STALE_S
    house.hear_from_the_mirror()
    house.look()
    assert house.cleared() > house.withdrawn[-1][0].number


def test_who_holds_it_up(house: House) -> None:
    follow(house)
    house.register()
    house.rebuild()
    house.withdraw()
    house.look()
    house.now_s += 2 * STALE_S
    house.hear_from_the_mirror()
    house.look()
    assert house.cleared() == 0, "a generation has the hash"
    house.erase()
    house.look()
    assert house.cleared() > 0
    size = len(house.registry.leaves(0, 10_000))
    house.look()
    assert len(house.registry.leaves(0, 10_000)) == size, "nothing new is said twice"


def test_a_clock_that_is_set_back_lets_no_old_report_pass(house: House) -> None:
    follow(house)
    house.now_s -= 365 * 24 * 3600.0
    house.register()
    house.withdraw()
    house.look()
    house.now_s += 2 * STALE_S
    house.look()
    assert house.cleared() == 0


def test_a_machine_that_does_not_answer_holds_it_up(house: House) -> None:
    house.register()
    house.withdraw()
    silent = House(house.registry, house.directory, nodes=("node-1:1",))

    async def nothing(_node: str) -> None:
        return None

    cast("Any", silent._clearing)._erased_by = nothing
    silent.look()
    silent.now_s += 2 * STALE_S
    silent.look()
    assert silent.cleared() == 0


def test_a_receipt_shows_what_the_log_says_and_nothing_else(house: House) -> None:
    for _ in range(700):  # several blocks of the tree
        house.registry.note_cleared(0, DAY, mirrors=0, silent=0)
    house.register()
    house.withdraw()
    leaf = house.withdrawn[0][0]
    copy = AuditCopy(house.registry, house.directory)
    copy.copy()
    with pytest.raises(UnavailableError):
        copy.receipt(leaf)
    copy.sign()
    key = Ed25519PrivateKey.from_private_bytes(house.directory.secrets().audit_seed)
    verifier = files.verifier_of(key, files.name_of(key))
    logged = WithdrawalReceipt.parse(copy.receipt(leaf).to_json())
    assert verify(logged, verifier) is None
    with pytest.raises(NotFoundError):
        copy.receipt(LeafId(leaf.number, bytes(32)))
    with pytest.raises(NotFoundError):
        copy.receipt(LeafId(0, house.registry.leaves(0, 1)[0].leaf))

    house.look()
    house.now_s += 2 * STALE_S
    house.look()
    copy.copy()
    copy.sign()
    receipt = WithdrawalReceipt.parse(copy.receipt(leaf).to_json())
    assert verify(receipt, verifier) == Cleared(today(), 0, 0)
    assert receipt.cleared
    changes: tuple[dict[str, Any], ...] = (
        {"withdrawal": LeafId(leaf.number + 1, leaf.digest)},
        {"withdrawal": LeafId(leaf.number, bytes(32))},
        {"proof": receipt.proof[1:]},
        {"cleared": Leaf.of(receipt.cleared.number, {**receipt.cleared.content, "mirrors": 9})},
        {"cleared_proof": ()},
        {"checkpoint": receipt.checkpoint.replace("\n", "\n1", 1)},
    )
    for changed in changes:
        with pytest.raises(DataDirectoryError):
            verify(replace(receipt, **changed), verifier)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"withdrawal": 1}', "[" * 100_000])
def test_what_is_no_receipt_is_refused(text: str) -> None:
    with pytest.raises(ReceiptError):
        WithdrawalReceipt.parse(text)

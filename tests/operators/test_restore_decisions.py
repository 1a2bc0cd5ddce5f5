"""A restore of an older backup forgets nothing that staff and operators decided after it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from disrupt.audit import entries
from disrupt.audit.files import LEAVES
from disrupt.audit.verification import Fault, verify
from disrupt.cli import main
from disrupt.core.acts import Act, Action
from disrupt.core.media import Assurance
from disrupt.core.outcomes import MatchedVersion, MatchOutcome, OutcomeReport, Settlement
from disrupt.core.policy import ApiKey, Bank, LookupQuota, Right
from disrupt.core.review import ItemFilter
from disrupt.core.states import ItemState
from disrupt.data_directory import DataDirectory
from disrupt.index.generations import create_first
from disrupt.operators.restore import restore
from disrupt.registry import sqlite
from disrupt.registry.backup import back_up
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.upkeep.audit import AuditCopy, doubts
from disrupt.upkeep.rebuild import rebuild
from rig.media.registrations import DAY, new_item, registration

NOW_S = 1_700_000_000
BANKS = frozenset({1, 2})
EARLIER = ApiKey("k1", "old", "a", bytes(32), frozenset({Right.MATCH}), frozenset(), DAY)
OTHER = ApiKey("k2", "other", "b", bytes(32), frozenset({Right.MATCH}), frozenset(), DAY)
LATER = ApiKey("k3", "new", "c", bytes(range(32)), frozenset({Right.REVIEW}), frozenset(), DAY)


def act(action: Action, at: int = 0) -> Act:
    return Act("staff", "hotline", action, NOW_S + at, "")


class Site:
    """A data directory with eight items, a backup of it, and what was decided after it."""

    def __init__(self, folder: Path) -> None:
        self.directory = DataDirectory(folder / "data")
        self.backup = folder / "backup"
        self.directory.make()
        self.directory.secrets()
        chance = random.Random(9)
        request = registration(chance, None, *(new_item(chance) for _ in range(8)))
        self.ids = [item.item_id for item in request.items]
        version = request.items[0].fingerprints[0]
        disputed = (MatchedVersion(int(version["plan"]), int(version["ordinal"]), 20),)
        with sqlite.open_writer(self.directory.registry) as writer:
            create_first(self.directory.index, writer.head().epoch)
            writer.add_key(EARLIER, act=act(Action.KEY_ADDED))
            writer.add_key(OTHER, act=act(Action.KEY_ADDED))
            writer.register(request, day=DAY)
            for organisation in ("a", "b"):
                writer.report(
                    OutcomeReport(
                        *(self.ids[7], organisation, MatchOutcome.FALSE_POSITIVE),
                        *(b"a match", disputed),
                    ),
                    day=DAY,
                )
            rebuild(writer, self.directory.index)
            AuditCopy(writer, self.directory).copy()
            back_up(self.directory.path, self.backup)
            self._decide(writer, chance)
            copy = AuditCopy(writer, self.directory)
            copy.copy()
            self.checkpoint = copy.sign()
            self.decided = decisions(writer, self.ids)

    def _decide(self, writer: RegistryWriter, chance: random.Random) -> None:
        ids = self.ids
        writer.set_states(ids[:1], ItemState.REJECTED, act(Action.REJECT))
        writer.move_items(ids[1:2], 2, act(Action.MOVE))
        writer.confirm_items(ids[2:3], act(Action.CONFIRM))
        of_two = ItemFilter(BANKS, item_ids=frozenset(ids[3:5]))
        done = writer.set_all_states(
            of_two, ItemState.DISABLED, act(Action.DISABLE, at=1), expected=2
        )
        writer.undo(done.act, act(Action.UNDO, at=2), banks={1, 2})
        of_two = ItemFilter(BANKS, item_ids=frozenset(ids[4:6]))
        writer.set_all_states(of_two, ItemState.DISABLED, act(Action.DISABLE, at=3), expected=2)
        writer.settle_disputes(ids[7:], Settlement.WIDENED, act(Action.WIDEN))
        late = registration(chance, None, new_item(chance))
        writer.register(late, day=DAY)
        self.late = late.items[0].item_id
        writer.set_states([self.late], ItemState.DISABLED, act(Action.DISABLE))
        bank = writer.add_bank(Bank(0, "partner", 20), act(Action.BANK_ADDED))
        writer.change_bank(replace(bank, organisations=frozenset({"a"})), act(Action.BANK_CHANGED))
        writer.add_key(LATER, act=act(Action.KEY_ADDED))
        writer.change_key(
            replace(EARLIER, banks=frozenset({bank.number}), distance_bands=True),
            act=act(Action.KEY_CHANGED),
        )
        writer.revoke_key(OTHER.key_id, day=DAY, act=act(Action.KEY_REVOKED))
        writer.set_quota(LookupQuota("a", 60, 0, 0, 0), act=act(Action.QUOTA_SET))


def decisions(
    registry: RegistryReader, ids: Sequence[bytes]
) -> tuple[dict[bytes, Any], Any, Any, Any]:
    """Return all that was decided of items, and who may do what."""
    with registry.database.reader.begin() as connection:
        rows = connection.exec_driver_sql(
            "SELECT item_id, state, bank, assurance FROM items WHERE state IS NOT NULL"
        ).all()
        settled = connection.exec_driver_sql(
            "SELECT organisation, settlement FROM disputes ORDER BY organisation"
        ).all()
        acts = connection.exec_driver_sql(
            "SELECT action, at_s, actor FROM acts ORDER BY number"
        ).all()
    items = {row[0]: row[1:] for row in rows if row[0] in ids}
    return items, settled, set(acts), registry.access()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("lost", ["nothing", "registry"])
def test_what_was_decided_since_the_backup_holds(site: Site, lost: str) -> None:
    if lost == "registry":
        site.directory.registry.write_bytes(bytes(50_000))
    restored = restore(site.backup, site.directory.path, accept_unknown_removals=False)
    assert restored.decisions_doubt == ""
    (line,) = restored.decisions_lost  # of what was registered since, and is not in the backup
    assert site.late.hex() in line
    with sqlite.open_writer(site.directory.registry) as registry:
        for after, before in zip(decisions(registry, site.ids), site.decided, strict=True):
            assert after == before
        items = decisions(registry, site.ids)[0]
        assert items[site.ids[0]][0] == ItemState.REJECTED
        assert items[site.ids[1]][1] == 2
        assert items[site.ids[2]][2] == Assurance.REVIEWED
        assert [items[site.ids[place]][0] == ItemState.DISABLED for place in (3, 4, 5)] == [
            *(False, True, True)
        ]
        AuditCopy(registry, site.directory).copy()  # the log goes on
        assert doubts(registry, site.directory) == []
    leaves = list(entries.read(site.directory.audit / LEAVES))
    assert verify(leaves, [site.checkpoint]).findings == ()
    assert leaves[-1].content["kind"] == entries.RESTORED


def test_what_is_not_known_is_said_and_the_old_log_is_kept(site: Site) -> None:
    site.directory.registry.write_bytes(bytes(50_000))
    path = site.directory.audit / LEAVES
    kept = path.read_text(encoding="ascii").splitlines(keepends=True)
    path.write_text("".join(kept[:2]), encoding="ascii")  # of before the backup
    arguments = ["restore", "--from", str(site.backup), "--data-dir", str(site.directory.path)]
    answer = CliRunner().invoke(main, arguments)
    assert answer.exit_code == 4, answer.stderr
    assert not site.directory.audit.exists()
    assert [*site.directory.path.glob("audit-*/leaves")]
    with sqlite.open_writer(site.directory.registry) as registry:
        AuditCopy(registry, site.directory).copy()
    leaves = list(entries.read(path))
    faults = {finding.fault for finding in verify(leaves, [site.checkpoint]).findings}
    assert faults == {Fault.FORKED}

"""The writer lets what nobody has reviewed in time go live."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

from disrupt.core.acts import Act, Action
from disrupt.core.states import ItemState
from disrupt.registry.sqlite.sql import SqlRegistry
from disrupt.server.admission.pool import Pool
from disrupt.server.config import Config
from disrupt.server.processes.writer import release_unreviewed
from tests.registry.examples import DAY, new_item, registration


def test_what_has_waited_for_the_time_of_a_review_goes_live(tmp_path: Path) -> None:
    chance, now_s = random.Random(1), int(time.time())
    config = Config(data_dir=tmp_path, review_within_h=2)
    late, new = new_item(chance), new_item(chance)
    with SqlRegistry.open_writer(tmp_path / "registry.db") as registry:
        registry.register(registration(chance, None, late, new), day=DAY)
        for item, hours in ((late, 3), (new, 1)):
            act = Act("server", "", Action.QUARANTINE, now_s - hours * 3600)
            registry.set_states([item.item_id], ItemState.QUARANTINED, act)
        asyncio.run(release_unreviewed(config, registry, Pool("writer", threads=1, queued=1)))
        assert registry.count_states() == {ItemState.QUARANTINED: 1}

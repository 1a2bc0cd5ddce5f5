"""What the proof fleet stands on: machines whose links are cut, and a primary with a standby."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rig.servers import machines
from rig.servers.machines import Network
from rig.servers.pair import Pair
from rig.servers.postgresql import PostgreSql

_ADD = "INSERT INTO kept VALUES (1)"
_COUNT = "SELECT count(*) FROM kept"

pytestmark = pytest.mark.skipif(bool(why := machines.unusable()), reason=why)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Make a network for the tests of this file."""
    with Network() as made:
        yield made


@pytest.fixture(scope="module")
def pair(network: Network, postgresql: PostgreSql) -> Iterator[Pair]:
    """Start a primary and its standby; ``postgresql`` skips where there is no PostgreSQL."""
    del postgresql
    with Pair((network.machine("first"), network.machine("second"))) as servers:
        servers.primary.sql("CREATE TABLE kept (number int)")
        yield servers


def test_a_commit_waits_for_the_standby_while_the_link_between_them_is_cut(
    network: Network, pair: Pair
) -> None:
    first, second = pair.machines
    for sender, receiver in ((first, second), (second, first)):
        sender.lose(receiver)  # one way is enough
        committing = threading.Thread(target=pair.primary.sql, args=[_ADD])
        committing.start()
        committing.join(0.5)
        assert committing.is_alive()
        network.heal()
        committing.join()


def test_what_was_acknowledged_is_on_the_standby_that_is_promoted(pair: Pair) -> None:
    before = pair.primary.sql(_COUNT)
    pair.primary.sql(_ADD)
    pair.promote()
    pair.follow()
    pair.primary.sql(_ADD)
    assert int(pair.primary.sql(_COUNT)) == int(before) + 2
    assert pair.standby.sql("SELECT pg_is_in_recovery()") == "t"


def test_local_commits_with_the_standby_stopped_first_are_lost(pair: Pair) -> None:
    before = pair.primary.sql(_COUNT)
    pair.standby.kill()
    pair.primary.sql(f"SET synchronous_commit = local; {_ADD}")
    pair.primary.kill()
    pair.standby.start()
    pair.promote()
    assert pair.primary.sql(_COUNT) == before

"""Lists of sources with faults, in each shape, end as their sources are.

With ``--proofs`` over 2 000 deliveries; otherwise some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from disrupt.admin.v1 import admin_pb2
from disrupt.server.desk import Desk
from rig.model.list_machine import ListMachine
from rig.model.list_source import FAULTS, SHAPES

SETTINGS = settings(
    stateful_step_count=20,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_a_list_is_as_its_source_after_each_run_that_ends_well(
    *, whole: bool, figures: Callable[[str], None]
) -> None:
    deliveries, runs = Counter[str](), Counter[str]()

    class Counted(ListMachine):
        def compare(self) -> None:
            super().compare()
            runs[self.source.fault] += 1

        def teardown(self) -> None:
            deliveries[self.source.shape] += self.source.deliveries
            super().teardown()

    examples = settings(SETTINGS, max_examples=300 if whole else 15)
    run_state_machine_as_test(Counted, settings=examples)
    figures(f"deliveries: {dict(deliveries)}; compared after a run with a fault: {dict(runs)}")
    if whole:
        assert deliveries.total() >= 2_000
        assert set(deliveries) == set(SHAPES)
        assert set(runs) == set(FAULTS)


class Forgetful(Desk):
    """Applies lists without what they withdraw."""

    def ApplyList(self, request: admin_pb2.ApplyListRequest) -> admin_pb2.ApplyListResponse:  # noqa: N802
        """Apply the rest."""
        living = [entry for entry in request.entries if entry.kind]
        del request.entries[:]
        request.entries.extend(living)
        request.withdrawn_before_s = 0
        return super().ApplyList(request)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_importer_that_forgets_withdrawals_is_noticed(shape: str) -> None:
    class Sabotaged(ListMachine):
        shapes = (shape,)
        desk_class = Forgetful

    machine = Sabotaged()
    try:
        machine.begin(0)
        for name in range(3):
            machine.change(name, name)
        machine.compare_after_a_good_run()
        machine.change(0, None)
        with pytest.raises(AssertionError):
            machine.compare_after_a_good_run()
    finally:
        machine.teardown()

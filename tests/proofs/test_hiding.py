"""Nobody but staff hides a picture: thousands of steps of people who try, and of those who may.

Without ``--proofs`` some dozen steps are taken.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from disrupt.core import disputes as rule
from disrupt.core.media import NOT_NARROWED, StoredItem
from disrupt.index import columns, part
from disrupt.registry.sql import disputes
from rig.model.hiding_machine import FAR_BITS, ORGANISATIONS, HidingMachine


def run(examples: int, steps: int) -> Counter[str]:
    """Take at most so many steps in each of so many examples; return how many of each kind."""
    done = Counter[str]()
    run_state_machine_as_test(
        _machine(done),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            phases=[Phase.generate],
            database=None,
            report_multiple_bugs=False,
        ),
    )
    return done


def _machine(done: Counter[str]) -> type[HidingMachine]:
    return type("Machine", (HidingMachine,), {"steps": done})


def _attack() -> None:
    """Take the steps that show each of the faults below, in a row."""
    machine, pick = _machine(Counter())(), random.Random(1)
    try:
        machine.begin(1)
        for step in (
            partial(machine.report_every_version, pick, FAR_BITS + 5),
            partial(machine.report_every_version, pick, FAR_BITS + 5),
            partial(machine.report_every_version, pick, 5),
            partial(machine.report_every_version, pick, 5),
            *(partial(machine.revoke_a_key, pick) for _ in ORGANISATIONS),
        ):
            step()
            for _ in range(4):  # of pictures drawn at random
                machine.nobody_hides_a_picture_but_staff()
    finally:
        machine.teardown()


def test_nobody_hides_a_picture_but_staff(whole: bool, figures: Callable[[str], None]) -> None:
    least = 5_000 if whole else 1
    done = Counter[str]()
    while done.total() < least:
        done += run(10 if whole else 2, 100 if whole else 30)
    said = ", ".join(f"{count} {name}" for name, count in done.most_common())
    figures(f"{done.total()} steps ({said}), 0 pictures hidden")


def _no_floor(patches: pytest.MonkeyPatch) -> None:
    """Let reports narrow the whole picture as far as they say."""
    patches.setattr(rule, "_shows_whole", lambda _versions: frozenset())


def _no_valid_keys_needed(patches: pytest.MonkeyPatch) -> None:
    """Let reports of organisations count whose keys were revoked."""
    patches.setattr(disputes, "refresh_some", lambda *_, **__: None)


def _narrowing_ignored(patches: pytest.MonkeyPatch) -> None:
    """Let an index answer narrowed versions at any distance."""

    def unnarrowed(items: Iterable[StoredItem]) -> columns.Columns:
        made = columns.columns_of(items)
        made.entries["below_bits"] = NOT_NARROWED
        return made

    patches.setattr(part, "columns_of", unnarrowed)


@pytest.mark.parametrize("sabotage", [None, _no_floor, _no_valid_keys_needed, _narrowing_ignored])
def test_a_fault_is_found(
    sabotage: Callable[[pytest.MonkeyPatch], None] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sabotage is None:
        _attack()
        return
    sabotage(monkeypatch)
    with pytest.raises(AssertionError):
        _attack()

"""Nobody but staff hides a picture: thousands of steps of people who try, and of those who may.

Without ``--proofs`` some dozen steps are taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from disrupt.core import disputes as rule
from disrupt.core.media import NOT_NARROWED
from disrupt.index import part
from disrupt.registry.sql import disputes
from tests.proofs.hiding_machine import HidingMachine


def run(examples: int, steps: int, *, repeatable: bool = False) -> Counter[str]:
    """Take at most so many steps in each of so many examples; return how many of each kind."""
    done = Counter[str]()
    machine = type("Machine", (HidingMachine,), {"steps": done})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            phases=[Phase.generate],
            database=None,
            derandomize=repeatable,
            report_multiple_bugs=False,
        ),
    )
    return done


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
    columns_of = part.columns_of

    def unnarrowed(items: Iterable[Any]) -> Any:  # noqa: ANN401 what it returns
        made = columns_of(items)
        made.entries["below_bits"] = NOT_NARROWED
        return made

    patches.setattr(part, "columns_of", unnarrowed)


@pytest.mark.parametrize("sabotage", [_no_floor, _no_valid_keys_needed, _narrowing_ignored])
def test_a_fault_is_found(
    sabotage: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    with pytest.raises(AssertionError):
        run(50, 50, repeatable=True)

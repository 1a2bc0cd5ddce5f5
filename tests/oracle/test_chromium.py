"""The frozen answers are those of Debian's Chromium; run as a program, this freezes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.oracle import chromium
from tests.oracle.comparing import MAX_BITS, Answer, answer, files, freeze, read_frozen


def shown_today() -> dict[str, Answer | None]:
    data = files()
    with chromium.page() as page:
        shown = chromium.show(page, list(data.values()))
        return {name: answer(data[name], seen) for name, seen in zip(data, shown, strict=True)}


@pytest.mark.filterwarnings("ignore:::PIL")  # as outside of tests: Pillow warns, and reads on
@pytest.mark.skipif(
    not Path(chromium.PROGRAM).exists() and not os.environ.get("CI"),
    reason="needs Chromium, see scripts/system-packages",
)
def test_chromium_shows_of_each_file_what_is_frozen() -> None:
    today, frozen = shown_today(), read_frozen()
    assert today.keys() == frozen.keys()
    assert [name for name, shown in today.items() if not agree(shown, frozen[name])] == []


def agree(left: Answer | None, right: Answer | None) -> bool:
    if left is None or right is None:
        return left is right
    blacks = left.on_black or left.on_white, right.on_black or right.on_white
    bits = left.on_white.distance_bits(right.on_white), blacks[0].distance_bits(blacks[1])
    return (left.size, left.rows) == (right.size, right.rows) and max(bits) <= MAX_BITS


if __name__ == "__main__":
    freeze(shown_today())

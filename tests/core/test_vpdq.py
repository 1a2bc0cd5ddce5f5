"""vPDQ's text form is parsed; any other text is refused by its line."""

from __future__ import annotations

import pytest

from disrupt.core.vpdq import parse_vpdq
from disrupt.errors import InvalidRequestError

TEXT = f"0,100,{'f0' * 32},0.000\n1,49,{'0f' * 32},1.001\n2,50,{'a5' * 32},2.002\n"


def test_a_text_is_frames_whose_times_end_where_the_next_ones_begin() -> None:
    rows = parse_vpdq(TEXT)
    assert rows["start_ms"].tolist() == [0, 1001, 2002]
    assert rows["end_ms"].tolist() == [1001, 2002, 3003]
    assert rows["quality"].tolist() == [100, 49, 50]
    assert rows["usable"].tolist() == [1, 0, 1]
    assert bytes(rows["hash"][2]) == b"\xa5" * 32


def test_lines_in_another_order_and_blank_ones_are_borne() -> None:
    shuffled = "\n\n".join(reversed(TEXT.splitlines()))
    assert (parse_vpdq(shuffled) == parse_vpdq(TEXT)).all()
    assert not len(parse_vpdq("\n"))


@pytest.mark.parametrize(
    "line",
    ["x", "0,100", f"0,101,{'f0' * 32},0", f"0,9,{'f0' * 31},0", f"0,9,{'f0' * 32},-1"]
    + [f"0,9,{'f0' * 32},{time}" for time in ("inf", "nan", "1e9", "x")],
)
def test_what_is_no_line_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(InvalidRequestError, match="line 4"):
        parse_vpdq(TEXT + line)

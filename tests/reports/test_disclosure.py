"""What a reader can work out of figures that were published together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from disrupt.reports.disclosure import Figure, publish

SMALL = range(1, 10)

counts = st.one_of(st.integers(0, 12), st.integers(0, 60))


@st.composite
def partitions(draw: st.DrawFn) -> list[list[int]]:
    """Draw a total, and two or three ways in which it falls into parts."""
    first = draw(st.lists(counts, min_size=1, max_size=14))
    total = sum(first)
    result = [[total], first]
    for _ in range(draw(st.integers(1, 2))):
        cuts = draw(st.lists(st.integers(0, total), max_size=13).map(sorted))
        result.append([b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)])
    return result


def sums(figures: Iterable[Figure]) -> set[int]:
    """Return all sums that figures can have, one by one."""
    possible = {0}
    for figure in figures:
        possible = {
            sum_ + count for sum_ in possible for count in range(figure.least, figure.most + 1)
        }
    return possible


def possible_counts(figure_at: tuple[int, int], figures: Sequence[Sequence[Figure]]) -> set[int]:
    """Return what one count may be, as all partitions have the same sum."""
    of, at = figure_at
    totals = set.intersection(*map(sums, figures))
    rest = sums(figure for place, figure in enumerate(figures[of]) if place != at)
    figure = figures[of][at]
    return {
        count
        for count in range(figure.least, figure.most + 1)
        if any(total - count in rest for total in totals)
    }


@given(partitions())
@example([[14], [14], [1] * 14])
@example([[14], [1] * 14])
@example([[9], [9], [9]])
@example([[26], [9, 17], [10, 16]])
@example([[45], [9] * 5, [45]])
@example([[28], [14, 14], [10, 18], [1] * 28])
def test_no_count_from_1_to_9_can_be_worked_out(parts: list[list[int]]) -> None:
    published = publish(parts)
    for of, figures in enumerate(published):
        for at, figure in enumerate(figures):
            count = parts[of][at]
            possible = possible_counts((of, at), published)
            assert count in possible
            if count in SMALL:
                assert len(possible) > 1, (parts, of, at)
                assert not figure.is_exact


@given(partitions())
def test_zeros_stay_and_what_tells_of_nobody_is_exact(parts: list[list[int]]) -> None:
    published = publish(parts)
    assert published
    is_small = any(count in SMALL for counts in parts for count in counts)
    assert is_small or len(published) == len(parts)
    for counts, figures in zip(parts, published, strict=False):
        for count, figure in zip(counts, figures, strict=True):
            assert figure.least <= count <= figure.most
            assert figure.is_exact == (count == 0 or not is_small)
            assert figure.is_small == (count in SMALL)
            assert count in SMALL or abs(figure.nearest - count) <= 5


@given(st.lists(st.integers(1, 9), min_size=2, max_size=14), st.data())
def test_small_counts_of_one_sum_are_published_alike(small: list[int], data: st.DataObject) -> None:
    # Whatever is moved between small counts, the report does not change.
    moved = list(small)
    giver, taker = data.draw(st.permutations(range(len(small))))[:2]
    if moved[giver] > 1 and moved[taker] < 9:
        moved[giver], moved[taker] = moved[giver] - 1, moved[taker] + 1
    assert publish([[sum(small)], small]) == publish([[sum(moved)], moved])

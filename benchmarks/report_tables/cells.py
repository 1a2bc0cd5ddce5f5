"""Cells of tables, and numbers as pages write them."""

from __future__ import annotations

from collections.abc import Iterable

Cells = Iterable[object]
"""A line of a table; the first one has the headings."""


def markdown(lines: Iterable[Cells]) -> str:
    """Return a table, of its headings and its rows."""
    headings, *rows = [[str(cell) for cell in line] for line in lines]
    every = [headings, ["---"] * len(headings), *rows]
    # an empty cell is a single space wide
    return "".join(f"|{''.join(f' {cell} |' if cell else ' |' for cell in row)}\n" for row in every)


def number(value: float, digits: int = 0) -> str:
    """Write a number, its thousands apart."""
    return f"{value:,.{digits}f}".replace(",", " ")


def percent(share: float, digits: int = 1) -> str:
    """Write a share of 0 to 1 in percent."""
    return f"{share:.{digits}%}".replace("%", " %")


def ratio(value: float) -> str:
    """Write a whole ratio."""
    return f"{value:.0f} \N{MULTIPLICATION SIGN}"


def missing(text: str, *, misses: bool) -> str:
    """Set a figure that misses its promise in bold."""
    return f"**{text}**" if misses else text

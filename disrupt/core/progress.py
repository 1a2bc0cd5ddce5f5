"""Progress of long work, for those who wait for it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called now and then with what is being done, how much of it is done, and how much is to do."""


def quiet(_doing: str, _done: int, _to_do: int) -> None:
    """Report nothing: the default where nobody watches."""

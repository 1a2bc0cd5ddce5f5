"""A picture that cannot be decoded is told as an error of the server."""

from __future__ import annotations

from typing import NoReturn

from disrupt.hashing import isolation


def _fail(_reason: str, _cause: str | None = None) -> NoReturn:
    raise ValueError


vars(isolation)["refused"] = _fail

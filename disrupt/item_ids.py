"""Ids of items, as commands take them."""

from __future__ import annotations

import click

from disrupt.core.media import ITEM_ID_BYTES


class ItemId(click.ParamType[bytes]):
    """The id of an item, as ``disrupt match --json`` prints it."""

    name = "item_id"

    def convert(
        self, value: str | bytes, param: click.Parameter | None, ctx: click.Context | None, /
    ) -> bytes:
        """Return the bytes of an id; fails if it is none."""
        if isinstance(value, bytes):
            return value
        try:
            item_id = bytes.fromhex(value)
        except ValueError:
            item_id = b""
        if len(item_id) != ITEM_ID_BYTES:
            self.fail(
                f"{value!r} is no item: give {2 * ITEM_ID_BYTES} hexadecimal digits.", param, ctx
            )
        return item_id

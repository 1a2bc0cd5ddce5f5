"""The operators' command ``disrupt items``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from disrupt import logs
from disrupt.admin.v1 import admin_pb2
from disrupt.core.media import ItemState
from disrupt.item_ids import ItemId
from disrupt.server.commands.printing import report, show, table
from disrupt.server.commands.settings import data_dir_option
from disrupt.server.upkeep.administration import administration
from disrupt.wire import admin as wire
from disrupt.wording import Group

_item_ids = click.argument("item_ids", metavar="ITEM_ID...", nargs=-1, required=True, type=ItemId())
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(cls=Group)
def items() -> None:
    """Switch items off and on again; with the server running or not.

    An ITEM_ID has 32 hexadecimal digits: `disrupt match --json` prints that of each match. At most
    1000 at a time.

    \b
    Exit codes: 0 done, 1 refused, 2 wrong usage.

    \b
    Example: disrupt items disable 00112233445566778899aabbccddeeff --data-dir data
    """
    logs.configure("items", "warning")


@items.command()
@_item_ids
@data_dir_option
@_json
def disable(item_ids: tuple[bytes, ...], data_dir: Path, *, as_json: bool) -> None:
    """Switch items off: within a second no lookup finds them. Safe to repeat.

    They stay in their cases, and can be withdrawn there; registering the same picture again in the
    same case does not switch it on. If one of the items is unknown or withdrawn, none is changed.

    \b
    Example: disrupt items disable 00112233445566778899aabbccddeeff --data-dir data
    """
    _set(item_ids, ItemState.DISABLED, data_dir, as_json=as_json)


@items.command()
@_item_ids
@data_dir_option
@_json
def enable(item_ids: tuple[bytes, ...], data_dir: Path, *, as_json: bool) -> None:
    """Switch items on again: within a second lookups find them. Safe to repeat.

    If one of the items is unknown or withdrawn, none is changed.

    \b
    Example: disrupt items enable 00112233445566778899aabbccddeeff --data-dir data
    """
    _set(item_ids, ItemState.LIVE, data_dir, as_json=as_json)


@items.command(name="show")
@_item_ids
@data_dir_option
@_json
def show_command(item_ids: tuple[bytes, ...], data_dir: Path, *, as_json: bool) -> None:
    """Show bank and state of items, oldest first.

    \b
    live      lookups find it
    waiting   lookups do not: it waits for review
    disabled  lookups do not: it was switched off

    \b
    Example: disrupt items show 00112233445566778899aabbccddeeff --data-dir data
    """
    with administration(data_dir) as admin:
        answer = admin.get_states(wire.items_request(item_ids))
    show(_text(answer.items, as_json=as_json))


def _set(item_ids: tuple[bytes, ...], state: ItemState, data_dir: Path, *, as_json: bool) -> None:
    with administration(data_dir) as admin:
        answer = admin.set_states(wire.states_request(item_ids, state))
    report(_text(answer.items, as_json=as_json))


def _text(items: Iterable[admin_pb2.Item], *, as_json: bool) -> str:
    rows = [_row(item) for item in items]
    if as_json:
        return json.dumps({"items": rows})
    lines = [(row["item_id"], row["bank"], row["state"], row["changed_on"]) for row in rows]
    return table([("item", "bank", "state", "since"), *lines])


def _row(item: admin_pb2.Item) -> dict[str, Any]:
    return {
        "item_id": item.item_id.hex(),
        "bank": item.bank,
        "state": ItemState(item.state).name.lower(),
        "changed_on": item.changed_on,
    }

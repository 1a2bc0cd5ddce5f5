"""The operators' command ``disrupt banks``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from disrupt import logs
from disrupt.admin.v1 import admin_pb2
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.policy import BankPolicy
from disrupt.server.commands.printing import report, show, table
from disrupt.server.commands.settings import data_dir_option
from disrupt.server.upkeep.administration import administration
from disrupt.wire import banks as wire
from disrupt.wording import Group

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _policy_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a bank's policy, as one ``policy``; what is not given is None there."""

    @click.option(
        "--distance",
        "max_distance_bits",
        type=click.IntRange(0, MAX_DISTANCE_BITS),
        help="Largest distance of a match, in bits, inclusive.",
    )
    @click.option("--waiting", is_flag=True, help="What is registered into it waits for review.")
    @click.option("--live", is_flag=True, help="What is registered into it is found at once.")
    @click.option(
        "--visible-to",
        metavar="ORGANISATION",
        multiple=True,
        help="Organisation whose keys may search and mirror it, instead of those before; repeat for"
        " several.",
    )
    @click.option("--visible-to-all", is_flag=True, help="All organisations may.")
    @click.option(
        "--share",
        "share_percent",
        type=click.IntRange(1, 100),
        help="Share of its items that lookups answer, in percent.",
    )
    @wraps(command)
    def with_policy(
        *,
        max_distance_bits: int | None,
        waiting: bool,
        live: bool,
        visible_to: tuple[str, ...],
        visible_to_all: bool,
        share_percent: int | None,
        **options: Any,  # noqa: ANN401 those of the command
    ) -> None:
        if visible_to and visible_to_all:
            raise click.UsageError("Give --visible-to or --visible-to-all, not both.")
        seen_by = frozenset(visible_to) if visible_to or visible_to_all else None
        if waiting and live:
            raise click.UsageError("Give --waiting or --live, not both.")
        waits = waiting if waiting or live else None
        policy = BankPolicy(max_distance_bits, waits, seen_by, share_percent)
        command(policy=policy, **options)

    return with_policy


@click.group(cls=Group)
def banks() -> None:
    """Make, list and change banks; with the server running or not.

    Every worker knows of a change within a second. A bank cannot be deleted: its items can be
    switched off, or moved by `disrupt review move`.

    \b
    Exit codes: 0 done, 1 refused, 2 wrong usage.

    \b
    Example: disrupt banks set minors --distance 25 --data-dir data
    """
    logs.configure("banks", "warning")


@banks.command()
@click.argument("name")
@data_dir_option
@_policy_options
@_json
def create(name: str, data_dir: Path, policy: BankPolicy, *, as_json: bool) -> None:
    """Make the bank NAME.

    Unless you say otherwise: 31 bits, live, for all organisations, whole. Keys that are there may
    not search it; give it to them by `disrupt keys set --bank`.

    \b
    Example: disrupt banks create partners --waiting --visible-to platform --data-dir data
    """
    with administration(data_dir) as admin:
        made = admin.create_bank(wire.create_request(name, policy))
    _tell("Made", made.bank, made.unknown_organisations, as_json=as_json)


@banks.command(name="set")
@click.argument("name")
@data_dir_option
@_policy_options
@_json
def set_command(name: str, data_dir: Path, policy: BankPolicy, *, as_json: bool) -> None:
    """Change the bank NAME. What you do not name stays.

    Items that are there keep their state, and mirrors keep what they have.

    \b
    Example: disrupt banks set partners --share 10 --data-dir data
    """
    if policy == BankPolicy():
        raise click.UsageError(
            "Name what to change: --distance, --waiting, --live, --visible-to, --visible-to-all or"
            " --share."
        )
    with administration(data_dir) as admin:
        changed = admin.change_bank(wire.set_request(name, policy))
    _tell("Changed", changed.bank, changed.unknown_organisations, as_json=as_json)


@banks.command(name="list")
@data_dir_option
@_json
def list_command(data_dir: Path, *, as_json: bool) -> None:
    """List all banks, oldest first.

    \b
    Example: disrupt banks list --data-dir data
    """
    with administration(data_dir) as admin:
        rows = [_row(bank) for bank in admin.list_banks(wire.list_request()).banks]
    if as_json:
        show(json.dumps({"banks": rows}))
        return
    lines = [("bank", "bits", "registrations", "share", "visible to")]
    lines += [
        (
            row["name"],
            str(row["max_distance_bits"]),
            _registrations(row),
            f"{row['share_percent']} %",
            _organisations(row),
        )
        for row in rows
    ]
    show(table(lines))


def _tell(
    done: str, bank: admin_pb2.Bank, unknown_organisations: Sequence[str], *, as_json: bool
) -> None:
    row = _row(bank)
    if as_json:
        report(json.dumps(row | {"unknown_organisations": list(unknown_organisations)}))
        return
    report(
        f"{done} the bank {row['name']}: matches within {row['max_distance_bits']} bits;"
        f" registrations {_registrations(row)}; {row['share_percent']} % of its items answered;"
        f" visible to {_organisations(row)}."
    )
    for name in unknown_organisations:
        click.echo(
            f"Warning: there is no key of the organisation {name!r}. Is its name right?", err=True
        )


def _registrations(row: dict[str, Any]) -> str:
    return "wait" if row["waiting"] else "go live"


def _organisations(row: dict[str, Any]) -> str:
    return ", ".join(row["visible_to"]) or "all"


def _row(bank: admin_pb2.Bank) -> dict[str, Any]:
    return {
        "name": bank.name,
        "max_distance_bits": bank.max_distance_bits,
        "waiting": bank.waiting,
        "visible_to": list(bank.visible_to),
        "share_percent": bank.share_percent,
    }

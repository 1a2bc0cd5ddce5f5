"""The operators' command ``disrupt banks``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from disrupt import logs
from disrupt.admin.v1 import admin_pb2
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.policy import TEST_BANK, BankPolicy
from disrupt.operators.options import data_dir_option, json_option
from disrupt.operators.printing import report, show
from disrupt.server.desk import open_desk
from disrupt.wire import banks as wire

_Command = TypeVar("_Command", bound=Callable[..., None])

_LIVE, _WAIT = "live", "wait"


def policy_options(command: _Command) -> _Command:
    """Add the options that say what is set of a bank."""
    for option in (
        click.option(
            "--all-organisations", is_flag=True, help="Let the keys of every organisation see it."
        ),
        click.option(
            "--organisation",
            "organisations",
            multiple=True,
            help="Organisation whose keys may see it, and no others; repeat for several.",
        ),
        click.option(
            "--registrations",
            type=click.Choice([_LIVE, _WAIT]),
            help="Whether new pictures go live at once, or wait for a review.",
        ),
        click.option(
            "--distance",
            type=click.IntRange(0, MAX_DISTANCE_BITS),
            help="Largest distance of a match, in bits, inclusive.",
        ),
    ):
        command = option(command)
    return command


def policy_of(
    distance: int | None,
    registrations: str | None,
    organisations: tuple[str, ...],
    *,
    all_organisations: bool,
) -> BankPolicy:
    """Return what the options of ``policy_options`` set."""
    if organisations and all_organisations:
        raise click.UsageError("Give --organisation or --all-organisations, not both.")
    names = frozenset(organisations) if organisations or all_organisations else None
    goes_live = None if registrations is None else registrations == _LIVE
    return BankPolicy(distance, goes_live, names)


@click.group()
def banks() -> None:
    """Make, list and change banks; with the server running or not.

    Every worker follows within a second. No bank is ever deleted.

    \b
    Exit codes: 0 done, 1 refused, 2 wrong usage.

    \b
    Example: disrupt banks set adults --distance 28 --data-dir data
    """
    logs.configure("banks", "warning")


@banks.command()
@click.argument("name")
@data_dir_option
@policy_options
@json_option
def create(
    name: str,
    data_dir: Path,
    distance: int | None,
    registrations: str | None,
    organisations: tuple[str, ...],
    *,
    all_organisations: bool,
    as_json: bool,
) -> None:
    """Make the bank NAME. No key sees it yet, unless NAME is test.

    The bank test holds generated pictures, with which platforms try what they built. It is the same
    on every server; making it again completes it.

    \b
    Example: disrupt banks create test --data-dir data
    """
    policy = policy_of(distance, registrations, organisations, all_organisations=all_organisations)
    request = wire.create_request(name, policy)
    with open_desk(data_dir) as desk:
        bank = desk.CreateBank(request).bank
    if name == TEST_BANK and not as_json:
        report(
            "The bank test is there, with its pictures. Every key of right match may search it by"
            " its name; `disrupt match --self-test` does."
        )
    else:
        more = " `disrupt keys set KEY-ID --bank` lets a key see it."
        _report("Made", bank, more, as_json=as_json)


@banks.command(name="set")
@click.argument("name")
@data_dir_option
@policy_options
@json_option
def set_command(
    name: str,
    data_dir: Path,
    distance: int | None,
    registrations: str | None,
    organisations: tuple[str, ...],
    *,
    all_organisations: bool,
    as_json: bool,
) -> None:
    """Change the policy of the bank NAME. What is not named stays.

    A key sees a bank that it names (`disrupt keys`) and that is for its organisation.

    \b
    Example: disrupt banks set adults --registrations wait --data-dir data
    """
    policy = policy_of(distance, registrations, organisations, all_organisations=all_organisations)
    if policy == BankPolicy():
        raise click.UsageError(
            "Name what to change: --distance, --registrations, --organisation or"
            " --all-organisations."
        )
    request = wire.set_request(name, policy)
    with open_desk(data_dir) as desk:
        bank = desk.SetBank(request).bank
    _report("Changed", bank, "", as_json=as_json)


@banks.command(name="list")
@data_dir_option
@json_option
def list_command(data_dir: Path, *, as_json: bool) -> None:
    """List all banks, by number.

    \b
    Example: disrupt banks list --data-dir data
    """
    with open_desk(data_dir) as desk:
        rows = [_row(bank) for bank in desk.ListBanks(admin_pb2.ListBanksRequest()).banks]
    if as_json:
        show(json.dumps({"banks": rows}))
        return
    lines = [("bank", "distance", "registrations", "organisations")]
    for row in rows:
        distance, organisations = str(row["max_distance_bits"]), ",".join(row["organisations"])
        lines.append((row["name"], distance, row["registrations"], organisations or "all"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([*map(str.ljust, line, widths)] for line in lines)
    show("\n".join("  ".join(cells).rstrip() for cells in padded))


def _report(done: str, bank: admin_pb2.Bank, more: str, *, as_json: bool) -> None:
    row = _row(bank)
    if as_json:
        report(json.dumps(row))
        return
    seen_by = ", ".join(row["organisations"]) or "all organisations"
    report(
        f"{done} the bank {row['name']}: matches up to {row['max_distance_bits']} bits;"
        f" registrations {'go live' if bank.goes_live else 'wait for a review'}; seen by"
        f" {seen_by}.{more}"
    )


def _row(bank: admin_pb2.Bank) -> dict[str, Any]:
    return {
        "name": bank.name,
        "max_distance_bits": bank.max_distance_bits,
        "registrations": _LIVE if bank.goes_live else _WAIT,
        "organisations": list(bank.organisations),
    }

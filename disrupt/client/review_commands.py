"""``disrupt review``: the hotline's staff look at items, and decide what lookups find."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum

import click

from disrupt.client import terminal
from disrupt.client.retries import RetryPolicy
from disrupt.client.review import ITEMS_AT_ONCE, ReviewClient, Row
from disrupt.core.media import ITEM_ID_BYTES
from disrupt.core.outcomes import MatchOutcome
from disrupt.core.states import ItemState
from disrupt.v1 import review_pb2

_RETRIES = RetryPolicy(attempts=4)

_HELP = """Look at what is registered, and decide what lookups find. For the hotline's staff.

An ITEM has 32 hexadecimal digits: lists have it, and `disrupt match` prints that of each match. No
picture, hash or case number is shown. At most 500 items at a time; if one is unknown, withdrawn, or
in a bank that the key does not name, none is changed. What is changed holds in every answer within
a second, and is in `disrupt review log` under the id of the key.

The key comes from --key-file or from the environment variable DISRUPT_KEY, and needs the right
review.

\b
Examples:
  disrupt review list --state quarantined --state waiting
  disrupt review enable 00112233445566778899aabbccddeeff
  disrupt review reject --reason spam 00112233445566778899aabbccddeeff

\b
Exit codes:
  0  done
  1  failed, or refused: nothing was changed
  2  the command is used wrongly
"""


class _ItemId(click.ParamType[bytes]):
    """The id of an item in hexadecimal digits."""

    name = "item"

    def convert(
        self, value: str | bytes, param: click.Parameter | None, ctx: click.Context | None, /
    ) -> bytes:
        """Return the bytes; fails if they are none."""
        if isinstance(value, bytes):
            return value
        try:
            item_id = bytes.fromhex(value)
        except ValueError:
            item_id = b""
        if len(item_id) != ITEM_ID_BYTES:
            self.fail("an item has 32 hexadecimal digits; copy it from a list.", param, ctx)
        return item_id


def _choice(of: Iterable[IntEnum]) -> click.Choice[str]:
    return click.Choice([member.name.lower() for member in of], case_sensitive=False)


def _reviewing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every command, and pass it a client."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
    @terminal.connection_options()
    @functools.wraps(command)
    def connected(*args: object, target: terminal.Target, **options: object) -> None:
        with ReviewClient(
            target.server, key=target.key, tls_ca=target.tls_ca, retries=_RETRIES
        ) as client:
            command(*args, client=client, **options)

    return connected


def _deciding(command: Callable[..., None]) -> Callable[..., None]:
    """Add the items and the reason."""
    items = click.argument("item_ids", metavar="ITEM...", nargs=-1, required=True, type=_ItemId())
    reason = click.option(
        "--reason",
        default="",
        metavar="CODE",
        help="Why, for the record: a code of up to 32 small letters and underscores.",
    )

    @functools.wraps(command)
    def bounded(item_ids: Sequence[bytes], **options: object) -> None:
        if len(item_ids) > ITEMS_AT_ONCE:
            raise click.UsageError(f"At most {ITEMS_AT_ONCE} items at a time.")
        command(item_ids, **options)

    return items(reason(_reviewing(bounded)))


_limit = click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Most lines to print, the newest first.",
)


@click.group("review", help=_HELP)
def review() -> None:
    """Hold the commands of staff."""


@review.command("list")
@click.option("--state", "states", multiple=True, type=_choice(ItemState), help="In this state.")
@click.option("--bank", "banks", multiple=True, help="In this bank.  [default: all of the key]")
@click.option("--since", metavar="YYYY-MM-DD", default="", help="First day of registration, UTC.")
@click.option("--until", metavar="YYYY-MM-DD", default="", help="Last day of registration, UTC.")
@click.option("--outcome", type=_choice(MatchOutcome), help="Of which a platform reported this.")
@_limit
@_reviewing
def list_items(
    *,
    client: ReviewClient,
    states: tuple[str, ...],
    banks: tuple[str, ...],
    since: str,
    until: str,
    outcome: str | None,
    limit: int,
    as_json: bool,
) -> None:
    r"""List items, newest first. Options that may be repeated take any of what they name.

    \b
    Example: disrupt review list --state quarantined --outcome false_positive
    """
    request = review_pb2.ListItemsRequest(
        states=[ItemState[state.upper()].value for state in states],  # type: ignore[misc]  # same numbers
        banks=banks,
        first_day=since,
        last_day=until,
        outcome=MatchOutcome[outcome.upper()].value if outcome else 0,  # type: ignore[arg-type]  # same numbers
    )
    rows, more = client.items(request, limit)
    _print_items(rows, as_json=as_json)
    _print_more(more)


@review.command()
@click.argument("item_ids", metavar="ITEM...", nargs=-1, required=True, type=_ItemId())
@_reviewing
def show(item_ids: tuple[bytes, ...], *, client: ReviewClient, as_json: bool) -> None:
    r"""Show items; those that are unknown or withdrawn are left out.

    \b
    Example: disrupt review show 00112233445566778899aabbccddeeff
    """
    if len(item_ids) > ITEMS_AT_ONCE:
        raise click.UsageError(f"At most {ITEMS_AT_ONCE} items at a time.")
    rows, _ = client.items(review_pb2.ListItemsRequest(item_ids=item_ids), len(item_ids))
    _print_items(rows, as_json=as_json)


@review.command()
@_deciding
def disable(item_ids: Sequence[bytes], *, client: ReviewClient, reason: str, as_json: bool) -> None:
    """Switch items off: no lookup finds them, until somebody enables them."""
    _print_items(client.set_states(item_ids, ItemState.DISABLED, reason), as_json=as_json)


@review.command()
@_deciding
def enable(item_ids: Sequence[bytes], *, client: ReviewClient, reason: str, as_json: bool) -> None:
    """Let lookups find items, whatever their state was: no reports hide them from then on."""
    _print_items(client.set_states(item_ids, ItemState.ENABLED, reason), as_json=as_json)


@review.command()
@_deciding
def reject(item_ids: Sequence[bytes], *, client: ReviewClient, reason: str, as_json: bool) -> None:
    """Reject items that are not what their bank is for: no lookup finds them."""
    _print_items(client.set_states(item_ids, ItemState.REJECTED, reason), as_json=as_json)


@review.command()
@click.option("--to", "bank", metavar="BANK", required=True, help="Bank to move them to.")
@_deciding
def move(
    item_ids: Sequence[bytes], *, client: ReviewClient, bank: str, reason: str, as_json: bool
) -> None:
    r"""Move items to another bank, in the state that they have.

    \b
    Example: disrupt review move --to minors 00112233445566778899aabbccddeeff
    """
    _print_items(client.move(item_ids, bank, reason), as_json=as_json)


@review.command()
@_deciding
def confirm(item_ids: Sequence[bytes], *, client: ReviewClient, reason: str, as_json: bool) -> None:
    """Confirm items: platforms read "reviewed" as their assurance."""
    _print_items(client.confirm(item_ids, reason), as_json=as_json)


@review.command()
@click.argument("case_number", metavar="CASE")
@_reviewing
def erase(case_number: str, *, client: ReviewClient, as_json: bool) -> None:
    r"""Erase a case whose PIN the person has lost. Needs two people.

    CASE is its number, as the person tells it. Give the command; then somebody else gives the same
    one, with their own key, within 24 hours. The case is erased after 7 days; until then its
    pictures match as before. Whoever has the PIN sees that meanwhile, and can stop it.

    \b
    Example: disrupt review erase ABCD-EFGH-JKM
    """
    row = client.erase_case(case_number)
    if as_json:
        terminal.print_json(row)
    elif row["erased_on"]:
        click.echo(
            f"The case, with its {row['items']} pictures, is erased on {row['erased_on']}, unless"
            " whoever has the PIN keeps it. Until then its pictures match as before."
        )
    else:
        click.echo(
            "Noted; nothing was changed. Now somebody else, with a key of another name, has to give"
            f" the same command, until {row['confirm_until']}."
        )


@review.command()
@_limit
@_reviewing
def log(*, client: ReviewClient, limit: int, as_json: bool) -> None:
    r"""Show what staff, operators and the server itself did, newest first.

    An act is by the id of a key, by "operator" (a command on the server's machine) or by "server"
    (what it does by its own rules).

    \b
    Example: disrupt review log --limit 20
    """
    rows, more = client.acts(limit)
    for row in rows:
        if as_json:
            terminal.print_json(row)
        else:
            by = f"{row['actor']} ({row['organisation']})" if row["organisation"] else row["actor"]
            on = [
                f"{what} {row[what]}" for what in ("item", "bank", "key") if row[what] is not None
            ]
            why = f"reason {row['reason']}" if row["reason"] else ""
            line = "  ".join(filter(None, (row["at"], by, row["action"], ", ".join(on), why)))
            click.echo(terminal.clean(line))
    _print_more(more)


def _print_items(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print items, a line each."""
    for row in rows:
        if as_json:
            terminal.print_json(row)
        else:
            since = f" since {row['state_since']}" if row["state_since"] else ""
            outcomes = [f"{outcome} by {count}" for outcome, count in row["outcomes"].items()]
            cells = (
                row["item"],
                f"{row['bank']}, {row['kind']}, {row['assurance']}",
                f"registered {row['registered_on']}",
                f"{row['state']}{since}",
                ", ".join(outcomes),
            )
            click.echo(terminal.clean("  ".join(filter(None, cells))))
    if not rows:
        click.echo("No item.", err=True)


def _print_more(more: bool) -> None:  # noqa: FBT001 it is what is told
    if more:
        click.echo("More follow: give a larger --limit.", err=True)

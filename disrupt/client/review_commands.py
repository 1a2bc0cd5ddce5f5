"""``disrupt review``: staff look at items, cases and acts, and decide about items."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import date
from enum import IntEnum
from typing import TypeVar

import click

from disrupt.client import erasure_commands, terminal
from disrupt.client import review_tables as tables
from disrupt.client.retries import RetryPolicy
from disrupt.client.review import ITEMS_AT_ONCE, ItemQuery, ReviewClient, Row
from disrupt.core.acts import DIGEST_BYTES
from disrupt.core.cases import CaseStatus
from disrupt.core.media import OF_STAFF, REJECTIONS, Assurance, ItemState, StateReason
from disrupt.core.outcomes import Outcome
from disrupt.item_ids import ItemId
from disrupt.wording import Group

_RETRIES = RetryPolicy(attempts=4)
_LIMIT = 50
_WHY = "Why; kept with the item, and in the log."

_HELP = """Look at what is registered, and decide what is found. For the hotline's staff.

An ITEM_ID has 32 hexadecimal digits: the list of items has them, and `disrupt match --json` prints
that of each match. At most 500 at a time. If one is unknown or withdrawn, none is changed.
No picture, hash or case number is shown: CASE is a word of this server alone, the same for items
that one person registered together.

The key comes from --key-file or from the environment variable DISRUPT_KEY; it needs the right
review, and sees the items in its banks. What it changes is in `disrupt review log` under its id.

\b
Examples:
  disrupt review items --state waiting
  disrupt review items --outcome false_positive --least-reports 2
  disrupt review reject --reason abuse 00112233445566778899aabbccddeeff

\b
Exit codes: 0 done, 1 failed or refused, 2 wrong usage.
"""

_Member = TypeVar("_Member", bound=IntEnum)


def _choice(of: Iterable[_Member]) -> click.Choice[str]:
    return click.Choice([member.name.lower() for member in of], case_sensitive=False)


def _members(of: type[_Member], names: Iterable[str]) -> list[_Member]:
    return [of[name.upper()] for name in names]


class _Day(click.ParamType[str]):
    """A day as an ISO date."""

    name = "day"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None, /
    ) -> str:
        """Return the day; fails if it is none."""
        if not value:
            return ""
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            self.fail(f"{value!r} is no day: write YYYY-MM-DD.", param, ctx)


def _period(option: str, what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options for the first and the last day of something."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for name, word in (("until", "Last"), ("since", "First")):
            command = click.option(
                f"--{option}-{name}",
                type=_Day(),
                default="",
                metavar="YYYY-MM-DD",
                help=f"{word} day, UTC, on which {what}.",
            )(command)
        return command

    return decorate


def _reviewing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every command, and pass it a client that is connected."""

    @terminal.connection_options()
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @functools.wraps(command)
    def connected(*args: object, target: terminal.Target, **options: object) -> None:
        with ReviewClient(target.server, **target.access(), retries=_RETRIES) as client:
            command(*args, client=client, **options)

    return connected


_item_ids = click.argument("item_ids", metavar="ITEM_ID...", nargs=-1, required=True, type=ItemId())
_limit = click.option(
    "--limit",
    type=click.IntRange(1),
    default=_LIMIT,
    show_default=True,
    help="Most rows to print, the newest first.",
)


@click.group("review", cls=Group, help=_HELP)
def review() -> None:
    """Hold the commands of staff."""


for _command in erasure_commands.COMMANDS:
    review.add_command(_command)


@review.command()
@click.option("--state", "states", multiple=True, type=_choice(ItemState), help="In this state.")
@click.option("--bank", "banks", multiple=True, help="In this bank.  [default: all of the key]")
@_period("registered", "it was registered")
@_period("changed", "its state changed last")
@click.option("--outcome", type=_choice(Outcome), help="Of which a platform reported this.")
@click.option(
    "--least-reports",
    type=click.IntRange(0),
    default=0,
    help="Of which so many matches were reported, or more.",
)
@click.option(
    "--assurance", "assurances", multiple=True, type=_choice(Assurance), help="Of this assurance."
)
@click.option("--case-of", type=ItemId(), metavar="ITEM_ID", help="Of the case of this item.")
@_limit
@_reviewing
def items(  # noqa: PLR0913 one for each option
    *,
    client: ReviewClient,
    states: tuple[str, ...],
    banks: tuple[str, ...],
    registered_since: str,
    registered_until: str,
    changed_since: str,
    changed_until: str,
    outcome: str | None,
    least_reports: int,
    assurances: tuple[str, ...],
    case_of: bytes | None,
    limit: int,
    as_json: bool,
) -> None:
    """List items, the newest first.

    Those to which all that you name applies. Options that may be repeated name alternatives.
    REPORTED counts matches that platforms reported, and says for each outcome how many
    organisations did.

    \b
    Example: disrupt review items --state waiting --bank minors
    """
    query = ItemQuery(
        states=_members(ItemState, states),
        banks=banks,
        registered=(registered_since, registered_until),
        changed=(changed_since, changed_until),
        outcome=Outcome[outcome.upper()] if outcome else None,
        least_reports=least_reports,
        assurances=_members(Assurance, assurances),
        case_of=case_of or b"",
    )
    found = client.items(query, limit)
    if as_json:
        terminal.print_json({"items": found.rows, "more": found.more})
        return
    tables.print_items(found.rows)
    tables.print_more(found)


@review.command()
@click.option(
    "--status", "statuses", multiple=True, type=_choice(CaseStatus), help="In this status."
)
@_period("opened", "it was opened")
@_limit
@_reviewing
def cases(
    *,
    client: ReviewClient,
    statuses: tuple[str, ...],
    opened_since: str,
    opened_until: str,
    limit: int,
    as_json: bool,
) -> None:
    """List cases, the newest first.

    With the number of their items by state; disabled ones include rejected ones. ITEM is the oldest
    item of the case: `disrupt review items --case-of ITEM` lists all.

    \b
    Example: disrupt review cases --status active --opened-since 2026-11-01
    """
    opened = (opened_since, opened_until)
    found = client.cases(_members(CaseStatus, statuses), opened, limit)
    if as_json:
        terminal.print_json({"cases": found.rows, "more": found.more})
        return
    heads = (
        "case",
        "status",
        "opened",
        "closed",
        "live",
        "waiting",
        "disabled",
        "rejected",
        "item",
    )
    keys = (*heads[:2], "opened_on", "closed_on", *heads[4:8], "item_id")
    tables.print_table(heads, [[str(row[key]) for key in keys] for row in found.rows], "No case.")
    tables.print_more(found)


@review.command()
@click.argument("item_id", type=ItemId())
@_reviewing
def show(*, client: ReviewClient, item_id: bytes, as_json: bool) -> None:
    """Show one item, and the other items of its case.

    \b
    Example: disrupt review show 00112233445566778899aabbccddeeff
    """
    item = client.item(item_id)
    found = client.items(ItemQuery(case_of=item_id), ITEMS_AT_ONCE)
    others = [row for row in found.rows if row["item_id"] != item["item_id"]]
    if as_json:
        terminal.print_json({"item": item, "case_items": others, "more": found.more})
        return
    for name, value in (
        ("item", item["item_id"]),
        ("bank", item["bank"]),
        ("kind", item["kind"]),
        ("state", tables.state(item)),
        ("since", item["changed_on"] or "its registration"),
        ("registered", item["registered_on"]),
        ("assurance", item["assurance"]),
        ("reported", tables.reported(item)),
        ("case", item["case"]),
    ):
        tables.print_line(f"{name:<11} {value}")
    tables.print_line("")
    if others:
        tables.print_line("Other items of the case:")
        tables.print_items(others)
        tables.print_more(found)
    else:
        tables.print_line("The case has no other item that this key may see.")


@review.command()
@_item_ids
@click.option(
    "--reason",
    type=_choice(OF_STAFF),
    default=StateReason.STAFF.name.lower(),
    show_default=True,
    help=_WHY,
)
@_reviewing
def disable(
    *, client: ReviewClient, item_ids: tuple[bytes, ...], reason: str, as_json: bool
) -> None:
    """Switch items off: within a second no lookup finds them. Safe to repeat.

    They stay in their cases, and can be withdrawn there.

    \b
    Example: disrupt review disable --reason false_positives 00112233445566778899aabbccddeeff
    """
    _set(client, item_ids, ItemState.DISABLED, reason, as_json=as_json)


@review.command()
@_item_ids
@_reviewing
def enable(*, client: ReviewClient, item_ids: tuple[bytes, ...], as_json: bool) -> None:
    """Switch items on: within a second lookups find them. Safe to repeat.

    A case that was rejected is open again.

    \b
    Example: disrupt review enable 00112233445566778899aabbccddeeff
    """
    _set(client, item_ids, ItemState.LIVE, StateReason.STAFF.name, as_json=as_json)


@review.command()
@_item_ids
@click.option("--reason", type=_choice(REJECTIONS), required=True, help=_WHY)
@_reviewing
def reject(
    *, client: ReviewClient, item_ids: tuple[bytes, ...], reason: str, as_json: bool
) -> None:
    """Switch off what does not belong here. Safe to repeat.

    \b
    not_intimate  it is no intimate picture
    not_entitled  whoever registered it is neither shown nor acts for who is
    abuse         it was registered to harm, or to hide something from the public

    A case of which all items are rejected is rejected: nothing can be added to it, and the person
    sees that. To take a rejection back, enable the items.

    \b
    Example: disrupt review reject --reason abuse 00112233445566778899aabbccddeeff
    """
    _set(client, item_ids, ItemState.DISABLED, reason, as_json=as_json)


@review.command()
@_item_ids
@click.option("--to", "bank", required=True, help="Name of the bank; the key needs it, too.")
@_reviewing
def move(*, client: ReviewClient, item_ids: tuple[bytes, ...], bank: str, as_json: bool) -> None:
    """Move items to another bank. Safe to repeat.

    Within a second lookups find them there, and not where they were. They keep their ids, and their
    state. What a person registers later goes to the bank of the age that the person says, as ever.

    \b
    Example: disrupt review move --to minors 00112233445566778899aabbccddeeff
    """
    _print_changed(client.move(_at_most(item_ids), bank), as_json=as_json)


@review.command()
@_item_ids
@_reviewing
def confirm(*, client: ReviewClient, item_ids: tuple[bytes, ...], as_json: bool) -> None:
    """Say that staff have reviewed items. Safe to repeat.

    Platforms see that in each match: its assurance is "reviewed".

    \b
    Example: disrupt review confirm 00112233445566778899aabbccddeeff
    """
    _print_changed(client.confirm(_at_most(item_ids)), as_json=as_json)


@review.command()
@click.option("--after", type=click.IntRange(0), default=0, help="Number of the last act you have.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Most acts to print, the oldest first.",
)
@_reviewing
def log(*, client: ReviewClient, after: int, limit: int, as_json: bool) -> None:
    """Show what staff and operators did, the oldest first.

    WHO is the id of a key, "operator" for commands on the server's machine, or "server" for what it
    does by its own rules.

    \b
    Example: disrupt review log --after 1000
    """
    acts = [*client.acts(after, limit + 1)]
    more, acts = len(acts) > limit, acts[:limit]
    if as_json:
        terminal.print_json({"acts": acts, "more": more})
        return
    rows = [
        [str(act["number"]), act["at"], act["actor"], act["action"], tables.subject(act["subject"])]
        for act in acts
    ]
    tables.print_table(("act", "at", "who", "what", "to what"), rows, "No act.")
    if more:
        tables.print_line(f"More follow: disrupt review log --after {acts[-1]['number']}")


@review.command()
@click.option("--after", type=click.IntRange(1), help="Number of an act that you verified earlier.")
@click.option(
    "--digest", metavar="HEX", default="", help="Its digest: fails if the log has it no more."
)
@_reviewing
def verify(*, client: ReviewClient, after: int | None, digest: str, as_json: bool) -> None:
    """Verify that the log was not changed.

    No act was changed, removed or inserted since it was written. Ends with 1 if one was. What it
    cannot see: that the newest acts are missing, as after the restore of an older backup, or that
    all acts were written anew. So keep the number and the digest that it prints elsewhere, and say
    them the next time: then it sees that, too, up to there.

    \b
    Example: disrupt review verify
    """
    verified = client.verify(after or 0, _digest(digest, after))
    if as_json:
        newest, broken = verified.digest.hex(), verified.broken or None
        terminal.print_json({"verified": verified.acts, "digest": newest, "broken": broken})
    elif verified.broken and verified.broken == after:
        tables.print_line(
            f"The log has no act {after} with this digest: it was changed, or an older backup was"
            " restored."
        )
    elif verified.broken:
        tables.print_line(
            f"The log was changed: act {verified.broken} does not follow those before it."
            f" {verified.acts} before it are as they were written."
        )
    else:
        newest = verified.digest.hex() or "none"
        tables.print_line(
            f"All {verified.acts} acts are as they were written. Newest digest: {newest}"
        )
    if verified.broken:
        click.get_current_context().exit(terminal.EXIT_FAILED)


def _digest(text: str, after: int | None) -> bytes:
    """Return a digest from hexadecimal digits. Raises UsageError."""
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != (DIGEST_BYTES if after else 0) or bool(text) != bool(after):
        raise click.UsageError(
            "--after and --digest belong together: give both as `disrupt review verify` prints"
            " them, or none."
        )
    return digest


def _set(
    client: ReviewClient,
    item_ids: tuple[bytes, ...],
    state: ItemState,
    reason: str,
    *,
    as_json: bool,
) -> None:
    changed = client.set_states(_at_most(item_ids), state, StateReason[reason.upper()])
    _print_changed(changed, as_json=as_json)


def _at_most(item_ids: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if len(item_ids) > ITEMS_AT_ONCE:
        raise click.UsageError(f"At most {ITEMS_AT_ONCE} items at a time. Nothing was changed.")
    return item_ids


def _print_changed(rows: list[Row], *, as_json: bool) -> None:
    if as_json:
        terminal.print_json({"items": rows})
    else:
        tables.print_items(rows)

"""``disrupt review``: the hotline's staff look at items, and decide what lookups find."""

from __future__ import annotations

import csv
import functools
import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from enum import IntEnum
from typing import Any

import click

from disrupt.client import terminal
from disrupt.client.language import in_line, lang
from disrupt.client.media import open_media, read_whole
from disrupt.client.retries import RetryPolicy
from disrupt.client.review import ITEMS_AT_ONCE, ReviewClient, Row
from disrupt.client.review_texts import TEXTS, text
from disrupt.core.acts import REASON, Action
from disrupt.core.media import ITEM_ID_BYTES, LowQuality
from disrupt.core.outcomes import MatchOutcome, Settlement
from disrupt.core.policy import COMMON
from disrupt.core.review import TAG_BYTES
from disrupt.core.states import ItemState, WaitReason
from disrupt.core.tallies import LABELS, Tally
from disrupt.errors import DisruptError, InvalidMediaError
from disrupt.hashing import fingerprint_image
from disrupt.v1 import review_pb2

_RETRIES = RetryPolicy(attempts=4)
_H = 3600.0
_LISTED = [outcome for outcome in MatchOutcome if outcome != MatchOutcome.FALSE_POSITIVE]
"""Outcomes by which items are listed; false positives are disputes."""

_HELP = """Voir ce qui est enregistré, et décider de ce que les recherches trouvent.

Pour l'équipe. Aucune image, empreinte ni aucun numéro de dossier n'est montré : dossiers et réseaux
ont des étiquettes, effacées après 30 jours. Ce qui est changé vaut en une seconde, et figure dans
`disrupt review log`. États, banques et actions s'écrivent comme dans les options.

Look at what is registered, and decide what lookups find. For the hotline's staff.

An ITEM has 32 hexadecimal digits: lists have it, and `disrupt match` prints that of each match. No
picture, hash or case number is shown: cases and networks are told apart by tags, which are erased
after 30 days. At most 500 items at a time; if one is unknown, withdrawn, or in a bank that the key
does not name, none is changed. With --all instead of items, all that options name are changed as
one act, which can be undone for 7 days. What is changed holds in every answer within a second, and
is in `disrupt review log` under the id of the key.

The key comes from --key-file or from the environment variable DISRUPT_KEY, and needs the right
review.

\b
Exemples · Examples:
  disrupt review disputes
  disrupt review enable 00112233445566778899aabbccddeeff
  disrupt review reject --reason spam 00112233445566778899aabbccddeeff
  disrupt review reject --all --case 0011223344556677

\b
Codes de sortie · Exit codes:
  0  fait · done
  1  échec ou refus · failed or refused
  2  commande mal écrite · the command is used wrongly
"""


def _text(key: str, **fields: object) -> str:
    """Return a phrase in the command's language, fit for a terminal."""
    return terminal.clean(in_line(text(key).format(**fields)))


def _say(key: str, *, err: bool = False, **fields: object) -> None:
    click.echo(_text(key, **fields), err=err)


class _Name(click.ParamType[bytes]):
    """The id of an item, or a match id, in hexadecimal digits."""

    name = "item"

    def convert(
        self, value: str | bytes, param: click.Parameter | None, ctx: click.Context | None, /
    ) -> bytes:
        """Return the bytes; fails if they are none."""
        if isinstance(value, bytes):
            return value
        try:
            return bytes.fromhex(value)
        except ValueError:
            self.fail(_text("usage.name"), param, ctx)


class _Hex(click.ParamType[bytes]):
    """Bytes in hexadecimal digits."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self._size = size

    def convert(
        self, value: str | bytes, param: click.Parameter | None, ctx: click.Context | None, /
    ) -> bytes:
        """Return the bytes; fails if they are none."""
        if isinstance(value, bytes):
            return value
        try:
            given = bytes.fromhex(value)
        except ValueError:
            given = b""
        if len(given) != self._size:
            self.fail(_text("usage.hex", digits=2 * self._size), param, ctx)
        return given


_ITEM_ID = _Hex("item", ITEM_ID_BYTES)
_TAG = _Hex("tag", TAG_BYTES)


def _choice(of: Iterable[IntEnum]) -> click.Choice[str]:
    return click.Choice([member.name.lower() for member in of], case_sensitive=False)


def _reviewing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every command, and pass it a client."""

    @lang
    @click.option(
        *("--json", "as_json"),
        is_flag=True,
        help="En JSON, un objet par ligne · Print JSON, one object a line.",
    )
    @terminal.connection_options(
        server="Adresse du service, HOST:PORT ; plusieurs entre virgules · Address of the service;"
        " several between commas.",
        key_file="Fichier de la clé · File of the key.  [DISRUPT_KEY]",
        tls_ca="Fichier PEM des autorités de certification reconnues · PEM file of the authorities"
        " to trust.",
        no_key=" · ".join(text("no_key")),
    )
    @functools.wraps(command)
    def connected(*args: object, target: terminal.Target, as_json: bool, **options: object) -> None:
        said: dict[str, Any] = {} if as_json else {"say": in_line}
        try:
            with ReviewClient(
                target.server, key=target.key, tls_ca=target.tls_ca, retries=_RETRIES, **said
            ) as client:
                command(*args, client=client, as_json=as_json, **options)
        except DisruptError as error:
            reason = {"DEADLINE_EXCEEDED": "UNAVAILABLE"}.get(error.reason, error.reason)
            why = f"error.{reason}"
            click.echo(
                f"{_text('error')}: {_text(why if why in TEXTS else 'error.other')}", err=True
            )
            detail = terminal.clean(error.message)
            click.echo(f"({_text('detail')}: {error.reason}: {detail})", err=True)
            click.get_current_context().exit(terminal.exit_code(error))

    return connected


def _code(_: click.Context, __: click.Parameter, given: str) -> str:
    if not REASON.fullmatch(given):
        raise click.BadParameter(_text("usage.code"))
    return given


_reason = click.option(
    "--reason",
    default="",
    callback=_code,
    metavar="CODE",
    help="Pourquoi, en un code · Why, for the record: a code of up to 32 small letters and"
    " underscores.",
)


def _deciding(command: Callable[..., None]) -> Callable[..., None]:
    """Add the items and the reason."""
    items = click.argument("item_ids", metavar="ITEM...", nargs=-1, required=True, type=_ITEM_ID)

    @functools.wraps(command)
    def bounded(item_ids: Sequence[bytes], **options: object) -> None:
        _check_count(item_ids)
        command(item_ids, **options)

    return items(_reason(_reviewing(bounded)))


def _check_count(item_ids: Sequence[bytes]) -> None:
    if len(item_ids) > ITEMS_AT_ONCE:
        raise click.UsageError(_text("usage.most", count=ITEMS_AT_ONCE))


def _numbers_of(of: Iterable[IntEnum]) -> dict[str, Any]:
    """Return what makes an option take names of an enumeration, and give their numbers."""
    numbers = {member.name.lower(): member.value for member in of}

    def convert(_: click.Context, __: click.Parameter, given: str | Sequence[str] | None) -> Any:  # noqa: ANN401 as many as were given
        if isinstance(given, str):
            return numbers[given]
        return [numbers[name] for name in given or ()]

    return {"type": _choice(of), "callback": convert}


def _day(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    """Return a day as it is written in a list."""
    if given is None:
        return None
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError:
        raise click.BadParameter(_text("usage.day")) from None


_CONDITIONS = {
    "states": click.option(
        *("--state", "states"),
        multiple=True,
        help="Dans cet état · In this state.",
        **_numbers_of(ItemState),
    ),
    "banks": click.option(
        *("--bank", "banks"),
        multiple=True,
        help="Dans cette banque · In this bank.  [default: all of the key]",
    ),
    "first_day": click.option(
        *("--since", "first_day"),
        metavar="YYYY-MM-DD",
        callback=_day,
        help="Premier jour d'enregistrement · First day of registration, UTC.",
    ),
    "last_day": click.option(
        *("--until", "last_day"),
        metavar="YYYY-MM-DD",
        callback=_day,
        help="Dernier jour d'enregistrement · Last day of registration, UTC.",
    ),
    "outcome": click.option(
        "--outcome",
        help="Dont une plateforme a signalé cela · Of which a platform reported this.",
        **_numbers_of(_LISTED),
    ),
    "case_tag": click.option(
        *("--case", "case_tag"),
        metavar="TAG",
        type=_TAG,
        help="Du dossier de cette étiquette · Of the case of this tag.",
    ),
    "origin_tag": click.option(
        *("--origin", "origin_tag"),
        metavar="TAG",
        type=_TAG,
        help="Du réseau de cette étiquette · From the network of this tag.",
    ),
    "key_id": click.option(
        *("--key", "key_id"),
        metavar="ID",
        help="Enregistré par cette clé · Registered by the key of this id.",
    ),
    "least_hashes": click.option(
        *("--hashes", "least_hashes"),
        type=click.IntRange(1),
        help="Ayant au moins tant d'empreintes · With at least so many hashes.",
    ),
    "wait_reason": click.option(
        *("--waits-for", "wait_reason"),
        help="Qui attend cela · That waits for this.",
        **_numbers_of(WaitReason),
    ),
}
"""Options that are conditions, by their field of the message."""

_BROAD = {"states", "banks", "first_day", "last_day"}
"""Conditions that do not suffice for --all, so that nobody changes everything."""


def _named_by_conditions(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that are conditions, and pass them as one message."""

    @functools.wraps(command)
    def conditional(*args: object, **options: Any) -> None:  # noqa: ANN401 of any command
        given = {field: options.pop(field) for field in _CONDITIONS}
        said = {field: value for field, value in given.items() if value}
        command(*args, conditions=review_pb2.ItemConditions(**said), **options)

    for option in reversed(_CONDITIONS.values()):
        conditional = option(conditional)
    return conditional


def _setting_states(state: ItemState) -> Callable[[Callable[[], None]], click.Command]:
    """Make a command that sets the state of items, or of all that conditions name."""

    def make(described: Callable[[], None]) -> click.Command:
        @review.command(described.__name__, help=described.__doc__)
        @click.argument("item_ids", metavar="[ITEM...]", nargs=-1, type=_ITEM_ID)
        @click.option(
            "--all",
            "is_all",
            is_flag=True,
            help="Tout ce que nomment les options suivantes · All that the following options name:",
        )
        @_named_by_conditions
        @click.option("--yes", is_flag=True, help="Sans question · Do not ask before --all.")
        @_reason
        @_reviewing
        def command(
            item_ids: Sequence[bytes],
            *,
            client: ReviewClient,
            is_all: bool,
            conditions: review_pb2.ItemConditions,
            yes: bool,
            reason: str,
            as_json: bool,
        ) -> None:
            given = {field.name for field, _ in conditions.ListFields()}
            if bool(item_ids) == is_all or is_all != bool(given):
                raise click.UsageError(_text("usage.which"))
            if is_all and given <= _BROAD:
                raise click.UsageError(_text("usage.too_much"))
            _check_count(item_ids)
            if not is_all:
                _print_items(client.set_states(item_ids, state, reason), as_json=as_json)
                return
            counts = client.preview(conditions)
            if not counts["items"]:
                click.echo(f"{_text('error')}: {_text('none_named')}", err=True)
                click.get_current_context().exit(terminal.EXIT_FAILED)
            if not yes:
                _print_counts(counts)
                _ask("ask_all", count=counts["items"], state=state.name.lower())
            done = client.set_all_states(conditions, state, reason, counts["items"])
            if as_json:
                terminal.print_json(done)
            elif done["act"] is None:
                _say("all_so")
            else:
                of = {"count": done["items"], "act": done["act"]}
                _say("all_done", state=state.name.lower(), **of)

        return command

    return make


_limit = click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Au plus tant de lignes · Most lines to print, the newest first.",
)


@click.group("review", help=_HELP)
def review() -> None:
    """Hold the commands of staff."""


@review.command("list")
@_named_by_conditions
@_limit
@_reviewing
def list_items(
    *, client: ReviewClient, conditions: review_pb2.ItemConditions, limit: int, as_json: bool
) -> None:
    """Lister les éléments, les plus récents d'abord.

    List items, newest first. Options that may be repeated take any of what they name.

    \b
    Exemple · Example: disrupt review list --state waiting --hashes 500
    """
    request = review_pb2.ListItemsRequest(conditions=conditions)
    rows, more = client.items(request, limit)
    _print_items(rows, as_json=as_json)
    _print_more(more)


@review.command()
@_limit
@_reviewing
def disputes(*, client: ReviewClient, limit: int, as_json: bool) -> None:
    """Lister les éléments que des plateformes contestent, à décider d'abord.

    List items that platforms dispute, first those about which you have to decide.

    These and the others are each listed newest first, as they were registered.

    \b
    Exemple · Example: disrupt review disputes
    """
    urgent, every = (
        review_pb2.ListItemsRequest(conditions=conditions)
        for conditions in (
            review_pb2.ItemConditions(needs_staff=True),
            review_pb2.ItemConditions(disputed=True),
        )
    )
    rows, more = client.items(urgent, limit)
    if not more:
        others, more = client.items(every, limit)
        rows += [row for row in others if row not in rows]
        more |= len(rows) > limit
    _print_items(rows[:limit], as_json=as_json)
    _print_more(more)


@review.command()
@click.argument("name", metavar="ITEM|MATCH_ID", type=_Name())
@_reviewing
def show(name: bytes, *, client: ReviewClient, as_json: bool) -> None:
    """Montrer un élément et ce que des plateformes en ont signalé.

    Show an item and what platforms reported of it, by organisation and day.

    MATCH_ID is what a platform or the person who appeals to it tells you, as `disrupt match --json`
    prints it.

    \b
    Exemple · Example: disrupt review show 00112233445566778899aabbccddeeff
    """
    row = client.show(name)
    _print_items([row], as_json=as_json)
    if as_json:
        return
    if row["matched"]:
        click.echo(f"  {_text('matched', at=row['matched_at'], seen=_seen(row['matched']))}")
    for report in row["reports"]:
        of = f": {_seen(report['versions'])}" if report["versions"] else ""
        by_staff = report["settlement"]
        settled = f", {_text('settled', settlement=by_staff)}" if by_staff else ""
        line = f"  {report['day']}  {report['organisation']}  {report['outcome']}{of}{settled}"
        click.echo(terminal.clean(line))


def _seen(versions: Sequence[Row]) -> str:
    return "; ".join(
        in_line(text("seen").format(distance=version["distance"], shows=version["shows"]))
        for version in versions
    )


@review.command()
@_deciding
def widen(item_ids: Sequence[bytes], *, client: ReviewClient, reason: str, as_json: bool) -> None:
    """Laisser correspondre à nouveau des éléments contestés.

    Let items match again wherever platforms dispute them now; these disputes count no more.
    """
    _print_settled(*client.settle(item_ids, Settlement.WIDENED, reason), as_json=as_json)


@review.command()
@_deciding
def uphold(item_ids: Sequence[bytes], *, client: ReviewClient, reason: str, as_json: bool) -> None:
    """Donner raison à qui conteste : les éléments restent restreints.

    Agree with what platforms dispute of items: they stay narrowed.
    """
    _print_settled(*client.settle(item_ids, Settlement.UPHELD, reason), as_json=as_json)


@_setting_states(ItemState.DISABLED)
def disable() -> None:
    """Désactiver des éléments : aucune recherche ne les trouve.

    Switch items off: no lookup finds them, until somebody enables them.
    """


@_setting_states(ItemState.ENABLED)
def enable() -> None:
    """Activer des éléments : les recherches les trouvent.

    Let lookups find items, whatever their state was.
    """


@_setting_states(ItemState.REJECTED)
def reject() -> None:
    """Rejeter des éléments qui n'ont rien à faire dans leur banque.

    Reject items that are not what their bank is for: no lookup finds them.
    """


@review.command()
@click.argument("act", type=click.IntRange(1))
@_reason
@_reviewing
def undo(act: int, *, client: ReviewClient, reason: str, as_json: bool) -> None:
    """Annuler un acte sur tout ce que des options nommaient, pendant 7 jours.

    Undo an act on all that options named, for 7 days after it. ACT is its number in the log.

    Its items have the state again that they had before; not those that were withdrawn or registered
    again since, nor those that somebody has decided on by themselves.

    \b
    Exemple · Example: disrupt review undo 17
    """
    done = client.undo(act, reason)
    if as_json:
        terminal.print_json(done)
    else:
        _say("undone", count=done["items"], act=act)


@review.command()
@click.option(
    "--to", "bank", metavar="BANK", required=True, help="Banque d'arrivée · Bank to move them to."
)
@_deciding
def move(
    item_ids: Sequence[bytes], *, client: ReviewClient, bank: str, reason: str, as_json: bool
) -> None:
    """Déplacer des éléments dans une autre banque.

    Move items to another bank, in the state that they have.

    \b
    Exemple · Example: disrupt review move --to minors 00112233445566778899aabbccddeeff
    """
    _print_items(client.move(item_ids, bank, reason), as_json=as_json)


@review.command()
@_deciding
def confirm(item_ids: Sequence[bytes], *, client: ReviewClient, reason: str, as_json: bool) -> None:
    """Déclarer vus des éléments : les plateformes lisent « reviewed ».

    Confirm items: platforms read "reviewed" as their assurance.
    """
    _print_items(client.confirm(item_ids, reason), as_json=as_json)


@review.group("common")
def common() -> None:
    """Tenir les images que tout le monde a.

    Keep the pictures that everybody has, so that matches which they explain are marked.

    Templates, logos, app screens, letterheads, watermarks. Never a room, a face or a body: that
    would mark what shows the person. Of what is marked nothing is hidden: platforms read that a
    person has to look.
    """


@common.command("add")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--although-matched",
    is_flag=True,
    help="Malgré une correspondance · Add it although it matches a registered picture: look first"
    " whether that one shows more than this.",
)
@_reason
@_reviewing
def add_common(
    files: Sequence[str],
    *,
    client: ReviewClient,
    although_matched: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Ajouter des modèles, logos, écrans d'applications, en-têtes.

    Add pictures: templates, logos, app screens, letterheads. Never a room, a face or a body.

    Each FILE is hashed on this machine, and only hashes are sent. Take the template alone, without
    what people put into it. The first that is refused ends the command: those before it are added.

    \b
    Exemple · Example: disrupt review common add --reason app_screen keypad.png
    """
    for path in files:
        with open_media(path) as file:
            picture = fingerprint_image(read_whole(file))
        if isinstance(picture, LowQuality):
            raise InvalidMediaError(f"{path}: {picture.message}")
        row = client.add_common(picture, reason, although_matched=although_matched)
        _print_items([row], as_json=as_json)


@common.command("list")
@_limit
@_reviewing
def list_common(*, client: ReviewClient, limit: int, as_json: bool) -> None:
    """Lister ces images, les plus récentes d'abord.

    List the pictures, newest first.

    \b
    Exemple · Example: disrupt review common list
    """
    conditions = review_pb2.ItemConditions(banks=[COMMON.name])
    rows, more = client.items(review_pb2.ListItemsRequest(conditions=conditions), limit)
    _print_items(rows, as_json=as_json)
    _print_more(more)


@common.command("remove")
@_deciding
def remove_common(
    item_ids: Sequence[bytes], *, client: ReviewClient, reason: str, as_json: bool
) -> None:
    """Sortir des images, et effacer leurs empreintes.

    Take pictures out, and erase their hashes: matches are not marked by them any more.

    \b
    Exemple · Example: disrupt review common remove 00112233445566778899aabbccddeeff
    """
    client.remove_common(item_ids, reason)
    if as_json:
        terminal.print_json({"removed": [item_id.hex() for item_id in item_ids]})
    else:
        _say("taken_out", count=len(set(item_ids)))


@review.command()
@click.argument("case_number", metavar="CASE")
@_reviewing
def erase(case_number: str, *, client: ReviewClient, as_json: bool) -> None:
    """Effacer un dossier dont la personne a perdu le code PIN ; à deux.

    Erase a case whose PIN the person has lost. Needs two people.

    CASE is its number, as the person tells it. Give the command; then somebody else gives the same
    one, with their own key, within 24 hours. The case is erased after 7 days; until then its
    pictures match as before. Whoever has the PIN sees that meanwhile, and can stop it.

    \b
    Exemple · Example: disrupt review erase ABCD-EFGH-JKM
    """
    row = client.erase_case(case_number)
    if as_json:
        terminal.print_json(row)
    elif row["erased_on"]:
        _say("erased_on", case=row["case"], count=row["items"], day=row["erased_on"])
    else:
        _say("erasure_noted", case=row["case"], until=row["confirm_until"])


@review.command()
@_limit
@_reviewing
def pending(*, client: ReviewClient, limit: int, as_json: bool) -> None:
    """Lister les dossiers qui vont être effacés, ou attendent une deuxième personne.

    List cases that are to be erased, and those for which that awaits a second person.

    \b
    Exemple · Example: disrupt review pending
    """
    rows, more = client.erasures(limit)
    for row in rows:
        if as_json:
            terminal.print_json(row)
        else:
            cells = (
                *(_text(f"of.{what}", value=row[what]) for what in ("case", "items")),
                _text("pending.asked", by=row["asked_by"], at=row["asked_at"]),
                _text("pending.erased", day=row["erased_on"])
                if row["erased_on"]
                else _text("pending.until", until=row["confirm_until"]),
            )
            click.echo("  ".join(cells))
    _print_more(more)


@review.command()
@_reviewing
def mirrors(*, client: ReviewClient, as_json: bool) -> None:
    """Lister qui garde une copie des empreintes, et avec quel retard ce qui est retiré y disparaît.

    List who keeps a copy of the fingerprints, and how late what is withdrawn goes there.

    \b
    Exemple · Example: disrupt review mirrors
    """
    for row in client.mirrors():
        if as_json:
            terminal.print_json(row)
            continue
        cells = (
            _text("mirror.name", organisation=row["organisation"], name=row["name"]),
            _text("mirror.behind", hours=f"{row['behind_s'] / _H:.1f}"),
            _text("mirror.reported", at=row["reported_at"])
            if row["reported_at"]
            else _text("mirror.silent"),
            *((_text("mirror.ended"),) if row["has_ended"] else ()),
        )
        click.echo("  ".join(cells))


@review.command()
@click.option(
    *("--since", "first_day"),
    metavar="YYYY-MM-DD",
    callback=_day,
    help="Premier jour · First day, UTC.",
)
@click.option(
    *("--until", "last_day"),
    metavar="YYYY-MM-DD",
    callback=_day,
    help="Dernier jour · Last day, UTC.",
)
@click.option(
    *("--action", "actions"),
    multiple=True,
    help="Cette action · Only this action.",
    **_numbers_of(Action),
)
@_limit
@_reviewing
def log(
    *,
    client: ReviewClient,
    first_day: str | None,
    last_day: str | None,
    actions: Sequence[Any],
    limit: int,
    as_json: bool,
) -> None:
    """Montrer ce que l'équipe, l'exploitant et le serveur ont fait.

    Show what staff, operators and the server itself did, newest first.

    An act is by the id of a key, by "operator" (a command on the server's machine) or by "server"
    (what it does by its own rules). A case is named by its tag, for as long as it has one.

    \b
    Exemple · Example: disrupt review log --since 2026-11-01 --action common_added
    """
    request = review_pb2.ListActsRequest(
        first_day=first_day or "", last_day=last_day or "", actions=actions
    )
    rows, more = client.acts(request, limit)
    for row in rows:
        if as_json:
            terminal.print_json(row)
        else:
            by = f"{row['actor']} ({row['organisation']})" if row["organisation"] else row["actor"]
            on = [
                _text(f"of.{what}", value=row[what])
                for what in ("items", "item", "case", "bank", "key", "undone")
                if row[what]
            ]
            why = _text("of.reason", value=row["reason"]) if row["reason"] else ""
            line = "  ".join(
                filter(None, (str(row["number"]), row["at"], by, row["action"], ", ".join(on), why))
            )
            click.echo(terminal.clean(line))
    _print_more(more)


@review.command()
@click.option(
    *("--since", "first_day"),
    metavar="YYYY-MM-DD",
    callback=_day,
    required=True,
    help="Premier jour · First day, UTC.",
)
@click.option(
    *("--until", "last_day"),
    metavar="YYYY-MM-DD",
    callback=_day,
    required=True,
    help="Dernier jour · Last day, UTC.",
)
@click.option(
    *("--tally", "names"),
    multiple=True,
    type=click.Choice([*Tally]),
    help="Ce compte · Only this tally.",
)
@click.option(
    *("--by", "period"),
    type=click.Choice(["day", "month"]),
    default="day",
    help="Par jour ou par mois · By day or month.",
)
@click.option("--csv", "as_csv", is_flag=True, help="En CSV, avec en-tête · Print CSV.")
@_reviewing
def tallies(
    *,
    client: ReviewClient,
    first_day: str,
    last_day: str,
    names: Sequence[str],
    period: str,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Montrer les comptes : dossiers, images, recherches, décisions.

    Show tallies: how often what happened, by day (UTC).

    docs/tallies.md defines each. Doors and languages are of a month, rounded to 5, and listed where
    its first day is asked for. For a key that names all banks.

    \b
    Exemple · Example: disrupt review tallies --since 2026-01-01 --until 2026-12-31 --by month --csv
    """
    if as_csv and as_json:
        raise click.UsageError(_text("usage.csv_or_json"))
    counts = Counter[tuple[str, str, tuple[str, ...]]]()
    for row in client.list_tallies(first_day, last_day, names):
        day = row.day[:7] if period == "month" else row.day
        counts[day, row.tally, row.labels] += row.count
    if as_csv:
        columns = max(map(len, LABELS.values()))
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow([period, "tally", *(f"label_{at + 1}" for at in range(columns)), "count"])
        for (day, tally, labels), number in counts.items():
            writer.writerow([day, tally, *labels, *[""] * (columns - len(labels)), number])
        click.echo(table.getvalue(), nl=False)
        return
    for (day, tally, labels), number in counts.items():
        if as_json:
            of = dict(zip(_label_names(tally, len(labels)), labels, strict=True))
            terminal.print_json({period: day, "tally": tally, "labels": of, "count": number})
        else:
            cells = (day, tally, *(label for label in labels if label), str(number))
            click.echo(terminal.clean("  ".join(cells)))
    if not counts:
        _say("no_counts", err=True)


def _label_names(tally: str, count: int) -> Sequence[str]:
    """Return the names of a tally's labels; their numbers if this version does not know it."""
    return LABELS[Tally(tally)] if tally in {*Tally} else [*map(str, range(1, count + 1))]


def _print_items(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print items, a line each."""
    for row in rows:
        if as_json:
            terminal.print_json(row)
            continue
        state, since = row["state"], row["state_since"]
        outcomes = [
            _text("outcome", outcome=outcome, count=count)
            for outcome, count in row["outcomes"].items()
        ]
        if disputes := row["disputes"]:
            outcomes.append(_text("disputed", **disputes))
            whys = (f"decide.{why}" for why in disputes["needs_staff"])
            outcomes += [_text(why) for why in whys if why in TEXTS]
        cells = (
            row["item"],
            f"{row['bank']}, {row['kind']}, {row['assurance']}",
            _text("of.registered", value=row["registered_on"]),
            _text("state_since", state=state, day=since) if since else state,
            _text("of.waits", value=row["waits_for"]) if row["waits_for"] else "",
            ", ".join(outcomes),
            _text("of.hashes", value=row["hashes"]),
            *(
                _text(f"of.{what}", value=row[what])
                for what in ("case", "origin", "key")
                if row[what]
            ),
        )
        click.echo(terminal.clean("  ".join(filter(None, cells))))
    if not rows:
        _say("none", err=True)


def _print_settled(rows: Sequence[Row], settled: int, *, as_json: bool) -> None:
    """Print items, and to standard error of how many nothing was settled, if of any."""
    _print_items(rows, as_json=as_json)
    if not settled:
        _say("nothing_to_settle", err=True)
    elif left := len(rows) - settled:
        _say("less_to_settle", err=True, count=left)


def _print_counts(counts: Row) -> None:
    """Print a preview to standard error, a line for each bank, day and state."""
    _say("preview", err=True, **{name: counts[name] for name in ("items", "cases", "hashes")})
    for by in ("banks", "days", "states"):
        for name, items in counts[by].items():
            click.echo(terminal.clean(f"  {name}: {items}"), err=True)


def _print_more(more: bool) -> None:  # noqa: FBT001 it is what is told
    if more:
        _say("more", err=True)


def _ask(key: str, **fields: object) -> None:
    """Ask whether to go on. Raises click.Abort unless the answer is yes, in either language."""
    answer = click.prompt(_text(key, **fields), default="", show_default=False, err=True)
    if answer.strip().lower() not in {"oui", "o", "yes", "y"}:
        raise click.Abort

"""``disrupt submit``, ``status``, ``withdraw``: for a victim, or the helpline beside them."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from typing import IO, Any, NoReturn

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from disrupt.client import terminal
from disrupt.core.cases import AgeBand, CaseStatus, parse_case_number, parse_pin
from disrupt.errors import DisruptError, InvalidRequestError
from disrupt.submission import requests, texts
from disrupt.submission.client import SubmissionClient
from disrupt.submission.results import Case, Submission
from disrupt.submission.texts import Phrase

_EXIT_CODES = """
\b
Codes de sortie · Exit codes:
  0  tout est fait · all done
  1  échec : service injoignable, refus · failed: server unreachable, refused
  2  commande mal écrite · the command is used wrongly
"""

_SOME_REJECTED = """  3  fichiers non enregistrés · some files were not registered
"""

_SUBMIT = """Enregistrer des images et des vidéos pour les faire bloquer.

Elles restent sur cet appareil : seules leurs empreintes sont envoyées. Vous recevez un
numéro de dossier et un code PIN. Gardez les deux : nous ne pouvons pas retrouver le code PIN.
Sans --age, les images sont traitées comme celles d'une personne mineure.

Register pictures and videos so that platforms block them. They stay on this device: only their
fingerprints are sent. You get a case number and a PIN. Keep both: we cannot recover the PIN.
Without --age, the pictures are treated as those of a minor.

\b
Exemples · Examples:
  disrupt submit --age adult photo.jpg
  disrupt submit --case ABCD-EFGH-JKM autre.png video.mp4

Avec --json · With --json: {"case", "pin", "items": [{"input", "item", "hashes"}],
"rejected": [{"input", "reason", "message", "quality"}]}; case et pin sont null si rien n'a été
enregistré · are null when nothing was registered.
"""

_STATUS = """Voir où en est un dossier.

See where a case stands.

\b
Exemple · Example:
  disrupt status ABCD-EFGH-JKM
"""

_WITHDRAW = """Retirer un dossier, ou certaines de ses images avec --item.

Les empreintes sont effacées : ces images ne seront plus bloquées.

Withdraw a case, or some of its items with --item. The fingerprints are erased: these pictures
will no longer be blocked.

\b
Exemples · Examples:
  disrupt withdraw ABCD-EFGH-JKM
  disrupt withdraw ABCD-EFGH-JKM --item 0123456789abcdef0123456789abcdef
"""

_AGES = {"adult": AgeBand.ADULT, "minor": AgeBand.MINOR, "unsure": AgeBand.UNSURE}


class _Mistyped(click.UsageError):
    """Wrong usage, French first: click puts its English usage above. The message is two lines."""

    def show(self, _file: IO[Any] | None = None) -> None:
        """Print what is wrong, and where help is."""
        fr, _, en = self.message.partition("\n")
        phrase = Phrase(f"{texts.ERROR}: {fr}", terminal.clean(en))
        _say(Console(stderr=True, highlight=False), phrase, style="bold")
        if self.ctx is not None:
            click.echo(f"{texts.HELP_OPTION}: {self.ctx.command_path} --help", err=True)


class _Bilingual(click.Command):
    """A command whose errors are French first."""

    def parse_args(self, context: click.Context, args: list[str], /) -> list[str]:
        """Say in French that the command is mistyped, before click says in English how."""
        try:
            return super().parse_args(context, args)
        except click.UsageError as error:
            said = f"{texts.USAGE.fr}\n{texts.USAGE.en} {error.format_message()}"
            raise _Mistyped(said, context) from error

    def invoke(self, context: click.Context, /) -> Any:  # noqa: ANN401 click's
        """Run the command; explain what is raised on purpose, and the server's words below it."""
        try:
            return super().invoke(context)
        except click.UsageError as error:
            raise _Mistyped(error.message, context) from error
        except DisruptError as error:
            code = terminal.exit_code(error)
            explained = texts.explain(error) if code == terminal.EXIT_FAILED else texts.BAD_SERVER
            _say(Console(stderr=True), explained, style="bold")
            click.echo(f"({error.reason}: {terminal.clean(error.message)})", err=True)
            context.exit(code)


_connection = terminal.connection_options(
    server="Adresse du service · Address of the service, HOST:PORT.",
    key_file="Fichier de la clé d'accès · File of the access key.  [DISRUPT_KEY]",
    tls_ca="Fichier PEM des autorités de certification reconnues · PEM file of the authorities "
    "to trust.",
    no_key=f"{texts.NO_KEY.fr}\n{texts.NO_KEY.en}",
)
_pin_file = click.option(
    "--pin-file",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Fichier du code PIN, - pour l'entrée standard · File of the PIN, - for standard input."
    "  [DISRUPT_PIN]",
)
_json = click.option("--json", "as_json", is_flag=True, help="Pour les programmes · For programs.")
_case = click.argument("case_number", metavar="NUMÉRO")


@click.command("submit", cls=_Bilingual, help=_SUBMIT + _EXIT_CODES + _SOME_REJECTED)
@click.argument("files", metavar="FICHIER...", nargs=-1, required=True)
@click.option(
    "--age",
    type=click.Choice(list(_AGES)),
    default="unsure",
    show_default=True,
    help="Âge de la personne visible sur ces images : adulte, mineure, incertain (traité comme "
    "mineure) ; un même dossier peut avoir des images d'âges différents · Age of the person shown "
    "on these pictures; unsure is treated as minor; pictures of one case may differ in it.",
)
@click.option(
    "--case",
    "case_number",
    metavar="NUMÉRO",
    help="Ajouter à ce dossier, avec son code PIN · Add to this case, with its PIN.",
)
@click.option(
    "--every-frame",
    is_flag=True,
    help="D'une animation (GIF, WebP, PNG, AVIF), enregistrer toutes les images et non la première "
    "seule · Of an animation, register all frames and not the first alone.",
)
@_pin_file
@_json
@_connection
def submit(
    *,
    files: tuple[str, ...],
    age: str,
    case_number: str | None,
    every_frame: bool,
    pin_file: str | None,
    as_json: bool,
    target: terminal.Target,
) -> None:
    """Register, print, and end with the exit code."""
    number = _case_number(case_number) if case_number is not None else ""
    pin = _pin(pin_file) if number else ""
    with (
        _client(target) as client,
        terminal.Progress(len(files), str(texts.WORKING)) as progress,
    ):
        submission = client.submit(
            files,
            age=_AGES[age],
            case_number=number,
            pin=pin,
            every_frame=every_frame,
            watched=progress.files,
            within=progress.within,
        )
    if as_json:
        terminal.print_json(_submission_json(submission))
    else:
        _show_submission(submission, new=not number, unsure=_AGES[age] == AgeBand.UNSURE)
    if submission.rejected:
        click.get_current_context().exit(terminal.EXIT_SOME_REJECTED)


@click.command("status", cls=_Bilingual, help=_STATUS + _EXIT_CODES)
@_case
@_pin_file
@_json
@_connection
def status(
    *, case_number: str, pin_file: str | None, as_json: bool, target: terminal.Target
) -> None:
    """Show a case."""
    number, pin = _case_number(case_number), _pin(pin_file)
    with _client(target) as client:
        case = client.case(number, pin)
    if as_json:
        terminal.print_json(_case_json(case))
    else:
        _show_case(terminal.output(), case)
        _say(terminal.output(), texts.HELP)


@click.command("withdraw", cls=_Bilingual, help=_WITHDRAW + _EXIT_CODES)
@_case
@click.option(
    "--item",
    "items",
    multiple=True,
    metavar="IMAGE",
    help="Seulement cette image, que montre « disrupt status » ; peut être répété · Only this "
    "item, which `disrupt status` shows; may be repeated.",
)
@_pin_file
@_json
@_connection
def withdraw(
    *,
    case_number: str,
    items: tuple[str, ...],
    pin_file: str | None,
    as_json: bool,
    target: terminal.Target,
) -> None:
    """Withdraw a case or items of it."""
    number = _case_number(case_number)
    try:
        for item in items:
            requests.item_id(item)
    except InvalidRequestError:
        _usage(texts.BAD_ITEM)
    pin = _pin(pin_file)
    with _client(target) as client:
        case = client.withdraw(number, pin, items or None)
    if as_json:
        terminal.print_json(_case_json(case))
        return
    console = terminal.output()
    done = texts.ITEMS_WITHDRAWN.format(count=len(set(items))) if items else texts.WITHDRAWN
    _say(console, done, style="bold green")
    _show_case(console, case)
    _say(console, texts.COME_BACK)
    _say(console, texts.HELP)


def _client(target: terminal.Target) -> SubmissionClient:
    return SubmissionClient(target.server, key=target.key, tls_ca=target.tls_ca)


def _usage(phrase: Phrase) -> NoReturn:
    raise click.UsageError(f"{phrase.fr}\n{phrase.en}")


def _case_number(text: str) -> str:
    try:
        return parse_case_number(text)
    except InvalidRequestError:
        _usage(texts.BAD_CASE_NUMBER)


def _pin(file: str | None) -> str:
    """PIN of a file, of the environment, or asked for; never an argument, which others see."""
    if file is not None:
        try:
            text = sys.stdin.readline() if file == "-" else Path(file).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            _usage(texts.NO_PIN)
    elif "DISRUPT_PIN" in os.environ:
        text = os.environ["DISRUPT_PIN"]
    elif sys.stdin.isatty():
        text = click.prompt(str(texts.ASK_PIN), hide_input=True, err=True)
    else:
        _usage(texts.NO_PIN)
    try:
        return parse_pin(text.strip())
    except InvalidRequestError:
        _usage(texts.BAD_PIN)


def _submission_json(submission: Submission) -> dict[str, Any]:
    return {
        "case": submission.case_number or None,
        "pin": submission.pin or None,
        "items": [
            {"input": one.source, "item": one.item_id, "hashes": one.hashes}
            | ({"incomplete": True} if one.incomplete else {})
            for one in submission.registered
        ],
        "rejected": [
            {
                "input": one.source,
                "reason": one.reason,
                "message": one.message,
                "quality": one.quality,
            }
            for one in submission.rejected
        ],
    }


def _case_json(case: Case) -> dict[str, Any]:
    return {
        "case": case.number,
        "status": case.status.name if case.status else None,
        "opened_on": case.opened_on,
        "closed_on": case.closed_on or None,
        "items": [
            {
                "item": one.item_id,
                "kind": one.kind.name if one.kind else None,
                "hashes": one.hashes,
                "age": one.age.name.lower() if one.age else None,
            }
            for one in case.items
        ],
    }


def _show_submission(submission: Submission, *, new: bool, unsure: bool) -> None:
    console = terminal.output()
    if submission.registered:
        done = texts.REGISTERED.format(count=len(submission.registered))
        _say(console, done, style="bold green")
    else:
        _say(console, texts.NOTHING_REGISTERED, style="bold")
    if submission.case_number:
        _line(console, texts.CASE_NUMBER, submission.case_number)
    if submission.case_number and new:
        _line(console, texts.PIN, f"{submission.pin[:4]} {submission.pin[4:]}")
        _say(console, texts.KEEP_BOTH, style="bold")
    if submission.registered:
        table = Table(str(texts.FILE), str(texts.ITEM))
        for registered in submission.registered:
            source = _untrusted(registered.source)
            if registered.incomplete:
                source.append(f"\n{texts.ONLY_BEGINNING}")
            table.add_row(source, Text(registered.item_id, no_wrap=True))
        console.print(table)
    _say(console, texts.NEVER_LEFT if submission.registered else texts.STAYED)
    if submission.registered and unsure:
        _say(console, texts.TREATED_AS_MINOR)
    if submission.rejected:
        _show_rejected(console, submission)
    _say(console, texts.HELP)


def _show_rejected(console: Console, submission: Submission) -> None:
    table = Table(str(texts.FILE), str(texts.WHY))
    for one in submission.rejected:
        why = texts.REJECTIONS.get(one.reason, texts.NOT_SENT)
        detail = terminal.clean(one.message)
        table.add_row(_untrusted(one.source), Text(f"{why.fr}\n{why.en}\n({detail})"))
    console.print(table)


def _show_case(console: Console, case: Case) -> None:
    known = texts.STATUSES.get(case.status) if case.status else None
    _line(console, texts.CASE_NUMBER, terminal.clean(case.number))
    _line(console, texts.STATUS, str(known or texts.UNKNOWN_VALUE))
    if case.status == CaseStatus.ACTIVE:
        _say(console, texts.ACTIVE_MEANS)
    _line(console, texts.OPENED_ON, terminal.clean(case.opened_on))
    if case.closed_on:
        _line(console, texts.CLOSED_ON, terminal.clean(case.closed_on))
    if case.items:
        table = Table(str(texts.ITEM), str(texts.AGE))
        for one in case.items:
            age = texts.AGES.get(one.age) if one.age else None
            table.add_row(Text(one.item_id, no_wrap=True), str(age or texts.UNKNOWN_VALUE))
        console.print(table)


def _line(console: Console, name: Phrase, value: str) -> None:
    console.print(Text.assemble(f"{name}: ", (value, "bold")), soft_wrap=True)


def _say(console: Console, phrase: Phrase, style: str = "") -> None:
    for text, styled in zip(phrase.typeset(), (style, "italic"), strict=True):
        # rich breaks lines at a no-break space, too
        for line in textwrap.wrap(
            text, console.width, break_long_words=False, break_on_hyphens=False
        ):
            console.print(Text(line, styled), soft_wrap=True)


def _untrusted(text: str) -> Text:
    return Text(terminal.clean(text), overflow="fold")

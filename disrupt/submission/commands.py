"""``disrupt submit``, ``status``, ``keep``, ``withdraw``: for a victim, or who helps them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console

from disrupt.client import terminal
from disrupt.core.cases import AgeBand, CaseStatus, parse_case_number, parse_pin
from disrupt.errors import DisruptError, InvalidRequestError
from disrupt.submission import helps, requests, showing, texts
from disrupt.submission.bilingual import Bilingual, EndedError, complain
from disrupt.submission.client import SubmissionClient
from disrupt.submission.results import Case
from disrupt.submission.showing import Receipt, say
from disrupt.submission.waiting import LoggedWaiting, ShownWaiting
from disrupt.texts import Phrase

_AGES = {"adult": AgeBand.ADULT, "minor": AgeBand.MINOR, "unsure": AgeBand.UNSURE}

_connection = terminal.connection_options(
    server="Adresse du service · Address of the service, HOST:PORT.",
    key_file="Fichier de la clé d'accès · File of the access key.  [DISRUPT_KEY]",
    client_cert="Certificat client, PEM, si le service en demande un · client certificate, PEM, "
    "where the service asks for one.",
    client_key="Sa clé privée, PEM · its private key, PEM.",
    tls_ca="Fichier PEM des autorités de certification reconnues · PEM file of the authorities "
    "to trust.",
    no_key=f"{texts.NO_KEY.fr}\n{texts.NO_KEY.en}",
    no_file=f"{texts.NO_FILE.fr}\n{texts.NO_FILE.en}",
    bad_file=f"{texts.BAD_FILE.fr}\n{texts.BAD_FILE.en}",
)
_pin_file = click.option(
    "--pin-file",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Fichier du code PIN, - pour l'entrée standard · File of the PIN, - for standard input."
    "  [DISRUPT_PIN]",
)
_json = click.option("--json", "as_json", is_flag=True, help="Pour les programmes · For programs.")
_case = click.argument("case_number", metavar="NUMÉRO")


@click.command(
    "submit",
    cls=Bilingual,
    help=helps.SUBMIT + helps.EXIT_CODES + helps.SOME_REJECTED + helps.NOT_KNOWN,
    unchanged=texts.NOTHING_WAS_REGISTERED,
)
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
    help="D'une animation (GIF, WebP, PNG, AVIF), enregistrer toutes les images, et non seulement "
    "la première qui n'est pas unie · Of an animation, register all frames, and not only the first "
    "that is not plain.",
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
    progress = terminal.Progress(len(files), str(texts.WORKING))
    client = _client(target, progress.aside)
    with Receipt(as_json=as_json, unsure=_AGES[age] == AgeBand.UNSURE) as receipt:

        def announce(case_number: str, pin: str) -> None:
            with progress.aside():
                receipt.announce(case_number, pin)

        try:
            with client:
                client.reach()
                with progress:
                    submission = client.submit(
                        files,
                        age=_AGES[age],
                        case_number=number,
                        pin=pin,
                        every_frame=every_frame,
                        announce=announce,
                        watched=progress.files,
                        within=progress.within,
                    )
                receipt.finish(submission)
        except KeyboardInterrupt:
            if not client.may_have_changed:
                raise
            if not receipt.is_finished:
                submission = client.so_far()
                receipt.finish(submission)
    if submission.unknown:
        click.get_current_context().exit(terminal.EXIT_NOT_KNOWN)
    if submission.rejected:
        click.get_current_context().exit(terminal.EXIT_SOME_REJECTED)


@click.command("status", cls=Bilingual, help=helps.STATUS + helps.EXIT_CODES)
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
    with showing.shown(texts.CASE_NOT_SHOWN):
        if as_json:
            terminal.print_json(showing.case_json(case))
            return
        console = terminal.output()
        showing.show_case(console, case)
        say(console, texts.HELP)


@click.command(
    "keep",
    cls=Bilingual,
    help=helps.KEEP + helps.EXIT_CODES + helps.NOT_KNOWN,
    unchanged=texts.NOTHING_WAS_KEPT,
)
@_case
@_pin_file
@_json
@_connection
def keep(*, case_number: str, pin_file: str | None, as_json: bool, target: terminal.Target) -> None:
    """Stop the erasure of a case that was requested without its PIN."""
    number, pin = _case_number(case_number), _pin(pin_file)
    client = _client(target)
    is_shown = False
    try:
        with client:
            client.reach()
            case = client.case(number, pin)
            is_asked = case.erasure is not None
            if is_asked:
                case = client.keep(number, pin)
            with showing.shown(texts.KEPT_NOT_SHOWN if is_asked else texts.CASE_NOT_SHOWN):
                _show_kept(case, is_asked=is_asked, as_json=as_json)
            is_shown = True
    except (DisruptError, KeyboardInterrupt) as failure:
        if not client.may_have_changed:
            raise
        if not is_shown:
            unknown = texts.KEEPING_NOT_KNOWN.format(number=number)
            raise EndedError(unknown, terminal.EXIT_NOT_KNOWN) from failure


def _show_kept(case: Case, *, is_asked: bool, as_json: bool) -> None:
    if as_json:
        terminal.print_json(showing.case_json(case))
        return
    console = terminal.output()
    if case.status == CaseStatus.WITHDRAWN:
        say(console, texts.TOO_LATE_TO_KEEP, style="bold")
    elif is_asked:
        say(console, texts.KEPT, style="bold green")
    else:
        say(console, texts.NOTHING_TO_KEEP, style="bold")
    showing.show_case(console, case)
    if is_asked:
        say(console, texts.WHO_ASKED)
    say(console, texts.HELP)


@click.command(
    "withdraw",
    cls=Bilingual,
    help=helps.WITHDRAW + helps.EXIT_CODES + helps.NOT_KNOWN,
    unchanged=texts.NOTHING_WAS_WITHDRAWN,
    advice={"LIMIT_EXCEEDED": texts.TOO_MANY_TO_WITHDRAW},
)
@_case
@click.option(
    "--item",
    "items",
    multiple=True,
    metavar="IMAGE",
    help="Seulement cette image, que montre « disrupt status » ; peut être répété · Only this "
    "item, which `disrupt status` shows; may be repeated.",
)
@click.option(
    "--yes",
    is_flag=True,
    help="Retirer tout le dossier sans question · Withdraw the whole case without a question.",
)
@_pin_file
@_json
@_connection
def withdraw(
    *,
    case_number: str,
    items: tuple[str, ...],
    yes: bool,
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
    asks = not (items or yes)
    if asks and not _can_ask():
        _usage(texts.SAY_YES)
    pin = _pin(pin_file)
    client = _client(target)
    is_shown = False
    try:
        with client:
            client.reach()
            if asks:
                _ask_whether_to_withdraw(number)
            case = client.withdraw(number, pin, items or None)
            done = texts.ITEMS_WITHDRAWN.format(count=len(set(items))) if items else texts.WITHDRAWN
            _show_withdrawn(case, done, as_json=as_json)
            is_shown = True
    except (DisruptError, KeyboardInterrupt) as failure:
        if not client.may_have_changed:
            raise
        if not is_shown:
            unknown = texts.WITHDRAWAL_NOT_KNOWN.format(number=number)
            raise EndedError(unknown, terminal.EXIT_NOT_KNOWN) from failure


def _show_withdrawn(case: Case, done: Phrase, *, as_json: bool) -> None:
    with showing.shown(texts.WITHDRAWN_NOT_SHOWN):
        if as_json:
            terminal.print_json(showing.case_json(case))
            return
        console = terminal.output()
        say(console, done, style="bold green")
        showing.show_case(console, case)
        say(console, texts.COME_BACK)
        say(console, texts.HELP)


def _ask_whether_to_withdraw(number: str) -> None:
    """End the command unless the person says yes."""
    complain(texts.REALLY_WITHDRAW.format(number=number))
    if click.prompt(str(texts.TYPE_YES), err=True).strip().lower() not in texts.YES:
        raise EndedError(texts.NOTHING_WAS_WITHDRAWN, terminal.EXIT_FAILED)


def _client(
    target: terminal.Target, aside: Callable[[], AbstractContextManager[None]] = nullcontext
) -> SubmissionClient:
    """Make the client of a command, and leave it in the command's context."""
    console = Console(stderr=True, highlight=False)
    client = SubmissionClient(
        target.server,
        **target.access(),
        waiting=ShownWaiting(console, aside) if console.is_terminal else LoggedWaiting(console),
    )
    click.get_current_context().obj = client
    return client


def _usage(phrase: Phrase) -> NoReturn:
    raise click.UsageError(f"{phrase.fr}\n{phrase.en}")


def _can_ask() -> bool:
    """Whether somebody at a terminal can answer; standard input is None where it was closed."""
    return sys.stdin is not None and sys.stdin.isatty()


def _case_number(text: str) -> str:
    try:
        return parse_case_number(text)
    except InvalidRequestError:
        _usage(texts.BAD_CASE_NUMBER)


def _pin(file: str | None) -> str:
    """Read the PIN from a file, the environment or a prompt; others could see an argument."""
    if file is not None:
        try:
            if file != "-":
                text = Path(file).read_text("utf-8")
            elif sys.stdin is None:
                _usage(texts.NO_PIN)
            else:
                text = sys.stdin.readline()
        except FileNotFoundError:
            _usage(texts.NO_FILE.format(file=terminal.clean(file), option="--pin-file"))
        except (OSError, UnicodeDecodeError):
            _usage(texts.BAD_FILE.format(file=terminal.clean(file), option="--pin-file"))
    elif "DISRUPT_PIN" in os.environ:
        text = os.environ["DISRUPT_PIN"]
    elif _can_ask():
        text = click.prompt(str(texts.ASK_PIN), hide_input=True, err=True)
    else:
        _usage(texts.NO_PIN)
    try:
        return parse_pin(text.strip())
    except InvalidRequestError:
        _usage(texts.BAD_PIN)

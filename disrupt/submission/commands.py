"""``disrupt submit``, ``status``, ``withdraw``: for a victim, or the helpline that helps them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click
from click.core import ParameterSource
from rich.console import Console

from disrupt.client import terminal
from disrupt.client.language import in_line
from disrupt.core.cases import AgeBand
from disrupt.errors import DisruptError, InvalidRequestError
from disrupt.submission import requests, showing, texts
from disrupt.submission.ages import AgeChange, AgeRule
from disrupt.submission.arguments import can_ask, read_case_number, read_pin, usage
from disrupt.submission.bilingual import BilingualCommand, EndedError, complain
from disrupt.submission.client import SubmissionClient
from disrupt.submission.language import given_options, speaking
from disrupt.submission.results import Case, Withdrawal
from disrupt.submission.showing import SubmissionPrinter, say
from disrupt.submission.waiting import LoggedWaiting, ShownWaiting
from disrupt.texts import Phrase

_EXIT_CODES = """
\b
Codes de sortie · Exit codes:
  0  tout est fait · all done
  1  échec : service injoignable, refus, affichage impossible, interruption
     failed: server unreachable, refused, nothing can be shown, interrupted
  2  commande mal écrite · the command is used wrongly
"""

_SOME_REJECTED = """  3  fichiers non enregistrés · some files were not registered
"""

_NOT_KNOWN = """  4  on ne sait pas si c'est fait · it is not known whether it is done
"""

_SUBMIT = """Enregistrer des images et des vidéos pour les faire bloquer.

Elles restent sur cet appareil : seules leurs empreintes sont envoyées. Le numéro de dossier et
le code PIN s'affichent avant l'envoi : s'ils ne peuvent pas l'être, rien n'est envoyé. Gardez les
deux : nous ne pouvons pas retrouver le code PIN.
L'âge de la personne visible est demandé pour les nouvelles images ; sans terminal, dites-le par
--age. Une image déjà dans le dossier garde son âge, sauf si --age en dit un autre : le changement
s'affiche avant l'envoi.

Register pictures and videos so that platforms block them. They stay on this device: only their
fingerprints are sent. Case number and PIN are shown before anything is sent: if they cannot be,
nothing is sent. Keep both: we cannot recover the PIN.
The age of the person shown is asked for new pictures; without a terminal, say it by --age. A
picture that is in the case already keeps its age, unless --age says another: the change is shown
before anything is sent.

\b
Exemples · Examples:
  disrupt submit photo.jpg
  disrupt submit --case ABCD-EFGH-JKM autre.png video.mp4

\b
Avec --json · With --json:
  {"case", "pin",
   "items": [{"input", "item", "number", "hashes", "outcome", "state"}],
   "rejected": [{"input", "reason", "message", "quality"}],
   "unknown": ["input"]}
"case" et "pin" d'un nouveau dossier sont écrits avant l'envoi, le reste après ;
null si rien n'a été envoyé. Sans "items" ni "unknown", ce numéro n'ouvre aucun
dossier. Avec --case, le dossier reste tel quel sans "items" ni "unknown", et
"pin" est null tant que rien n'y est ajouté.
"case" and "pin" of a new case are written before anything is sent, the rest
afterwards; null when nothing was sent. Without "items" and "unknown" this
number opens no case. With --case, the case is as it was without "items" and
"unknown", and "pin" is null unless something was added.
"""

_STATUS = """Voir où en est un dossier.

See where a case stands.

\b
Exemple · Example:
  disrupt status ABCD-EFGH-JKM
"""

_KEEP = """Garder un dossier que le service va effacer.

Quelqu'un a dit avoir perdu le code PIN de ce dossier : il est effacé après sept jours ; d'ici là,
ses images restent bloquées. Avec le code PIN, cette commande arrête l'effacement : le dossier est
gardé, et ses images restent bloquées.

Keep a case that the service is about to erase. Somebody said that the PIN of this case is lost: it
is erased after seven days; until then its pictures stay blocked. With the PIN, this command stops
that: the case is kept, and its pictures stay blocked.

\b
Exemple · Example:
  disrupt keep ABCD-EFGH-JKM
"""

_WITHDRAW = """Retirer un dossier, ou certaines de ses images avec --item.

Les empreintes sont effacées : ces images ne seront plus bloquées. Rien n'est retiré qu'après une
question, qui nomme les images, ou avec --yes.

Withdraw a case, or some of its items with --item. The fingerprints are erased: these pictures
will no longer be blocked. Nothing is withdrawn but after a question, which names the pictures, or
with --yes.

\b
Exemples · Examples:
  disrupt withdraw ABCD-EFGH-JKM
  disrupt withdraw ABCD-EFGH-JKM --item 2
"""

_RECEIPT = """Vérifier le reçu d'un retrait, par le code que « disrupt withdraw --receipt » affiche.

Le reçu montre que le retrait est inscrit au registre public du service, et, à partir du lendemain,
que plus aucun fichier ne contient les empreintes. Il ne dit rien du dossier ni des images.

Check the receipt of a withdrawal, by the code that `disrupt withdraw --receipt` has shown. It shows
that the withdrawal is in the audit log of the service and, about a day later, that no file has the
fingerprints any more. It tells nothing of the case or the pictures.

\b
Exemple · Example:
  disrupt receipt 1042-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

_AGES = {"adult": AgeBand.ADULT, "minor": AgeBand.MINOR, "unsure": AgeBand.UNSURE}


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


@click.command(
    "submit",
    cls=BilingualCommand,
    help=_SUBMIT + _EXIT_CODES + _SOME_REJECTED + _NOT_KNOWN,
    unchanged=texts.NOTHING_WAS_REGISTERED,
)
@click.argument("files", metavar="FICHIER...", nargs=-1, required=True)
@click.option(
    "--age",
    type=click.Choice(list(_AGES)),
    help="Âge de la personne visible sur ces images : adulte, mineure, incertain (traité comme "
    "mineure, mais une image déjà dans le dossier garde son âge) ; un même dossier peut avoir des "
    "images d'âges différents · Age of the person shown on these pictures; unsure is treated as "
    "minor, but a picture that is in the case already keeps its age; pictures of one case may "
    "differ in it.",
)
@click.option(
    "--yes",
    is_flag=True,
    help="Changer l'âge d'images déjà dans le dossier sans question · Change the age of pictures "
    "that are in the case already without a question.",
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
@speaking
@_connection
def submit(
    *,
    files: tuple[str, ...],
    age: str | None,
    yes: bool,
    case_number: str | None,
    every_frame: bool,
    pin_file: str | None,
    as_json: bool,
    target: terminal.Target,
) -> None:
    """Register, print, and end with the exit code."""
    number = read_case_number(case_number) if case_number is not None else ""
    _check_age_is_known(age)
    pin = read_pin(pin_file) if number else ""
    progress = terminal.Progress(len(files), in_line(texts.WORKING))
    client = _client(target, progress.aside)

    def ask_age() -> AgeBand:
        if age:
            return AgeBand.UNSURE
        with progress.aside():
            return _ask_age()

    def confirm(changes: Sequence[AgeChange]) -> bool:
        with progress.aside():
            showing.show_age_changes(Console(stderr=True, highlight=False), changes)
            return yes or (can_ask() and _says_yes(texts.CHANGE_AGES))

    with SubmissionPrinter(as_json=as_json, options=_given_options()) as printer:

        def announce(case_number: str, pin: str) -> None:
            with progress.aside():
                printer.announce(case_number, pin)

        try:
            with client:
                client.reach()
                with progress:
                    submission = client.submit(
                        files,
                        age=AgeRule(_AGES[age] if age else AgeBand.UNSURE, ask_age, confirm),
                        case_number=number,
                        pin=pin,
                        every_frame=every_frame,
                        announce=announce,
                        watched=progress.files,
                        within=progress.within,
                    )
                printer.finish(submission)
        except KeyboardInterrupt:
            if not client.may_have_changed:
                raise
            if not printer.is_finished:
                submission = client.so_far()
                printer.finish(submission)
    if submission.unknown:
        click.get_current_context().exit(terminal.EXIT_NOT_KNOWN)
    if submission.rejected:
        click.get_current_context().exit(terminal.EXIT_SOME_REJECTED)


@click.command("status", cls=BilingualCommand, help=_STATUS + _EXIT_CODES)
@_case
@_pin_file
@_json
@speaking
@_connection
def status(
    *, case_number: str, pin_file: str | None, as_json: bool, target: terminal.Target
) -> None:
    """Show a case."""
    number, pin = read_case_number(case_number), read_pin(pin_file)
    with _client(target) as client:
        case = client.case(number, pin)
    with showing.shown(texts.CASE_NOT_SHOWN):
        if as_json:
            terminal.print_json(showing.case_json(case))
            return
        console = terminal.output()
        showing.show_case(console, case, _given_options())
        console.print()
        if case.items:
            number = terminal.clean(case.number)
            showing.show_next(console, number, _given_options(), case.items[0].number)
        showing.say_help(console, (item.age for item in case.items))


@click.command(
    "keep", cls=BilingualCommand, help=_KEEP + _EXIT_CODES, unchanged=texts.CASE_NOT_KEPT
)
@_case
@_pin_file
@_json
@speaking
@_connection
def keep(*, case_number: str, pin_file: str | None, as_json: bool, target: terminal.Target) -> None:
    """Keep a case, and show it."""
    number, pin = read_case_number(case_number), read_pin(pin_file)
    with _client(target) as client:
        case = client.keep(number, pin)
    with showing.shown(texts.CASE_NOT_SHOWN):
        if as_json:
            terminal.print_json(showing.case_json(case))
            return
        console = terminal.output()
        if case.items:
            say(console, texts.KEPT, style="bold green")
        showing.show_case(console, case, _given_options())


@click.command(
    "withdraw",
    cls=BilingualCommand,
    help=_WITHDRAW + _EXIT_CODES + _NOT_KNOWN,
    unchanged=texts.NOTHING_WAS_WITHDRAWN,
    advice={"LIMIT_EXCEEDED": texts.TOO_MANY_TO_WITHDRAW},
)
@_case
@click.option(
    "--item",
    "items",
    multiple=True,
    metavar="IMAGE",
    help="Seulement cette image, par le numéro que montre « disrupt status » ; peut être répété · "
    "Only this item, by the number that `disrupt status` shows; may be repeated.",
)
@click.option(
    "--yes",
    is_flag=True,
    help="Retirer sans question · Withdraw without a question.",
)
@click.option(
    "--receipt",
    is_flag=True,
    help="Afficher le code d'un reçu · Show the code of a receipt.",
)
@_pin_file
@_json
@speaking
@_connection
def withdraw(
    *,
    case_number: str,
    items: tuple[str, ...],
    yes: bool,
    receipt: bool,
    pin_file: str | None,
    as_json: bool,
    target: terminal.Target,
) -> None:
    """Withdraw a case or items of it."""
    number = read_case_number(case_number)
    try:
        for item in items:
            requests.item(item)
    except InvalidRequestError:
        usage(texts.BAD_ITEM)
    if not (yes or can_ask()):
        usage(texts.SAY_YES)
    pin = read_pin(pin_file)
    client = _client(target)
    is_shown = False
    try:
        with client:
            client.reach()
            if not (items or yes):
                _ask_whether_to_withdraw(texts.REALLY_WITHDRAW.format(number=number))
            elif not yes:
                _ask_whether_to_withdraw_items(client.case(number, pin), items)
            withdrawal = client.withdraw(number, pin, items or None)
            _show_withdrawn(withdrawal, whole=not items, receipt=receipt, as_json=as_json)
            is_shown = True
    except (DisruptError, KeyboardInterrupt) as failure:
        if not client.may_have_changed:
            raise
        if not is_shown:
            unknown = texts.WITHDRAWAL_NOT_KNOWN.format(number=number)
            raise EndedError(unknown, terminal.EXIT_NOT_KNOWN) from failure


@click.command(
    "receipt",
    cls=BilingualCommand,
    help=_RECEIPT + _EXIT_CODES,
    advice={"NOT_FOUND": texts.NO_SUCH_RECEIPT},
)
@click.argument("code", metavar="CODE")
@click.option(
    "--save",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Enregistrer le reçu, pour « disrupt audit receipt » · "
    "Save the receipt, for `disrupt audit receipt`.",
)
@_json
@speaking
@_connection
def receipt(*, code: str, save: Path | None, as_json: bool, target: terminal.Target) -> None:
    """Check the receipt of a withdrawal."""
    with _client(target) as client:
        shown = client.receipt(code)
    if save:
        save.write_text(f"{shown.document}\n", encoding="utf-8")
    if as_json:
        of_erasure = {
            "erased_on": shown.erased_on or None,
            "mirrors": shown.mirrors,
            "silent": shown.silent,
        }
        terminal.print_json(of_erasure)
        return
    showing.show_receipt(terminal.output(), shown)


def _ask_whether_to_withdraw_items(case: Case, items: Sequence[str]) -> None:
    """Ask with the items named; not where none of them is in the case, for the service to say.

    Which picture an id that is not shown any more is now is for the service to say, too.
    """
    named = {requests.item(item) for item in items}
    going = [
        item
        for item in case.items
        if named.intersection({item.number, bytes.fromhex(item.item_id)})
    ]
    older = {name for name in named if isinstance(name, bytes)}.difference(
        bytes.fromhex(item.item_id) for item in case.items
    )
    if not (case.items and (going or older)):
        return
    showing.show_items(Console(stderr=True, highlight=False), going, sorted(older))
    is_last = len(going) + len(older) >= len(case.items)
    question = texts.REALLY_WITHDRAW_LAST if is_last else texts.REALLY_WITHDRAW_ITEMS
    _ask_whether_to_withdraw(question.format(number=case.number))


def _show_withdrawn(withdrawal: Withdrawal, *, whole: bool, receipt: bool, as_json: bool) -> None:
    code = withdrawal.receipt_code if receipt else ""
    with showing.shown(texts.WITHDRAWN_NOT_SHOWN):
        if as_json:
            with_code = {"receipt": code or None} if receipt else {}
            terminal.print_json(showing.withdrawal_json(withdrawal) | with_code)
            return
        console = terminal.output()
        if whole:
            say(console, texts.WITHDRAWN, style="bold green")
        else:
            showing.show_withdrawn(console, withdrawal)
        showing.show_case(console, withdrawal.case, _given_options())
        if code:
            showing.show_receipt_code(console, code)
        say(console, texts.COME_BACK)
        showing.say_help(console, (item.age for item in withdrawal.case.items))


def _ask_whether_to_withdraw(question: Phrase) -> None:
    """End the command unless the person says yes."""
    complain(question)
    if not _says_yes(texts.TYPE_YES):
        raise EndedError(texts.NOTHING_WAS_WITHDRAWN, terminal.EXIT_FAILED)


def _says_yes(question: Phrase) -> bool:
    answer: str = click.prompt(in_line(question), err=True)
    return answer.strip().lower() in texts.YES


def _check_age_is_known(age: str | None) -> None:
    """End the command unless the age is said, or somebody can be asked."""
    if not (age or can_ask()):
        usage(texts.SAY_AGE)


def _ask_age() -> AgeBand:
    """Ask until the answer is an age; none is proposed."""
    complain(texts.ASK_AGE)
    while True:
        answer = click.prompt(in_line(texts.TYPE_AGE), err=True).strip().lower()
        if answer in texts.AGE_ANSWERS:
            return texts.AGE_ANSWERS[answer]


def _given_options() -> str:
    """Return the options by which this command reached the service, for the next one to copy."""
    context, options = click.get_current_context(), ""
    for name in ("server", "key_file", "tls_ca"):
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            value = shlex.quote(terminal.clean(str(context.params[name])))
            options += f" --{name.replace('_', '-')} {value}"
    return options + given_options(context)


def _client(
    target: terminal.Target, aside: Callable[[], AbstractContextManager[None]] = nullcontext
) -> SubmissionClient:
    """Make the client of a command, and leave it in the command's context."""
    console = Console(stderr=True, highlight=False)
    client = SubmissionClient(
        target.server,
        key=target.key,
        tls_ca=target.tls_ca,
        waiting=ShownWaiting(console, aside) if console.is_terminal else LoggedWaiting(console),
    )
    click.get_current_context().obj = client
    return client

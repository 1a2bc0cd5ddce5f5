"""``disrupt review erase-case``, ``confirm-erasure``, ``cancel-erasure``: when a PIN is lost."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import click

from disrupt.client import terminal
from disrupt.client.erasures import Days, ErasureClient
from disrupt.client.retries import RetryPolicy
from disrupt.core.cases import parse_case_number
from disrupt.errors import InvalidRequestError

_RETRIES = RetryPolicy(attempts=4)


def _erasing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every command, and pass it a connected client and a case number."""

    @terminal.connection_options()
    @click.option(
        "--case-file",
        type=click.Path(dir_okay=False, allow_dash=True),
        help="File that holds the case number, - for standard input.  [default: ask for it]",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @functools.wraps(command)
    def connected(*, target: terminal.Target, case_file: str | None, as_json: bool) -> None:
        number = _case_number(case_file)
        with ErasureClient(target.server, **target.access(), retries=_RETRIES) as client:
            command(client=client, number=number, as_json=as_json)

    return connected


@click.command("erase-case")
@_erasing
def erase_case(*, client: ErasureClient, number: str, as_json: bool) -> None:
    """Request the erasure of a case whose PIN is lost.

    Nothing happens until another person confirms it with `disrupt review confirm-erasure`, within
    24 hours and with a key of their own. Both calls are in the log of acts, as is every refusal.

    The case number is asked for, or read from --case-file: everybody on the machine would see an
    argument. Before you request it, make sure by the rules of your hotline that you talk to the
    person affected, and not to somebody who wants the case gone.
    """
    erasure = client.request(number)
    if as_json:
        terminal.print_json(erasure)
    elif erasure["confirmed_on"]:
        click.echo(_pending(erasure))
    else:
        click.echo(
            f"Requested on {erasure['requested_on']}. Nothing has changed yet: another person of"
            " staff has to confirm this within 24 hours, with a key of their own: disrupt review"
            " confirm-erasure"
        )


@click.command("confirm-erasure")
@_erasing
def confirm_erasure(*, client: ErasureClient, number: str, as_json: bool) -> None:
    """Confirm the erasure of a case, as the second person.

    All pictures of the case are off within a second, and erased 7 days later. Until then whoever
    has the PIN sees that in `disrupt status`, and stops it with `disrupt keep`; staff stop it with
    `disrupt review cancel-erasure`. Your key must not be that of the person who requested it.
    """
    erasure = client.confirm(number)
    if as_json:
        terminal.print_json(erasure)
    else:
        click.echo(_pending(erasure))


@click.command("cancel-erasure")
@_erasing
def cancel_erasure(*, client: ErasureClient, number: str, as_json: bool) -> None:
    """Cancel the erasure of a case, confirmed or not. One key is enough.

    The pictures have the states from before again within a second. Of a case that is not to be
    erased nothing is changed.
    """
    cancelled = client.cancel(number)
    if as_json:
        terminal.print_json({"cancelled": cancelled})
    elif not cancelled:
        click.echo("No erasure of this case is requested: nothing was changed.")
    else:
        click.echo("This case is not to be erased any more; its items are as before the request.")


COMMANDS = (erase_case, confirm_erasure, cancel_erasure)
"""Commands of ``disrupt review``."""


def _pending(erasure: Days) -> str:
    return (
        f"Confirmed on {erasure['confirmed_on']}: the case is off, and will be erased on"
        f" {erasure['due_on']}. Until then whoever has its PIN can keep it, and staff can cancel:"
        " disrupt review cancel-erasure"
    )


def _case_number(file: str | None) -> str:
    """Read the case number from a file or a prompt. Raises UsageError."""
    try:
        return parse_case_number(_typed(file).strip())
    except InvalidRequestError:
        raise click.UsageError(
            "That is not a case number: a character is missing, extra or mistyped. Ask the person"
            " to read it again."
        ) from None


def _typed(file: str | None) -> str:
    if file is None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise click.UsageError("Name a file with the case number: --case-file FILE, or -.")
        return str(click.prompt("Case number", err=True))
    if file == "-" and sys.stdin is not None:
        return sys.stdin.readline()
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise click.UsageError("The file with the case number cannot be read.") from None

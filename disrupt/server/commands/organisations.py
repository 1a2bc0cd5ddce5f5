"""The operators' command ``disrupt organisations``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from disrupt import logs
from disrupt.admin.v1 import admin_pb2
from disrupt.core.organisations import NO_LIMIT, Kind
from disrupt.server.commands.printing import report, show, table
from disrupt.server.commands.settings import data_dir_option
from disrupt.server.upkeep.administration import administration
from disrupt.wire import admin as wire
from disrupt.wording import Group

_UNLIMITED = "unlimited"
_DEFAULT = "default"
_ANY = "any"

_Command = TypeVar("_Command", bound=Callable[..., Any])

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


class _Rate(click.ParamType[float | str]):
    """A number above 0, ``unlimited``, or ``default``."""

    name = "rate"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        """Return the rate; the word stays where it stands for everybody's."""
        word = str(value).strip().lower()
        if word == _DEFAULT:
            return _DEFAULT
        if word == _UNLIMITED:
            return NO_LIMIT
        try:
            rate = float(word)
        except ValueError:
            rate = math.nan
        if not 0 < rate < math.inf:
            self.fail(f"{value!r} is no number above 0, {_UNLIMITED} or {_DEFAULT}.", param, ctx)
        return rate


def _rate_option(name: str, what: str) -> Callable[[_Command], _Command]:
    return click.option(
        name,
        type=_Rate(),
        metavar=f"N|{_UNLIMITED}|{_DEFAULT}",
        help=f"{what} a second, on average; {_DEFAULT} is what the server's settings say.",
    )


@click.group(cls=Group)
def organisations() -> None:
    """Give organisations quotas and client certificates; with the server running or not.

    An organisation has all keys that name it. Every worker knows of a change within a second.

    \b
    Exit codes: 0 done, 1 refused, 2 wrong usage.

    \b
    Example: disrupt organisations set platform --hashes-per-s 5000 --data-dir data
    """
    logs.configure("organisations", "warning")


@organisations.command(name="set")
@click.argument("name")
@data_dir_option
@_rate_option("--hashes-per-s", "Hashes looked up")
@_rate_option("--pictures-per-s", "Pictures decoded")
@_rate_option("--video-mib-per-s", "MiB of videos decoded")
@click.option(
    "--certificate",
    metavar=f"NAME|{_ANY}",
    help="Name that a client certificate must have to come with its keys, which are refused without"
    f" one; {_ANY}: none is needed.",
)
@_json
def set_command(
    name: str,
    data_dir: Path,
    certificate: str | None,
    *,
    as_json: bool,
    **rates: float | str | None,
) -> None:
    """Change the quotas of the organisation NAME, or the certificate that its keys need.

    What you do not name stays.

    \b
    Example: disrupt organisations set platform --hashes-per-s 5000 --data-dir data
    """
    given = {
        kind: None if isinstance(rate, str) else rate
        for kind in Kind
        if (rate := rates[kind.value]) is not None
    }
    if not given and certificate is None:
        raise click.UsageError(
            "Name what to change: --hashes-per-s, --pictures-per-s, --video-mib-per-s or"
            " --certificate."
        )
    if certificate is not None and not certificate.strip():
        raise click.BadParameter(
            f"it is empty: write a name, or {_ANY}.", param_hint="--certificate"
        )
    needed = "" if certificate == _ANY else certificate
    request = wire.organisation_request(name, given, needed)
    with administration(data_dir) as admin:
        row = _row(admin.set_organisation(request).organisation)
    if as_json:
        report(json.dumps(row))
    else:
        limits = "; ".join(f"{kind.value} {row[kind.value]}" for kind in Kind)
        report(f"Changed {row['name']}: {limits}; certificate {row['certificate'] or _ANY}.")


@organisations.command(name="list")
@data_dir_option
@_json
def list_command(data_dir: Path, *, as_json: bool) -> None:
    """List the organisations that have a key, with their quotas and certificates.

    \b
    Example: disrupt organisations list --data-dir data
    """
    with administration(data_dir) as admin:
        answer = admin.organisations(wire.organisations_request())
    rows = [_row(organisation) for organisation in answer.organisations]
    if as_json:
        show(json.dumps({"organisations": rows}))
        return
    lines = [("organisation", *(kind.value for kind in Kind), "certificate")]
    for row in rows:
        limits = (str(row[kind.value]) for kind in Kind)
        lines.append((row["name"], *limits, row["certificate"] or _ANY))
    show(table(lines))


def _row(organisation: admin_pb2.Organisation) -> dict[str, Any]:
    """Return an organisation as it is printed: a rate as a number or word, which JSON takes."""
    rates = wire.own_rates(organisation.quotas)
    shown: dict[str, Any] = {"name": organisation.name}
    for kind in Kind:
        rate = rates.get(kind)
        shown[kind.value] = _DEFAULT if rate is None else _UNLIMITED if math.isinf(rate) else rate
    return shown | {"certificate": organisation.certificate}

"""The operators' command ``disrupt keys``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from disrupt import logs
from disrupt.admin.v1 import admin_pb2
from disrupt.core.partners import Partner
from disrupt.core.policy import LookupQuota, Right
from disrupt.errors import ConfigurationError, DisruptError
from disrupt.operators.options import FILE, data_dir_option, json_option
from disrupt.operators.printing import echo, report, show
from disrupt.server.desk import Desk, open_desk
from disrupt.server.edge.today import today
from disrupt.services.keys import OVERLAP_DAYS_MAX, QUOTA_MAX
from disrupt.wire import admin as wire

_RIGHTS = [right.name.lower() for right in Right]

_NEVER = "never"

_QUOTA = click.IntRange(0, QUOTA_MAX)
_MOST_HASHES = "Most hashes of them; 0: as many as so many uploads may have."

_secret_file_option = click.option(
    "--secret-file", type=FILE, help="New file for the secret, for you alone to read."
)


def _day(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return a day as messages have it: empty for none. Refuse an empty variable of the shell."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty: write a day as YYYY-MM-DD.")
    return "" if value == _NEVER else value


_expires_option = click.option(
    "--expires",
    "expires_on",
    metavar="YYYY-MM-DD",
    callback=_day,
    help="First day on which it is refused, UTC.  [none]",
)


@click.group()
def keys() -> None:
    """Make, list, change and revoke the keys of callers; with the server running or not.

    Every worker follows within a second.

    \b
    Exit codes: 0 done, 1 refused, 2 wrong usage.

    \b
    Example: disrupt keys create platform --right match --data-dir data
    """
    logs.configure("keys", "warning")


@keys.command()
@click.argument("name")
@data_dir_option
@click.option(
    "--right",
    "rights",
    multiple=True,
    required=True,
    type=click.Choice(_RIGHTS),
    help="What the key allows; repeat for several.",
)
@click.option("--bank", "banks", multiple=True, help="Banks it may search.  [all there are now]")
@click.option("--organisation", default="", help="Organisation that answers for it.  [NAME]")
@_expires_option
@click.option("--distance-bands", is_flag=True, help="Answer it distances in bands.")
@_secret_file_option
@json_option
def create(  # noqa: PLR0913 one for each option
    name: str,
    data_dir: Path,
    rights: tuple[str, ...],
    banks: tuple[str, ...],
    organisation: str,
    expires_on: str | None,
    secret_file: Path | None,
    *,
    distance_bands: bool,
    as_json: bool,
) -> None:
    """Make a key for the holder NAME. Its secret is shown this once.

    Give all keys of one platform the same organisation.

    \b
    Example: disrupt keys create platform --right match --data-dir data
    """
    request = wire.create_request(
        *(name, _granted(rights), banks),
        organisation=organisation,
        expires_on=expires_on or "",
        distance_bands=distance_bands,
    )
    with open_desk(data_dir) as desk, _secret_file(secret_file) as opened:
        created = desk.CreateKey(request)
        with _revoked_if_lost(desk, created.key, secret_file):
            _hand_out(created, opened, {}, as_json=as_json)
    if secret_file is not None:
        report(_made(created.key, {}, f"Its secret is in {secret_file}.", as_json=as_json))


@keys.command()
@click.argument("key_id")
@data_dir_option
@click.option(
    "--overlap-days",
    type=click.IntRange(1, OVERLAP_DAYS_MAX),
    default=7,
    show_default=True,
    help="Days from today, UTC, after which the old key is refused.",
)
@_expires_option
@_secret_file_option
@json_option
def rotate(
    key_id: str,
    data_dir: Path,
    overlap_days: int,
    expires_on: str | None,
    secret_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Make a key that replaces the key KEY_ID. Its secret is shown this once.

    It has the same name, organisation, rights and banks. Both keys work until the overlap ends;
    then the old one is refused.

    \b
    Example: disrupt keys rotate 0a1b2c3d --overlap-days 14 --data-dir data
    """
    request = wire.rotate_request(key_id, overlap_days, expires_on or "")
    with open_desk(data_dir) as desk, _secret_file(secret_file) as opened:
        rotated = desk.RotateKey(request)
        replaced = {"replaced": _row(rotated.replaced)}
        with _revoked_if_lost(desk, rotated.key, secret_file):
            _hand_out(rotated, opened, replaced, as_json=as_json)
    if secret_file is not None:
        report(_made(rotated.key, replaced, f"Its secret is in {secret_file}.", as_json=as_json))


@contextmanager
def _revoked_if_lost(desk: Desk, key: admin_pb2.Key, secret_file: Path | None) -> Iterator[None]:
    """Revoke a new key whose secret cannot be written."""
    try:
        yield
    except OSError as error:
        desk.RevokeKey(wire.revoke_request(key.key_id))
        raise DisruptError(
            f"{secret_file or 'Standard output'} cannot be written: {error.strerror}. The key"
            f" {key.key_id}, whose secret is lost, was revoked. Free space there,"
            " or name another file, then make a new key."
        ) from error


def _hand_out(
    made: admin_pb2.CreateKeyResponse | admin_pb2.RotateKeyResponse,
    opened: int | None,
    more: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """Write the secret of a new key to the opened file; without one, print all. Raises OSError."""
    if opened is not None:
        _write(opened, f"{made.secret}\n".encode())
    elif as_json:
        echo(_made(made.key, more | {"secret": made.secret}, "", as_json=True))
    else:
        secret = f"Its secret, shown this once: {made.secret}"
        echo(_made(made.key, more, secret, as_json=False))


def _made(key: admin_pb2.Key, more: dict[str, Any], secret: str, *, as_json: bool) -> str:
    """Return what is printed of a new key; ``more`` may have the one that it replaces."""
    if as_json:
        return json.dumps(_row(key) | more)
    text = f"Made the key {key.key_id} for {key.name}."
    if key.organisation != key.name:
        text += f" Its organisation is {key.organisation}."
    if key.expires_on:
        text += f" It expires on {key.expires_on}."
    if old := more.get("replaced"):
        text += f"\nThe key {old['key_id']}, which it replaces, expires on {old['expires_on']}."
    return f"{text}\n{secret}"


@keys.command(name="set")
@click.argument("key_id")
@data_dir_option
@click.option(
    "--right",
    "rights",
    multiple=True,
    type=click.Choice(_RIGHTS),
    help="What it allows from now on, instead of all that it did; repeat for several.",
)
@click.option(
    "--bank",
    "banks",
    multiple=True,
    help="Banks it may search from now on, instead of all before; repeat for several.",
)
@click.option(
    "--expires",
    "expires_on",
    metavar=f"YYYY-MM-DD|{_NEVER}",
    callback=_day,
    help="First day on which it is refused, UTC.",
)
@click.option(
    "--distance-bands/--exact-distances",
    default=None,
    help="Answer it distances in bands, or as they are.",
)
@json_option
def set_command(
    key_id: str,
    data_dir: Path,
    rights: tuple[str, ...],
    banks: tuple[str, ...],
    expires_on: str | None,
    *,
    distance_bands: bool | None,
    as_json: bool,
) -> None:
    """Change rights, banks, expiry or distances of the key KEY_ID. What is not named stays.

    The secret stays the same. A key always has a right: to take all away, revoke it.

    \b
    Example: disrupt keys set 0a1b2c3d --bank adults --data-dir data
    """
    if not (rights or banks or expires_on is not None or distance_bands is not None):
        raise click.UsageError(
            "Name what to change: --right, --bank, --expires, --distance-bands or"
            " --exact-distances."
        )
    with open_desk(data_dir) as desk:
        request = wire.change_request(
            key_id, _granted(rights), banks, expires_on, distance_bands=distance_bands
        )
        row = _row(desk.ChangeKey(request).key)
    if as_json:
        report(json.dumps(row))
        return
    end = f"expires on {row['expires_on']}" if row["expires_on"] else "does not expire"
    report(
        f"Changed the key {row['key_id']} of {row['name']}: rights {','.join(row['rights'])}; banks"
        f" {','.join(row['banks'])}; {end}; distances {_distances(row)}."
    )


@keys.command()
@click.argument("organisation")
@data_dir_option
@click.option("--per-minute", type=_QUOTA, required=True, help="Most uploads in a minute; 0: any.")
@click.option("--per-day", type=_QUOTA, required=True, help="Most uploads in a day, UTC; 0: any.")
@click.option("--hashes-per-minute", type=_QUOTA, default=0, help=_MOST_HASHES)
@click.option("--hashes-per-day", type=_QUOTA, default=0, help=_MOST_HASHES)
def quota(organisation: str, data_dir: Path, **limits: int) -> None:
    """Set how much all keys of ORGANISATION may look up together.

    A picture or video counts as one upload, wherever it is hashed. Hashes without a word of how
    many uploads they are of count as an upload each.

    \b
    Example: disrupt keys quota platform --per-minute 6000 --per-day 0 --data-dir data
    """
    with open_desk(data_dir) as desk:
        desk.SetQuota(wire.quota_request(LookupQuota(organisation, **limits)))
    report(f"Set the quota of {organisation}: {_limits(**limits)}.")


@keys.command()
@click.argument("organisation")
@data_dir_option
@click.option("--name", default="", help="Name that people know it by.")
@click.option("--report-url", metavar="URL", default="", help="Where people report to it, https.")
@click.option("--remove", is_flag=True, help="Name it no more.")
def partner(organisation: str, data_dir: Path, name: str, report_url: str, *, remove: bool) -> None:
    """Name ORGANISATION to people affected, as a partner platform, where they can report too.

    Ask it before. The page lists it while it has a valid key of right `match`.

    \b
    Example: disrupt keys partner platform --name Exemple --report-url https://example.org \\
      --data-dir data
    """
    name, report_url = name.strip(), report_url.strip()
    if [bool(name), bool(report_url)] != [not remove, not remove]:
        raise click.UsageError("Give --name and --report-url, or --remove alone.")
    with open_desk(data_dir) as desk:
        desk.SetPartner(wire.partner_request(Partner(organisation, name, report_url)))
    if remove:
        report(f"{organisation} is named no more.")
    else:
        report(f"{organisation} is named {name}, with {report_url}, while it has a valid key.")


def _limits(
    per_minute: int, per_day: int, hashes_per_minute: int = 0, hashes_per_day: int = 0
) -> str:
    limits = {
        "uploads a minute": per_minute,
        "uploads a day": per_day,
        "hashes a minute": hashes_per_minute,
        "hashes a day": hashes_per_day,
    }
    return ", ".join(f"{most} {of}" for of, most in limits.items() if most) or "none"


def _granted(rights: tuple[str, ...]) -> tuple[Right, ...]:
    return tuple(Right[right.upper()] for right in rights)


@keys.command(name="list")
@data_dir_option
@json_option
def list_command(data_dir: Path, *, as_json: bool) -> None:
    """List all keys, oldest first, also those that have ended, quotas and partner platforms.

    \b
    Example: disrupt keys list --data-dir data
    """
    with open_desk(data_dir) as desk:
        listed = desk.ListKeys(admin_pb2.ListKeysRequest())
    rows = [_row(key) for key in listed.keys]
    limits = {
        quota.organisation: {
            "per_minute": quota.per_minute,
            "per_day": quota.per_day,
            "hashes_per_minute": quota.hashes_per_minute,
            "hashes_per_day": quota.hashes_per_day,
        }
        for quota in listed.quotas
    }
    partners = {
        partner.organisation: {"name": partner.name, "report_url": partner.report_url}
        for partner in listed.partners
    }
    if as_json:
        show(json.dumps({"keys": rows, "quotas": limits, "partners": partners}))
        return
    lines = [("key", "state", "used", "rights", "banks", "distances", "organisation", "name")]
    day = today()
    for row in rows:
        rights, banks = ",".join(row["rights"]), ",".join(row["banks"])
        used = row["last_used_on"] or _NEVER
        key_id, state = row["key_id"], _state(row, day)
        holder = row["organisation"], row["name"]
        lines.append((key_id, state, used, rights, banks, _distances(row), *holder))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([*map(str.ljust, line, widths)] for line in lines)
    quotas = (f"Quota of {name}: {_limits(**limit)}." for name, limit in limits.items())
    named = (
        f"{partner.organisation} is named {partner.name}, with {partner.report_url}."
        for partner in listed.partners
    )
    show("\n".join(["  ".join(cells).rstrip() for cells in padded] + [*quotas, *named]))


def _distances(row: dict[str, Any]) -> str:
    return "banded" if row["distance_bands"] else "exact"


def _state(row: dict[str, Any], day: str) -> str:
    if row["revoked_on"]:
        return f"revoked {row['revoked_on']}"
    if not row["expires_on"]:
        return "valid"
    return f"{'expired' if row['expires_on'] <= day else 'expires'} {row['expires_on']}"


@keys.command()
@click.argument("key_id")
@data_dir_option
@json_option
def revoke(key_id: str, data_dir: Path, *, as_json: bool) -> None:
    """Revoke the key KEY_ID; within a second it is refused everywhere. Safe to repeat.

    \b
    Example: disrupt keys revoke 0a1b2c3d --data-dir data
    """
    with open_desk(data_dir) as desk:
        key = desk.RevokeKey(wire.revoke_request(key_id)).key
    if as_json:
        report(json.dumps(_row(key)))
    else:
        report(f"Revoked the key {key.key_id} of {key.name}.")


def _row(key: admin_pb2.Key) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "rights": [Right(right).name.lower() for right in key.rights],
        "banks": list(key.banks),
        "created_on": key.created_on,
        "revoked_on": key.revoked_on,
        "organisation": key.organisation,
        "expires_on": key.expires_on,
        "last_used_on": key.last_used_on,
        "distance_bands": key.distance_bands,
    }


@contextmanager
def _secret_file(file: Path | None) -> Iterator[int | None]:
    """Open a new file for a secret before there is a key; delete it if making the key fails."""
    if file is None:
        yield None
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigurationError(
            f"{file} exists already, and may hold a secret. Name a new file."
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}.") from error
    try:
        yield descriptor
    except BaseException:
        file.unlink()
        raise
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    """Write durably; OSError where not all of it can be written."""
    while content:
        content = content[os.write(descriptor, content) :]
    os.fsync(descriptor)

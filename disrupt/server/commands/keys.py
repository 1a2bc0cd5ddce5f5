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
from disrupt.core.policy import Right
from disrupt.errors import ConfigurationError, DisruptError
from disrupt.server.commands.printing import echo, report, show, table
from disrupt.server.commands.settings import FILE, data_dir_option
from disrupt.server.days import today
from disrupt.server.upkeep.administration import Administration, administration
from disrupt.services.keys import OVERLAP_DAYS_MAX
from disrupt.wire import admin as wire
from disrupt.wording import Group

_RIGHTS = [right.name.lower() for right in Right]

_NEVER = "never"


def _given_day(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty day: a variable of the shell that is not set must not remove a last day."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty: write a day as YYYY-MM-DD.")
    return value


def _given_name(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty name: a variable of the shell that is not set must not change nothing."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty: write the name of an organisation.")
    return value


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_secret_option = click.option(
    "--secret-file", type=FILE, help="New file for the secret, for you alone to read."
)
_last_day_option = click.option(
    "--expires-on",
    metavar=f"YYYY-MM-DD|{_NEVER}",
    callback=_given_day,
    help="Last day on which the new key is valid, UTC.  [no end]",
)


@click.group(cls=Group)
def keys() -> None:
    """Make, list, change and revoke the keys of callers; with the server running or not.

    Every worker knows of a change within a second.

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
@_last_day_option
@_secret_option
@_json
def create(
    name: str,
    data_dir: Path,
    rights: tuple[str, ...],
    banks: tuple[str, ...],
    organisation: str,
    expires_on: str | None,
    secret_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Make a key for the holder NAME. Its secret is shown this once.

    Give all keys of one platform the same organisation.

    \b
    Example: disrupt keys create platform --right match --data-dir data
    """
    request = wire.create_request(
        name,
        _named(rights),
        banks,
        organisation=organisation,
        expires_on=_last_day(expires_on) or "",
    )
    with administration(data_dir) as admin, _secret_file(secret_file) as opened:
        created = admin.create(request)
        row = _row(created.key)
        text = _made(created.key)
        with _revoked_if_lost(admin, created.key, secret_file, "then make a new key."):
            _hand_out(created.secret, opened, row, text, as_json=as_json)
    _tell_file(secret_file, row, text, as_json=as_json)


@keys.command()
@click.argument("key_id")
@data_dir_option
@click.option(
    "--overlap-days",
    type=click.IntRange(0, OVERLAP_DAYS_MAX),
    default=7,
    show_default=True,
    help="Days from today for which the old key still works; 0 is until the end of today, UTC.",
)
@click.option(
    "--expires-on",
    metavar=f"YYYY-MM-DD|{_NEVER}",
    callback=_given_day,
    help="Last day on which the new key is valid, UTC.  [no end, if the old key has none]",
)
@_secret_option
@_json
def rotate(
    key_id: str,
    data_dir: Path,
    overlap_days: int,
    expires_on: str | None,
    secret_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Make a key that replaces the key KEY_ID.

    The new key has the same name, organisation, rights and banks. Its secret is shown this once.
    Both work during the overlap; then the old one is refused.

    \b
    Example: disrupt keys rotate 0a1b2c3d --overlap-days 14 --data-dir data
    """
    request = wire.rotate_request(key_id, overlap_days, _last_day(expires_on))
    with administration(data_dir) as admin, _secret_file(secret_file) as opened:
        rotated = admin.rotate(request)
        new, old = rotated.key, rotated.replaced
        text = (
            f"{_made(new)}\nThe last day of the key {old.key_id}, which it replaces, is"
            f" {old.expires_on}."
        )
        row = _row(new) | {"replaced": _row(old)}
        then = (
            f"then rotate again, with --expires-on. The key {old.key_id} ends on {old.expires_on}"
            " all the same, unless you change that with `disrupt keys set --expires-on`."
        )
        with _revoked_if_lost(admin, new, secret_file, then):
            _hand_out(rotated.secret, opened, row, text, as_json=as_json)
    _tell_file(secret_file, row, text, as_json=as_json)


@contextmanager
def _revoked_if_lost(
    admin: Administration, key: admin_pb2.Key, secret_file: Path | None, then: str
) -> Iterator[None]:
    """Revoke a new key if its secret cannot be written, and say what to do ``then``."""
    try:
        yield
    except OSError as error:
        admin.revoke(wire.revoke_request(key.key_id))
        raise DisruptError(
            f"{secret_file or 'Standard output'} cannot be written: {error.strerror}. The key"
            f" {key.key_id}, whose secret is lost, was revoked. Free space there, or name another"
            f" file, {then}"
        ) from error


def _made(key: admin_pb2.Key) -> str:
    text = f"Made the key {key.key_id} for {key.name}, of the organisation {key.organisation}."
    return f"{text} It is valid up to and including {key.expires_on}." if key.expires_on else text


def _hand_out(
    secret: str, opened: int | None, row: dict[str, Any], text: str, *, as_json: bool
) -> None:
    """Write the secret of a new key to the opened file; without one, print all. Raises OSError."""
    if opened is not None:
        _write(opened, f"{secret}\n".encode())
    elif as_json:
        echo(json.dumps(row | {"secret": secret}))
    else:
        echo(f"{text}\nIts secret, shown this once: {secret}")


def _tell_file(secret_file: Path | None, row: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print what was done, once the secret is in a file."""
    if secret_file is not None:
        report(json.dumps(row) if as_json else f"{text}\nIts secret is in {secret_file}.")


@keys.command(name="set")
@click.argument("key_id")
@data_dir_option
@click.option(
    "--right",
    "rights",
    multiple=True,
    type=click.Choice(_RIGHTS),
    help="What the key allows from now on, instead of all it allowed; repeat for several.",
)
@click.option(
    "--bank",
    "banks",
    multiple=True,
    help="Banks it may search from now on, instead of all it might; repeat for several.",
)
@click.option(
    "--expires-on",
    metavar=f"YYYY-MM-DD|{_NEVER}",
    callback=_given_day,
    help="Last day on which it is valid, UTC.",
)
@click.option("--organisation", callback=_given_name, help="Organisation that answers for it.")
@_json
def set_command(
    key_id: str,
    data_dir: Path,
    rights: tuple[str, ...],
    banks: tuple[str, ...],
    expires_on: str | None,
    organisation: str | None,
    *,
    as_json: bool,
) -> None:
    """Change the rights, the banks, the last day or the organisation of the key KEY_ID.

    What you do not name stays. Its holder need not do anything: the secret is the same. A revoked
    key stays revoked.

    \b
    Example: disrupt keys set 0a1b2c3d --bank adults --data-dir data
    """
    if not (rights or banks or expires_on is not None or organisation is not None):
        raise click.UsageError(
            "Name what to change: --right, --bank, --expires-on or --organisation."
        )
    request = wire.set_request(
        key_id, _named(rights), banks, _last_day(expires_on), organisation or ""
    )
    with administration(data_dir) as admin:
        key = admin.change(request).key
    row = _row(key)
    if as_json:
        report(json.dumps(row))
    else:
        end = f"valid up to and including {key.expires_on}" if key.expires_on else "without end"
        report(
            f"Changed the key {key.key_id} of {key.name}: organisation {key.organisation}; rights"
            f" {','.join(row['rights'])}; banks {','.join(row['banks'])}; {end}."
        )


def _last_day(expires_on: str | None) -> str | None:
    """Return the last day as the message has it: empty for none, None where it is not given."""
    return "" if expires_on == _NEVER else expires_on


def _named(rights: tuple[str, ...]) -> tuple[Right, ...]:
    return tuple(Right[right.upper()] for right in rights)


@keys.command(name="list")
@data_dir_option
@_json
def list_command(data_dir: Path, *, as_json: bool) -> None:
    """List all keys, oldest first, also those that ended.

    It shows the last day on which each was used, up to a second ago.

    \b
    Example: disrupt keys list --data-dir data
    """
    with administration(data_dir) as admin:
        rows = [_row(key) for key in admin.list(wire.list_request()).keys]
    if as_json:
        show(json.dumps({"keys": rows}))
        return
    lines = [("key", "state", "used", "rights", "banks", "organisation", "name")]
    day = today()
    for row in rows:
        rights, banks = ",".join(row["rights"]), ",".join(row["banks"])
        used = row["used_on"] or _NEVER
        state = _state(row, day)
        lines.append((row["key_id"], state, used, rights, banks, row["organisation"], row["name"]))
    show(table(lines))


@keys.command()
@click.argument("key_id")
@data_dir_option
@_json
def revoke(key_id: str, data_dir: Path, *, as_json: bool) -> None:
    """Revoke the key KEY_ID; within a second it is refused everywhere. Safe to repeat.

    \b
    Example: disrupt keys revoke 0a1b2c3d --data-dir data
    """
    with administration(data_dir) as admin:
        key = admin.revoke(wire.revoke_request(key_id)).key
    if as_json:
        report(json.dumps(_row(key)))
    else:
        report(f"Revoked the key {key.key_id} of {key.name}.")


def _state(row: dict[str, Any], day: str) -> str:
    if row["revoked_on"]:
        return f"revoked {row['revoked_on']}"
    if not row["expires_on"]:
        return "valid"
    return f"{'expired' if row['expires_on'] < day else 'until'} {row['expires_on']}"


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
        "used_on": key.used_on,
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

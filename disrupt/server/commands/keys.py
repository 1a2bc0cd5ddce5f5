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
from disrupt.server.admin import open_admin
from disrupt.server.commands.printing import echo, json_option, report, show
from disrupt.server.commands.serve import FILE, data_dir_option
from disrupt.wire import admin as wire

_RIGHTS = [right.name.lower() for right in Right]


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of callers; with the server running or not.

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
@click.option("--secret-file", type=FILE, help="New file for the secret, for you alone to read.")
@json_option
def create(
    name: str,
    data_dir: Path,
    rights: tuple[str, ...],
    banks: tuple[str, ...],
    secret_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Make a key for the holder NAME. Its secret is shown this once.

    \b
    Example: disrupt keys create platform --right match --data-dir data
    """
    granted = tuple(Right[right.upper()] for right in rights)
    with open_admin(data_dir) as admin, _secret_file(secret_file) as opened:
        created = admin.create(wire.create_request(name, granted, banks))
        try:
            if opened is not None:
                _write(opened, f"{created.secret}\n".encode())
            else:
                _show(created, {"secret": created.secret}, as_json=as_json)
        except OSError as error:
            admin.revoke(wire.revoke_request(created.key.key_id))
            raise DisruptError(
                f"{secret_file or 'Standard output'} cannot be written: {error.strerror}. The key"
                f" {created.key.key_id}, whose secret is lost, was revoked. Free space there,"
                " or name another file, then make a new key."
            ) from error
    if opened is not None:
        _show(created, {}, as_json=as_json)
        if not as_json:
            click.echo(f"Its secret is in {secret_file}.")


def _show(created: admin_pb2.CreateKeyResponse, secret: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        text = json.dumps(_row(created.key) | secret)
    else:
        text = f"Made the key {created.key.key_id} for {created.key.name}."
        if secret:
            text += f"\nIts secret, shown this once: {created.secret}"
    echo(text)


@keys.command(name="list")
@data_dir_option
@json_option
def list_command(data_dir: Path, *, as_json: bool) -> None:
    """List all keys, oldest first, revoked ones too.

    \b
    Example: disrupt keys list --data-dir data
    """
    with open_admin(data_dir) as admin:
        rows = [_row(key) for key in admin.list().keys]
    if as_json:
        show(json.dumps({"keys": rows}))
        return
    lines = [("key", "state", "rights", "banks", "name")]
    for row in rows:
        state = f"revoked {row['revoked_on']}" if row["revoked_on"] else "valid"
        rights, banks = ",".join(row["rights"]), ",".join(row["banks"])
        lines.append((row["key_id"], state, rights, banks, row["name"]))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([*map(str.ljust, line, widths)] for line in lines)
    show("\n".join("  ".join(cells).rstrip() for cells in padded))


@keys.command()
@click.argument("key_id")
@data_dir_option
@json_option
def revoke(key_id: str, data_dir: Path, *, as_json: bool) -> None:
    """Revoke the key KEY_ID; within a second it is refused everywhere. Safe to repeat.

    \b
    Example: disrupt keys revoke 0a1b2c3d --data-dir data
    """
    with open_admin(data_dir) as admin:
        key = admin.revoke(wire.revoke_request(key_id)).key
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

"""Check the private keys of TLS that the settings name."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

from disrupt import ownership
from disrupt.doctor.findings import Check, Finding, fail, ok
from disrupt.errors import ConfigurationError

_SETTINGS = ("tls_key", "internal_key")
_ADVICE = "Name the settings of the server, as its own user."


def checks(config: Path | None, tls_key: Path | None) -> tuple[Check, ...]:
    """Return the check of the keys that a settings file names, and of ``tls_key`` in its place."""
    if config is None and tls_key is None:
        return ()
    return (Check("TLS keys", lambda: private_keys(config, tls_key), _ADVICE),)


def private_keys(config: Path | None, tls_key: Path | None) -> Iterator[Finding]:
    """Check that nobody but its owner can read a key, or the group of one that is root's.

    Whoever has the key can answer in the server's name, and as another machine of its fleet.
    """
    named = {} if config is None else _settings(config)
    if tls_key is not None:
        named["tls_key"] = tls_key
    files = [Path(str(named[name])) for name in _SETTINGS if named.get(name)]
    for file in files:
        status = file.stat()
        allowed = 0o740 if status.st_uid == 0 else 0o700
        mode = stat.S_IMODE(status.st_mode)
        if mode & ~allowed:
            yield fail(
                f"Other users may read or change the private key {file}, of"
                f" {ownership.user(status.st_uid)} and mode {mode:04o}.",
                f"chmod 600 {file}; if others use this machine, renew the certificate with a new"
                " key.",
            )
        else:
            yield ok(f"Other users cannot read the private key {file}.")
    if not files:
        yield ok("The settings name none.")


def _settings(config: Path) -> dict[str, object]:
    try:
        return tomllib.loads(config.read_text("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"The file {config} cannot be read: {error}") from error

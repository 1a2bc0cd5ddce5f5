"""Options to reach the server, and output of untrusted text, for all commands."""

from __future__ import annotations

import errno
import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypedDict, TypeVar

import click
import rich.progress
from rich.console import Console

from disrupt.client.connection import DEFAULT_SERVER
from disrupt.errors import ConfigurationError, DisruptError

_FILE = click.Path(dir_okay=False, path_type=Path)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_SOME_REJECTED = 3
EXIT_NOT_KNOWN = 4

_Item = TypeVar("_Item")


class Access(TypedDict):
    """Credentials of a client; keyword arguments of every client."""

    key: str
    tls_ca: Path | None
    client_cert: Path | None
    client_key: Path | None


@dataclass(frozen=True, slots=True)
class Target:
    """The server that a command talks to."""

    server: str
    key: str = field(repr=False)
    tls_ca: Path | None
    client_cert: Path | None = None
    client_key: Path | None = None

    def access(self) -> Access:
        """Return what to show the server, as arguments of a client."""
        return Access(
            key=self.key,
            tls_ca=self.tls_ca,
            client_cert=self.client_cert,
            client_key=self.client_key,
        )


SERVER = "Server to ask, HOST:PORT. TLS is used beyond this machine."
KEY_FILE = "File that holds the key.  [default: the environment variable DISRUPT_KEY]"
TLS_CA = "PEM file of the authorities to trust.  [default: the system's]"
NO_KEY = "There is no key: name a file with --key-file, or set DISRUPT_KEY."
NO_FILE = "There is no file {file}, which {option} names."
BAD_FILE = "The file {file}, which {option} names, is empty or cannot be read."
CLIENT_CERT = "Client certificate, PEM, where the server asks for one."
CLIENT_KEY = "Its private key, PEM."


def client_certificate_options(
    client_cert: str = CLIENT_CERT, client_key: str = CLIENT_KEY
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add ``--client-cert`` and ``--client-key`` with these texts."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        names = (("CERT", "cert", client_cert), ("KEY", "key", client_key))
        for variable, name, text in reversed(names):
            command = click.option(
                f"--client-{name}",
                envvar=f"DISRUPT_CLIENT_{variable}",
                show_envvar=True,
                type=_FILE,
                help=text,
            )(command)
        return command

    return decorate


def connection_options(
    *,
    server: str = SERVER,
    key_file: str = KEY_FILE,
    tls_ca: str = TLS_CA,
    no_key: str = NO_KEY,
    no_file: str = NO_FILE,
    bad_file: str = BAD_FILE,
    client_cert: str = CLIENT_CERT,
    client_key: str = CLIENT_KEY,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options that name a server and what to show it, with these texts, as one ``target``.

    ``no_file`` and ``bad_file`` have the fields ``file`` and ``option``.

    The key is never an argument: the process list would show it to everybody on the machine.
    """
    certificate_text, key_text = client_cert, client_key

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            "--server",
            envvar="DISRUPT_SERVER",
            default=DEFAULT_SERVER,
            show_default=True,
            show_envvar=True,
            help=server,
        )
        @click.option("--key-file", type=_FILE, help=key_file)
        @click.option("--tls-ca", type=_FILE, help=tls_ca)
        @client_certificate_options(certificate_text, key_text)
        @functools.wraps(command)
        def with_target(
            *args: object,
            server: str,
            key_file: Path | None,
            tls_ca: Path | None,
            client_cert: Path | None,
            client_key: Path | None,
            **options: object,
        ) -> None:
            key = _key(key_file, no_key, no_file, bad_file)
            target = Target(server, key, tls_ca, client_cert, client_key)
            command(*args, target=target, **options)

        return with_target

    return decorate


def clean(text: str) -> str:
    """Escape what is not printable in text of unknown origin, for a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def exit_code(error: DisruptError) -> int:
    """Return the exit code of a command that ends with this error."""
    return EXIT_USAGE if isinstance(error, ConfigurationError) else EXIT_FAILED


class _Console(Console):
    """Console that raises BrokenPipeError where nobody reads on, instead of ending the process."""

    def on_broken_pipe(self) -> None:
        """Raise what the base class would swallow."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def output() -> Console:
    """Return a console of standard output, which breaks no lines where no terminal reads them."""
    return _Console(highlight=False, width=None if sys.stdout.isatty() else 240)


def print_json(value: object) -> None:
    """Print a value as one line of JSON."""
    click.echo(json.dumps(value))


class Progress:
    """A progress bar on standard error, for several files or for a video.

    A context; the bar is hidden where no terminal shows it.
    """

    def __init__(self, count: int, description: str) -> None:
        self._several = count > 1
        self._done = 0
        self._bar = rich.progress.Progress(console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(description, total=count)

    def __enter__(self) -> Self:
        if self._several:
            self._show()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar.live.is_started:  # else stopping it ends a line that was never begun
            self._bar.stop()

    def files(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield the items; each counts as done when the next one is taken."""
        for item in items:
            yield item
            self._done += 1
            self._bar.update(self._task, completed=self._done)

    def within(self, time_ms: int, duration_ms: int) -> None:
        """Show how far a video is."""
        self._show()
        share = min(time_ms / duration_ms, 1) if duration_ms else 0
        self._bar.update(self._task, completed=self._done + share)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar from the terminal while something else is shown there."""
        was_shown = self._bar.live.is_started
        if was_shown:
            self._bar.stop()
        yield
        if was_shown:
            self._bar.start()

    def _show(self) -> None:
        if self._bar.console.is_terminal:
            self._bar.start()


def _key(file: Path | None, no_key: str, no_file: str, bad_file: str) -> str:
    """Read the key from a file or, without one, the environment. Raises UsageError."""
    if file is None:
        key, otherwise = os.environ.get("DISRUPT_KEY", ""), no_key
    else:
        key, otherwise = "", bad_file
        try:
            key = file.read_text("utf-8-sig")  # some editors begin a file with a mark
        except FileNotFoundError:
            otherwise = no_file
        except (OSError, UnicodeDecodeError):
            pass
    if not key.strip():
        raise click.UsageError(otherwise.format(file=clean(str(file)), option="--key-file"))
    return key.strip()

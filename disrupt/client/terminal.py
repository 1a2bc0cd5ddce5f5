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
from typing import TYPE_CHECKING, Self, TypeVar

import click

from disrupt.client.connection import DEFAULT_SERVER
from disrupt.errors import ConfigurationError, DisruptError

if TYPE_CHECKING:
    import rich.progress
    from rich.console import Console

_FILE = click.Path(dir_okay=False, path_type=Path)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_SOME_REJECTED = 3
EXIT_NOT_KNOWN = 4

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Target:
    """The server that a command talks to."""

    server: str
    key: str = field(repr=False)
    tls_ca: Path | None


def connection_options(
    *,
    server: str = "Server to ask, HOST:PORT; several between commas. TLS beyond this machine.",
    key_file: str = "File that holds the key.  [default: the environment variable DISRUPT_KEY]",
    tls_ca: str = "PEM file of the authorities to trust.  [default: the system's]",
    no_key: str | None = "There is no key, or its file cannot be read: name a file with --key-file,"
    " or set DISRUPT_KEY.",
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add ``--server``, ``--key-file`` and ``--tls-ca`` with these texts, as one ``target``.

    Without a key the command says ``no_key``; where that is None it runs, with an empty key. The
    key is never an argument: the process list would show it to everybody on the machine.
    """

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
        @functools.wraps(command)
        def with_target(
            *args: object,
            server: str,
            key_file: Path | None,
            tls_ca: Path | None,
            **options: object,
        ) -> None:
            command(*args, target=Target(server, _key(key_file, no_key), tls_ca), **options)

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


def output() -> Console:
    """Return a console of standard output, which breaks no lines where no terminal reads them."""
    from rich.console import Console

    class _Console(Console):
        def on_broken_pipe(self) -> None:
            """Raise, instead of ending the process as the base class does."""
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    return _Console(highlight=False, width=None if sys.stdout.isatty() else 240)


def print_json(value: object) -> None:
    """Print a value as one line of JSON."""
    click.echo(json.dumps(value))


class Progress:
    """A progress bar on standard error, for several files or for a video.

    A context; the bar is hidden where no terminal shows it.
    """

    def __init__(self, count: int, description: str) -> None:
        self._count = count
        self._description = description
        self._done: float = 0
        self._bar: rich.progress.Progress | None = None

    def __enter__(self) -> Self:
        if self._count > 1:
            self._show()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def files(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield the items; each counts as done when the next one is taken."""
        for done, item in enumerate(items, 1):
            yield item
            self._move(done)

    def within(self, time_ms: int, duration_ms: int) -> None:
        """Show how much of a video is done; ``duration_ms`` is 0 where it is not known."""
        self._show()
        share = min(time_ms / duration_ms, 1) if duration_ms else 0
        self._move(int(self._done) + share)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar from the terminal while something else is shown there."""
        if self._bar:
            self._bar.stop()
        yield
        if self._bar:
            self._bar.start()

    def _move(self, done: float) -> None:
        self._done = done
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=done)

    def _show(self) -> None:
        if self._bar or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import Progress as Bar

        self._bar = Bar(console=Console(stderr=True), transient=True)
        self._bar.add_task(self._description, total=self._count)
        self._bar.start()
        self._move(self._done)


def _key(file: Path | None, no_key: str | None) -> str:
    if file is None:
        key = os.environ.get("DISRUPT_KEY", "")
    else:
        try:
            key = file.read_text("utf-8-sig")  # some editors begin a file with a mark
        except (OSError, UnicodeDecodeError):
            key = ""
    if no_key is not None and not key.strip():
        raise click.UsageError(no_key)
    return key.strip()

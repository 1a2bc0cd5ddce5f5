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
from typing import Self, TypeVar

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


@dataclass(frozen=True, slots=True)
class Target:
    """The server that a command talks to."""

    server: str
    key: str = field(repr=False)
    tls_ca: Path | None


def connection_options(
    *, server: str, key_file: str, tls_ca: str, no_key: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add ``--server``, ``--key-file`` and ``--tls-ca`` with these texts, as one ``target``.

    The key is never an argument: the process list would show it to everybody on the machine.
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


def _key(file: Path | None, no_key: str) -> str:
    if file is None:
        key = os.environ.get("DISRUPT_KEY", "")
    else:
        try:
            key = file.read_text("utf-8-sig")  # some editors begin a file with a mark
        except (OSError, UnicodeDecodeError):
            key = ""
    if not key.strip():
        raise click.UsageError(no_key)
    return key.strip()

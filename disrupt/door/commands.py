"""The platforms' command ``disrupt door``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import click
import uvicorn
import uvloop

from disrupt import http_server, logs
from disrupt.client import terminal
from disrupt.client.retries import RetryPolicy
from disrupt.door.application import Tokens, application
from disrupt.door.connections import Quick
from disrupt.door.fetching import Fetcher
from disrupt.door.grpc_service import MatchServicer, grpc_server
from disrupt.door.hotline import Hotline
from disrupt.door.matching import Matching
from disrupt.door.metrics import Metrics
from disrupt.door.outcomes import Outcomes
from disrupt.door.policy import Policy
from disrupt.door.uploads import Uploads
from disrupt.errors import ConfigurationError
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_TOKEN_CHARACTERS_MIN = 16
_QUEUED = 64
_STOP_S = 30.0
_GROUP = 0o660
"""Mode of sockets: their owner and group reach them."""


@dataclass(frozen=True)
class Settings:
    """Settings of a door: options of the command, and its policy."""

    listen: str
    tls: dict[str, Path | None]
    grpc_listen: str
    tokens: Tokens | None
    policy: Policy
    state_dir: Path | None
    workers: int
    target: terminal.Target


@click.command("door")
@click.option(
    "--listen",
    envvar="DISRUPT_DOOR_LISTEN",
    show_envvar=True,
    default="127.0.0.1:8081",
    show_default=True,
    help="HOST:PORT for HTTP, or unix:PATH.",
)
@click.option(
    "--tls-cert",
    envvar="DISRUPT_DOOR_TLS_CERT",
    show_envvar=True,
    type=_FILE,
    help="Certificate chain for HTTP, PEM; needed beyond loopback.",
)
@click.option(
    "--tls-key",
    envvar="DISRUPT_DOOR_TLS_KEY",
    show_envvar=True,
    type=_FILE,
    help="Its private key, PEM.",
)
@click.option(
    "--grpc-listen",
    envvar="DISRUPT_DOOR_GRPC_LISTEN",
    show_envvar=True,
    default="",
    help="HOST:PORT for MatchService over gRPC, on loopback, or unix:PATH.  [default: none]",
)
@click.option(
    "--token-file",
    envvar="DISRUPT_DOOR_TOKEN_FILE",
    show_envvar=True,
    type=_FILE,
    help="File of the tokens of the door's own callers, one on each line. Not needed on sockets.",
)
@click.option(
    "--policy",
    "policy_file",
    envvar="DISRUPT_DOOR_POLICY",
    show_envvar=True,
    type=_FILE,
    help="TOML file: what becomes of uploads.  [default: refuse whole, hold other matches]",
)
@click.option(
    "--state-dir",
    envvar="DISRUPT_DOOR_STATE_DIR",
    show_envvar=True,
    type=_FOLDER,
    help="Folder for outcomes that wait for the hotline.  [default: blocked uploads are not told]",
)
@click.option(
    "--workers",
    envvar="DISRUPT_DOOR_WORKERS",
    show_envvar=True,
    type=click.IntRange(1, 64),
    default=max(1, (os.cpu_count() or 1) - 1),
    show_default="cores, less one",
    help="Processes that decode and hash pictures.",
)
@terminal.connection_options(
    server="HOST:PORT of the hotline's server.",
    key_file="File of the platform's key, of right `match`.  [DISRUPT_KEY]",
    tls_ca="PEM file of the authorities to trust, instead of the system's.",
)
def door(  # noqa: PLR0913 one for each option
    *,
    listen: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    grpc_listen: str,
    token_file: Path | None,
    policy_file: Path | None,
    state_dir: Path | None,
    workers: int,
    target: terminal.Target,
) -> None:
    """Serve beside a platform's uploads, until SIGTERM or Ctrl-C: hash here, send hashes alone.

    Clients of Hasher-Matcher-Actioner, upload hooks of pict-rs and Matrix, and programs in any
    language use it as they are. Uploads stay in memory and are forgotten. Prints `The door is ready
    on URL` once it answers; logs go to standard error.

    \b
    Exit codes: 0 stopped when told to, 1 could not run, 2 wrong usage or configuration.

    \b
    Example: disrupt door --server match.example.org:443 --key-file platform.key --token-file tokens
    """
    if (tls_cert is None) != (tls_key is None):
        raise ConfigurationError(
            "--tls-cert and --tls-key belong together: give both or none.", setting="tls_cert"
        )
    if tls_cert is None:
        _check_loopback(listen, "--listen", "give --tls-cert and --tls-key, or listen on")
    _check_loopback(grpc_listen, "--grpc-listen", "gRPC is for this machine alone: listen on")
    settings = Settings(
        listen,
        {"ssl_certfile": tls_cert, "ssl_keyfile": tls_key},
        grpc_listen,
        _tokens(token_file, (listen, grpc_listen)),
        Policy.read(policy_file),
        state_dir,
        workers,
        target,
    )
    # uvicorn and asyncio name addresses, and quote what was sent.
    logging.disable(logging.CRITICAL)
    logs.configure("door")
    with _listening(listen) as listening:
        uvloop.run(serve(settings, listening))


async def serve(settings: Settings, listening: socket.socket) -> None:
    """Serve on a socket until SIGTERM or SIGINT, and finish the requests under way."""
    async with matching(settings) as door:
        fetcher = Fetcher(settings.policy.url_hosts)
        config = http_server.configuration(
            application(door, fetcher, settings.tokens),
            {"proxy_headers": False, **settings.tls},
            protocol=Quick,
        )
        server = uvicorn.Server(config)
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn handles both while it serves, and raises them again at the end.
            signal.signal(number, server.handle_exit)
        async with _grpc(settings, door) as address:
            also = f" and grpc://{address}" if address else ""
            scheme = "https" if config.is_ssl else "http"
            click.echo(f"The door is ready on {_url(listening, scheme)}{also}")
            await server.serve([listening])


@contextlib.asynccontextmanager
async def matching(settings: Settings) -> AsyncIterator[Matching]:
    """Start what hashes and asks, and stop it at the end."""
    metrics = Metrics()
    pictures = IsolatedHashing(workers=settings.workers, queued=_QUEUED)
    videos = IsolatedVideos(workers=1, queued=8)
    target, policy = settings.target, settings.policy
    async with (
        pictures,
        videos,
        Hotline(
            target.server,
            key=target.key,
            tls_ca=target.tls_ca,
            timeout_s=policy.patience_s,
            retries=RetryPolicy(attempts=None),
        ) as hotline,
        contextlib.AsyncExitStack() as stack,
    ):
        outcomes = None
        if settings.state_dir is not None:
            settings.state_dir.mkdir(parents=True, exist_ok=True)
            outcomes = stack.enter_context(
                Outcomes(settings.state_dir / "outcomes.sqlite", metrics)
            )
            sending = asyncio.create_task(outcomes.send(hotline))
            stack.callback(sending.cancel)
            metrics.show(
                "disrupt_door_outcomes_waiting",
                "Outcomes that the hotline was not told yet",
                lambda: outcomes.waiting,
            )
        uploads = Uploads(pictures, videos)
        metrics.show(
            "disrupt_door_seen_before",
            "Uploads that were not hashed again since the door started",
            lambda: uploads.seen_before,
        )
        yield Matching(policy, uploads, hotline, metrics, outcomes)


@contextlib.asynccontextmanager
async def _grpc(settings: Settings, door: Matching) -> AsyncIterator[str]:
    """Serve MatchService where that is asked for; yield its address."""
    listen = settings.grpc_listen
    if not listen:
        yield ""
        return
    tokens = settings.tokens
    servicer = MatchServicer(door)
    server = grpc_server(servicer, tokens.know if tokens else None)
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise ConfigurationError(
            f"Cannot listen on {listen} (--grpc-listen): {error}.", setting="grpc_listen"
        ) from error
    await server.start()
    if _is_socket(listen):
        os.chmod(listen.removeprefix("unix:"), _GROUP)  # noqa: PTH101 of one file, at once
    try:
        yield listen if _is_socket(listen) else f"{listen.rpartition(':')[0]}:{port}"
    finally:
        await server.stop(_STOP_S)


def _tokens(file: Path | None, listens: tuple[str, ...]) -> Tokens | None:
    """Read the callers' tokens. Raises ConfigurationError where there are none, but on sockets."""
    if file is None:
        if all(not listen or _is_socket(listen) for listen in listens):
            return None
        raise ConfigurationError(
            "Name a file of the callers' tokens with --token-file, or listen on unix:PATH, which"
            " only its group reaches.",
            setting="token_file",
        )
    try:
        tokens = tuple(line for text in file.read_text().splitlines() if (line := text.strip()))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The file of tokens (--token-file) cannot be read: {error}.", setting="token_file"
        ) from error
    if not tokens or any(len(token) < _TOKEN_CHARACTERS_MIN or "/" in token for token in tokens):
        raise ConfigurationError(
            f"Each token (--token-file) needs {_TOKEN_CHARACTERS_MIN} characters or more, none of"
            " them a slash, on a line of its own: `openssl rand -hex 32` makes one.",
            setting="token_file",
        )
    return Tokens(tokens)


def _check_loopback(listen: str, option: str, instead: str) -> None:
    if listen and not _is_socket(listen):
        host, _ = http_server.address(listen, option)
        if not http_server.is_loopback(host):
            raise ConfigurationError(
                f"{option}: {host!r} is reachable from other machines: {instead} 127.0.0.1.",
                setting=http_server.setting_of(option),
            )


def _is_socket(listen: str) -> bool:
    return listen.startswith("unix:")


def _listening(listen: str) -> socket.socket:
    if not _is_socket(listen):
        return http_server.bind(*http_server.address(listen))
    path = Path(listen.removeprefix("unix:"))
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        listening.bind(str(path))
        path.chmod(_GROUP)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"Cannot listen on {path} (--listen): {error}.", setting="listen"
        ) from error
    return listening


def _url(listening: socket.socket, scheme: str) -> str:
    if listening.family == socket.AF_UNIX:
        return f"unix:{listening.getsockname()}"
    return f"{scheme}://{http_server.shown(listening)}"

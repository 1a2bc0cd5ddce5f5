"""The extras ``server`` and ``web``: packages that platforms do without, and who needs them."""

from __future__ import annotations

from importlib.util import find_spec

from disrupt.errors import ConfigurationError

SERVER_EXTRA = "pip install 'disrupt-hashes[server]'"
"""Command that adds the extra to an environment with this distribution."""
WEB_EXTRA = "pip install 'disrupt-hashes[web]'"

SERVER_PACKAGES = (
    "alembic",
    "argon2",
    "faiss",
    "grpc_reflection",
    "numba",
    "pdqhash",
    "prometheus_client",
    "pydantic",
    "sqlalchemy",
    "starlette",
    "structlog",
    "uvicorn",
    "uvloop",
)
"""Packages of the extra ``server``, by import name."""

WEB_PACKAGES = ("h11", "starlette", "structlog", "uvicorn")
"""Packages of the extra ``web``, by import name."""


def lacking_server(command: str) -> ConfigurationError | None:
    """Return why a command of the server cannot run here; None where it can."""
    return _lacking(command, "server", SERVER_PACKAGES, SERVER_EXTRA)


def lacking_web(command: str) -> ConfigurationError | None:
    """Return why a command of the gateway cannot run here; None where it can."""
    return _lacking(command, "web", WEB_PACKAGES, WEB_EXTRA)


def _lacking(
    command: str, extra: str, packages: tuple[str, ...], remedy: str
) -> ConfigurationError | None:
    if all(map(find_spec, packages)):
        return None
    return ConfigurationError(
        f'{command} needs the extra "{extra}", which is not installed here: {remedy}', extra=extra
    )

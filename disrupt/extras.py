"""The extra ``server``: packages that platforms do without, and what its commands say there."""

from __future__ import annotations

from importlib.util import find_spec

from disrupt.errors import ConfigurationError

SERVER_EXTRA = "pip install 'disrupt-hashes[server]'"
"""Command that adds the extra to an environment with this distribution."""

SERVER_PACKAGES = (
    "alembic",
    "argon2",
    "faiss",
    "grpc_reflection",
    "numba",
    "pydantic",
    "sqlalchemy",
    "structlog",
    "uvloop",
)
"""Packages of the extra, by import name."""


def lacking_server(command: str) -> ConfigurationError | None:
    """Return why a command of the server cannot run here; None where it can."""
    if all(map(find_spec, SERVER_PACKAGES)):
        return None
    return ConfigurationError(
        f'{command} needs the extra "server", which is not installed here: {SERVER_EXTRA}'
    )

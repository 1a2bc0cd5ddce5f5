"""Extras: packages that only some commands need, and what commands say without them."""

from __future__ import annotations

from importlib.util import find_spec

from disrupt.errors import ConfigurationError

PACKAGES = {
    "server": (
        "alembic",
        "altcha",
        "argon2",
        "faiss",
        "grpc_reflection",
        "numba",
        "prometheus_client",
        "pydantic",
        "sqlalchemy",
        "structlog",
        "uvloop",
    ),
    "postgresql": ("psycopg",),
    "web": ("starlette", "structlog", "uvicorn"),
    "door": (
        "httpcore",
        "httptools",
        "prometheus_client",
        "python_multipart",
        "starlette",
        "structlog",
        "uvicorn",
        "uvloop",
    ),
    "archives": ("pyarrow",),
    "ray": ("ray",),
}
"""Packages of each extra, by import name."""


def install(extra: str) -> str:
    """Return the command that adds an extra to an environment with this distribution."""
    return f"pip install 'disrupt-hashes[{extra}]'"


def lacking(command: str, extra: str) -> ConfigurationError | None:
    """Return why a command that needs an extra cannot run here; None where it can."""
    if all(map(find_spec, PACKAGES[extra])):
        return None
    return ConfigurationError(
        f'{command} needs the extra "{extra}", which is not installed here: {install(extra)}'
    )

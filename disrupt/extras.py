"""Extras: packages that only some commands need, and what commands say without them."""

from __future__ import annotations

import shlex
import sys
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
    "desk": ("starlette", "structlog", "uvicorn", "webauthn"),
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
    "lists": ("defusedxml", "httpcore"),
    "report": ("jinja2", "matplotlib", "weasyprint"),
    "threatexchange": ("threatexchange",),
}
"""Packages of each extra, by import name."""


DECODERS = {"NO_HEIC_DECODER": "pillow-heif>=1.8.1", "NO_VIDEO_DECODER": "av>=18"}
"""Requirements of the extras ``heic`` and ``video``, by the cause of the error without them."""


def install(*requirements: str) -> str:
    """Return the command that adds packages to this environment, with pip or uv, as it was made."""
    tool = ["uv", "pip", "install", "--python", sys.prefix]
    if find_spec("pip"):
        tool = [sys.executable, "-m", "pip", "install"]
    return shlex.join([*tool, *requirements])


def install_extra(extra: str) -> str:
    """Return the command that adds an extra to an environment with this distribution."""
    return install(f"disrupt-hashes[{extra}]")


def lacking(command: str, extra: str) -> ConfigurationError | None:
    """Return why a command that needs an extra cannot run here; None where it can."""
    if all(map(find_spec, PACKAGES[extra])):
        return None
    return ConfigurationError(
        f'{command} needs the extra "{extra}", which is not installed here: {install_extra(extra)}'
    )

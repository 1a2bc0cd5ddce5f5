"""Certificates by which the machines of a deployment know each other."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import grpc

CERTIFICATES = Path(__file__).parents[2] / "scripts" / "fleet-certificates"
"""The operators' program that makes them."""


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority with its certificates, in a directory."""

    directory: Path

    def certify(self, name: str, role: str) -> None:
        """Make the certificate of a machine."""
        subprocess.run([CERTIFICATES, self.directory, name, role], check=True)

    def settings(self, name: str, listen: str) -> str:
        """Return the settings by which a machine listens internally, on an address."""
        return (
            f'internal_listen = "{listen}"\n'
            f'internal_cert = "{self.directory / name}.pem"\n'
            f'internal_key = "{self.directory / name}-key.pem"\n'
            f'internal_ca = "{self.directory}/ca.pem"\n'
        )

    def read(self, name: str) -> bytes:
        """Return a file of PEM."""
        return (self.directory / f"{name}.pem").read_bytes()

    def channel(self, port: int, name: str | None, role: str = "writer") -> grpc.Channel:
        """Return a channel to a machine of a role; without a certificate for no name."""
        own = (self.read(f"{name}-key"), self.read(name)) if name else (None, None)
        return grpc.secure_channel(
            f"127.0.0.1:{port}",
            grpc.ssl_channel_credentials(self.read("ca"), *own),
            options=[("grpc.ssl_target_name_override", role)],
        )

"""``disrupt health``: check that all of a server serves, for people and containers."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click
import grpc
from cryptography import x509
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from disrupt.client.connection import DEFAULT_PORT, connect_without_key
from disrupt.client.failures import failure
from disrupt.client.terminal import client_certificate_options
from disrupt.errors import ConfigurationError, UnavailableError

_HELP = """Ask a server whether all of its services serve, by the standard gRPC health protocol.
Needs no key.

On the server's own machine --tls-cert names the certificate that the server shows: it is trusted
as it is, under whatever name it bears. From elsewhere, --tls-ca names the authorities to trust.

\b
Examples:
  disrupt health
  disrupt health --server match.example.org:50051 --tls-ca ca.pem
  disrupt health --server match.example.org:50052 --client-cert c.pem --client-key k.pem

\b
Exit codes:
  0  all of it serves
  1  it does not answer, or says that a service does not serve
  2  the command is used wrongly
"""

_SERVICES = (
    "",
    "disrupt.v1.MatchService",
    "disrupt.v1.FeedService",
    "disrupt.v1.RegistrationService",
    "disrupt.v1.ReviewService",
    "disrupt.v1.ErasureService",
)
"""Services that are checked; the empty name stands for the server."""

_FILE = click.Path(dir_okay=False, path_type=Path)


def _own_address() -> str:
    """Return this machine's address, with the port that a server here would listen on."""
    port = os.environ.get("DISRUPT_LISTEN", "").rpartition(":")[2]
    return f"127.0.0.1:{port or DEFAULT_PORT}"


@click.command("health", help=_HELP)
@click.option(
    "--server",
    envvar="DISRUPT_SERVER",
    show_envvar=True,
    default=_own_address,
    show_default="this machine, at the port of DISRUPT_LISTEN or 50051",
    help="Server to ask, HOST:PORT.",
)
@click.option(
    "--tls-cert",
    envvar="DISRUPT_TLS_CERT",
    show_envvar=True,
    type=_FILE,
    help="PEM file of the certificate that the server shows.",
)
@click.option("--tls-ca", type=_FILE, help="PEM file of the authorities to trust.")
@client_certificate_options()
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=5.0,
    show_default=True,
    help="Longest time to wait for the answer, in seconds.",
)
def health(
    server: str,
    tls_cert: Path | None,
    tls_ca: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    timeout_s: float,
) -> None:
    """Check the server's health and print the result."""
    pair = client_cert, client_key
    check_health(server, tls_ca=tls_ca, tls_cert=tls_cert, client_pair=pair, timeout_s=timeout_s)
    click.echo("serving")


def check_health(
    server: str,
    *,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    client_pair: tuple[Path | None, Path | None] = (None, None),
    timeout_s: float = 5.0,
) -> None:
    """Return if every service of the server serves; raise a class of disrupt.errors otherwise.

    ``tls_cert`` is the server's own certificate, trusted under whatever name it bears; else
    ``tls_ca`` are authorities to trust, and ``client_pair`` are certificate and key to show, as in
    ``connect_without_key``.
    """
    connection = connect_without_key(server, tls_cert or tls_ca, *client_pair)
    options: list[tuple[str, int | str]] = [*connection.options]
    if tls_cert:
        options.append(("grpc.ssl_target_name_override", _name(tls_cert)))
    target = f"dns:///{connection.server}"
    channel = (
        grpc.secure_channel(target, connection.credentials, options)
        if connection.credentials
        else grpc.insecure_channel(target, options)
    )
    with channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        give_up_s = time.monotonic() + timeout_s
        try:
            statuses = {
                service: check(
                    HealthCheckRequest(service=service), timeout=give_up_s - time.monotonic()
                ).status
                for service in _SERVICES
            }
        except grpc.RpcError as error:
            raise failure(error, connection.server, uses_tls=connection.uses_tls) from None
    if any(status != HealthCheckResponse.SERVING for status in statuses.values()):
        states = ", ".join(
            f"{service or 'the server'}: {HealthCheckResponse.ServingStatus.Name(status)}"
            for service, status in statuses.items()
        )
        raise UnavailableError(f"Not all of the server at {connection.server} serves ({states}).")


def _name(tls_cert: Path) -> str:
    """Return a name that a certificate is for."""
    try:
        leaf = x509.load_pem_x509_certificates(tls_cert.read_bytes())[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound) as error:
        raise ConfigurationError(
            f"{tls_cert} is no certificate in PEM with a subjectAltName."
        ) from error
    hosts = [
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]
    if not hosts:
        raise ConfigurationError(f"{tls_cert} names no host in its subjectAltName.")
    return hosts[0].replace("*", "wildcard")

"""``disrupt health``: check that all of a server serves, for people and containers."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import grpc
from click.core import ParameterSource
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from disrupt.client.connection import DEFAULT_SERVER, connect_without_key
from disrupt.client.failures import failure
from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError, UnavailableError

_HELP = """Ask a server whether all of it serves. Needs no key.

On the server's own machine, with --data-dir: asks the supervisor for the state of every process,
and then one worker, as callers reach it, by the standard gRPC health protocol. The supervisor
knows address and certificate. Run it as the server's user.

From elsewhere, or with --server: asks one worker, which says nothing of the others. --tls-ca names
the authorities to trust.

Over TLS, prints until when the certificate that is served is valid, whatever its file says by now.

\b
Examples:
  disrupt health --data-dir data
  disrupt health --server match.example.org:50051 --tls-ca ca.pem --certificate-days 14

\b
Exit codes:
  0  all of it serves, or all that was asked; or the writer waits while that of another machine
     leads, and the last line says so
  1  it does not answer, something does not serve, or the certificate is not valid for long enough
  2  the command is used wrongly
"""

SERVICES = (
    "",
    "disrupt.v1.MatchService",
    "disrupt.v1.FeedService",
    "disrupt.v1.RegistrationService",
)
"""Services that are checked; the empty name stands for the server."""

OF_MIRROR = SERVICES[:2]
"""Those of a mirror."""


@click.command("health", help=_HELP)
@click.option(
    "--data-dir",
    envvar="DISRUPT_DATA_DIR",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Data directory of the server, on its machine.",
)
@click.option(
    "--server",
    envvar="DISRUPT_SERVER",
    show_envvar=True,
    default=DEFAULT_SERVER,
    show_default=True,
    help="Server to ask instead, HOST:PORT.",
)
@click.option(
    "--tls-ca",
    type=click.Path(dir_okay=False, path_type=Path),
    help="PEM file of the authorities to trust.",
)
@click.option(
    "--certificate-days",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Fail if the certificate that is served is valid for fewer days.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=5.0,
    show_default=True,
    help="Longest time to wait for the answer, in seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def health(
    data_dir: Path | None,
    server: str,
    tls_ca: Path | None,
    certificate_days: int,
    timeout_s: float,
    *,
    as_json: bool,
) -> None:
    """Check the server's health and print the result."""
    give_up_s = time.monotonic() + timeout_s
    processes: list[dict[str, Any]] = []
    report: dict[str, Any] = {"asked": "one worker"}
    of_this_machine, is_called = False, True
    services: Sequence[str] = SERVICES
    source = click.get_current_context().get_parameter_source("server")
    if data_dir is not None and source is not ParameterSource.COMMANDLINE:
        states = _ask_supervisor(data_dir, timeout_s)
        processes = states["processes"]
        report = {"asked": "supervisor", "version": states["version"], "processes": processes}
        server = _reachable(states["address"])
        of_this_machine = bool(states["tls_cert"])
        is_called = states["role"] != "writer"  # which other machines call alone
        if states["role"] == "mirror":
            services = OF_MIRROR
    lines = [_line(process) for process in processes]
    error: DisruptError | None = None
    try:
        _check_processes(processes)
        if is_called:
            lines += _check_as_caller(
                *(server, tls_ca, certificate_days, give_up_s, report),
                of_this_machine=of_this_machine,
                services=services,
            )
    except DisruptError as failed:
        error = failed
    if as_json:
        click.echo(json.dumps({"serving": error is None, **report}))
    else:
        for line in lines:
            click.echo(line)
        if any(process["state"] == "waiting" for process in processes) and error is None:
            click.echo("waiting (the writer of another machine leads)")
        elif error is None:
            every = f"all {len(processes)} processes" if processes else "one worker was asked"
            click.echo(f"serving ({every})")
    if error is not None:
        raise error


def _check_as_caller(
    server: str,
    tls_ca: Path | None,
    certificate_days: int,
    give_up_s: float,
    report: dict[str, Any],
    *,
    of_this_machine: bool,
    services: Sequence[str],
) -> list[str]:
    """Check certificate and services as a caller sees them; return lines, and add to ``report``.

    Raises a class of disrupt.errors where something does not serve.
    """
    own: x509.Certificate | None = None
    lines = []
    if of_this_machine or connect_without_key(server, tls_ca).credentials:
        served = _served_certificate(server, max(give_up_s - time.monotonic(), 0.001))
        own = served if of_this_machine else None
        days = (served.not_valid_after_utc - datetime.now(UTC)).days
        report["certificate_valid_until"] = served.not_valid_after_utc.isoformat()
        lines.append(f"certificate valid until {served.not_valid_after_utc:%Y-%m-%d}, {days} days")
        if days < certificate_days:
            raise UnavailableError(
                f"The certificate that is served is valid for {days} more days: renew it, and"
                " run `disrupt reload`."
            )
    elif certificate_days:
        raise UnavailableError(
            f"{server} was asked without TLS, and showed no certificate. Ask where one is"
            " served, as by the proxy: --server HOST:PORT, with --tls-ca for an authority of"
            " your own."
        )
    left_s = max(give_up_s - time.monotonic(), 0)
    check_health(server, tls_ca=tls_ca, own=own, timeout_s=left_s, services=services)
    return lines


def _ask_supervisor(data_dir: Path, timeout_s: float) -> dict[str, Any]:
    """Return what the supervisor of a data directory reports. Raises UnavailableError."""
    try:
        return DataDirectory(data_dir).ask_supervisor("states", timeout_s)
    except (OSError, ValueError) as error:
        why = "Run this as the server's user" if isinstance(error, PermissionError) else error
        raise UnavailableError(
            f"No server runs in {data_dir} that says how it is: {why}."
        ) from None


def _reachable(listen: str) -> str:
    """Return an address that can be called: loopback for a server that listens on all of them."""
    host, _, port = listen.rpartition(":")
    return {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host) + f":{port}"  # noqa: S104


def _line(process: dict[str, Any]) -> str:
    """Describe the state of a process on one line."""
    known = {"lag_ms": "lag {} ms", "generation": "generation {}", "tombstones": "{} tombstones"}
    facts = [text.format(process[name]) for name, text in known.items() if name in process]
    name = f"{process['role']} {process['number']}"
    return ", ".join([f"{name:<10}pid {process['pid']}: {process['state']}", *facts])


def _check_processes(processes: list[dict[str, Any]]) -> None:
    """Raise UnavailableError where a process or a service does not serve, or erasure is late."""
    wrong = [
        f"{process['role']} {process['number']}: {process['state']}"
        for process in processes
        if process["state"] not in {"serving", "draining", "waiting"}
    ]
    wrong += [
        f"{process['role']} {process['number']}: {service or 'the server'} does not serve"
        for process in processes
        for service in process.get("not_serving", ())
    ]
    if wrong:
        raise UnavailableError(f"Not all of the server serves ({', '.join(wrong)}).")
    late_s = max((process.get("erasure_late_s", 0.0) for process in processes), default=0.0)
    if late_s:
        raise UnavailableError(
            f"What was withdrawn should have been erased {late_s / 3600:.1f} hours ago. Run"
            " `disrupt erase`, which says what is in its way."
        )


def _served_certificate(server: str, timeout_s: float) -> x509.Certificate:
    """Return the certificate that a server shows; whether it is trusted is not checked here.

    Raises UnavailableError.
    """
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host, int(port)), timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            shown = secure.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(shown or b"")
    except (OSError, ValueError) as error:
        raise UnavailableError(f"The certificate of {server} cannot be read: {error}.") from None


def check_health(
    server: str,
    *,
    tls_ca: Path | None = None,
    own: x509.Certificate | None = None,
    timeout_s: float = 5.0,
    services: Sequence[str] = SERVICES,
) -> None:
    """Return if all ``services`` of the server serve; raise a class of disrupt.errors otherwise.

    ``own`` is the certificate of a server of this machine, trusted as it is and under whatever name
    it bears; else ``tls_ca`` are authorities to trust, as in ``connect_without_key``.
    """
    connection = connect_without_key(server, own.public_bytes(Encoding.PEM) if own else tls_ca)
    if own:
        connection = replace(connection, certificate_name=_name(own))
    with connection.open() as channel:
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
                for service in services
            }
        except grpc.RpcError as error:
            raise failure(error, connection.server) from None
    if any(status != HealthCheckResponse.SERVING for status in statuses.values()):
        states = ", ".join(
            f"{service or 'the server'}: {HealthCheckResponse.ServingStatus.Name(status)}"
            for service, status in statuses.items()
        )
        raise UnavailableError(f"Not all of the server at {connection.server} serves ({states}).")


def _name(certificate: x509.Certificate) -> str:
    """Return a name that a certificate is for. Raises UnavailableError where it has none."""
    hosts: list[str] = []
    with suppress(x509.ExtensionNotFound):
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts += names.get_values_for_type(x509.DNSName)
        hosts += map(str, names.get_values_for_type(x509.IPAddress))
    if not hosts:
        raise UnavailableError(
            "The certificate that is served names no host in its subjectAltName: no client accepts"
            " it. Give the server one that does."
        )
    return hosts[0].replace("*", "wildcard")

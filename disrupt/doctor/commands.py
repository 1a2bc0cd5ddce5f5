"""``disrupt doctor``: run the checks and print their findings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from disrupt import logs
from disrupt.doctor import computing, data, disk, machine, network
from disrupt.doctor.findings import Check, Finding, Verdict, fail, findings

_HELP = """Check that this machine, and this data directory, are fit to serve.

Known answers of hashing and search, SQLite, clock and limits; with --data-dir also the disk,
permissions, secrets, registry and index; with --listen and --tls-cert the address and certificate.
Changes nothing, and may run beside the server, as the server's own user.

\b
Examples:
  disrupt doctor
  disrupt doctor --data-dir data --json

With --json: {"ok", "findings": [{"name", "verdict", "meaning", "advice"}]}, where verdict is ok,
warn or fail.

\b
Exit codes:
  0  fit, perhaps with warnings
  1  a check failed
  2  the command is used wrongly
"""

_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("doctor", help=_HELP)
@click.option(
    "--data-dir",
    envvar="DISRUPT_DATA_DIR",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Data directory of the server.",
)
@click.option(
    "--listen", envvar="DISRUPT_LISTEN", show_envvar=True, help="Address to serve, HOST:PORT."
)
@click.option(
    "--tls-cert",
    envvar="DISRUPT_TLS_CERT",
    show_envvar=True,
    type=_FILE,
    help="PEM file of the server's certificate and chain.",
)
@click.option(
    "--tls-key", envvar="DISRUPT_TLS_KEY", show_envvar=True, type=_FILE, help="PEM file of its key."
)
@click.option(
    "--client-listen",
    envvar="DISRUPT_CLIENT_LISTEN",
    show_envvar=True,
    help="Address for client certificates, HOST:PORT.",
)
@click.option(
    "--client-ca",
    envvar="DISRUPT_CLIENT_CA",
    show_envvar=True,
    type=_FILE,
    help="PEM file of the authorities that sign client certificates.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(
    data_dir: Path | None,
    listen: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    client_listen: str | None,
    client_ca: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run the checks and print their findings."""
    logs.configure("doctor", "warning")
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together.")
    tls = network.Tls(tls_cert, tls_key) if tls_cert and tls_key else None
    reported = chain(
        findings(
            (*computing.checks(), Check("sqlite", data.sqlite, ""), *machine.checks(data_dir))
        ),
        _of_data(data_dir),
        findings(network.checks(listen, tls, client_listen, client_ca)),
    )
    verdicts = _print_json(reported) if as_json else _print_lines(reported)
    if verdicts[Verdict.FAIL]:
        raise SystemExit(1)


def _of_data(data_dir: Path | None) -> Iterable[Finding]:
    if data_dir is None:
        return ()
    if not data_dir.is_dir():
        missing = f"There is no directory {data_dir}."
        return [fail("data directory", missing, "Check --data-dir, or start `disrupt serve` once.")]
    return findings((*disk.checks(data_dir), *data.checks(data_dir)))


def _print_json(reported: Iterable[Finding]) -> Counter[Verdict]:
    kept = list(reported)
    verdicts = Counter(finding.verdict for finding in kept)
    rows = [asdict(finding) for finding in kept]
    click.echo(json.dumps({"ok": not verdicts[Verdict.FAIL], "findings": rows}))
    return verdicts


def _print_lines(reported: Iterable[Finding]) -> Counter[Verdict]:
    console = Console(highlight=False, soft_wrap=True)
    verdicts: Counter[Verdict] = Counter()
    for finding in reported:
        verdicts[finding.verdict] += 1
        line = Text(f"{finding.verdict:<5}", _STYLES[finding.verdict])
        console.print(line.append(f"{finding.name:<14}{finding.meaning}", "default not bold"))
        if finding.advice:
            console.print(Text(f"{'':<19}→ {finding.advice}"))
    warnings, failures = verdicts[Verdict.WARN], verdicts[Verdict.FAIL]
    console.print(
        f"{verdicts[Verdict.OK]} fine, {warnings} warning{'s' * (warnings != 1)},"
        f" {failures} failure{'s' * (failures != 1)}."
    )
    return verdicts

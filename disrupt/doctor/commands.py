"""``disrupt doctor``: run the checks and print their findings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import click

from disrupt import logs
from disrupt.doctor import backups as of_backups
from disrupt.doctor import data, disk, lists, machine, private_keys
from disrupt.doctor.findings import Check, Finding, Verdict, fail, findings

_HELP = """Check that this machine, and this data directory, are fit to serve.

Known answers of hashing and search, isolation and core dumps; with --data-dir also the disk,
permissions, secrets, registry, journal and index; with --config who can read the private keys of
TLS; with --backups and --journal-copy age and content of the newest copies. Changes nothing, and
may run beside the server, as the server's own user.

\b
Examples:
  disrupt doctor
  disrupt doctor --data-dir data --json
  disrupt doctor --backups backups --journal-copy journal/removals.journal

With --json: {"ok", "findings": [{"name", "verdict", "meaning", "advice"}]}, where verdict is ok,
warn or fail.

\b
Exit codes:
  0  fit, perhaps with warnings
  1  a check failed
  2  the command is used wrongly
"""

_PATH = click.Path(path_type=Path)
_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


@click.command("doctor", help=_HELP)
@click.option(
    "--data-dir",
    envvar="DISRUPT_DATA_DIR",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Data directory of the server.",
)
@click.option(
    "--config",
    envvar="DISRUPT_CONFIG",
    show_envvar=True,
    type=_PATH,
    help="Configuration of the server.",
)
@click.option(
    "--tls-key",
    envvar="DISRUPT_TLS_KEY",
    show_envvar=True,
    type=_PATH,
    help="Private key that the server is given beside its configuration.",
)
@click.option("--backups", type=_PATH, help="Directory of backups; the newest is checked.")
@click.option("--journal-copy", type=_PATH, help="Copy of removals.journal, apart from them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(
    data_dir: Path | None,
    config: Path | None,
    tls_key: Path | None,
    backups: Path | None,
    journal_copy: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run the checks and print their findings."""
    logs.configure("doctor", "warning")
    checks = chain(
        machine.checks(),
        _of_data(data_dir),
        private_keys.checks(config, tls_key),
        of_backups.checks(backups, journal_copy),
    )
    reported = findings(checks)
    verdicts = _print_json(reported) if as_json else _print_lines(reported)
    if verdicts[Verdict.FAIL]:
        raise SystemExit(1)


def _of_data(data_dir: Path | None) -> Iterable[Check]:
    if data_dir is None:
        return ()
    if not data_dir.is_dir():
        advice = "Check --data-dir, or start `disrupt serve` once."
        missing = fail(f"There is no directory {data_dir}.", advice)
        return [Check("data directory", lambda: [missing], advice)]
    return (*disk.checks(data_dir), *data.checks(data_dir), *lists.checks(data_dir))


def _print_json(reported: Iterable[Finding]) -> Counter[Verdict]:
    rows = [asdict(finding) for finding in reported]
    verdicts = Counter[Verdict](row["verdict"] for row in rows)
    click.echo(json.dumps({"ok": not verdicts[Verdict.FAIL], "findings": rows}))
    return verdicts


def _print_lines(reported: Iterable[Finding]) -> Counter[Verdict]:
    verdicts: Counter[Verdict] = Counter()
    for finding in reported:
        verdicts[finding.verdict] += 1
        verdict = click.style(f"{finding.verdict:<5}", _COLOURS[finding.verdict], bold=True)
        click.echo(f"{verdict}{finding.name:<14}{finding.meaning}")
        if finding.advice:
            click.echo(f"{'':<19}→ {finding.advice}")
    warnings, failures = verdicts[Verdict.WARN], verdicts[Verdict.FAIL]
    click.echo(
        f"{verdicts[Verdict.OK]} fine, {warnings} warning{'s' * (warnings != 1)},"
        f" {failures} failure{'s' * (failures != 1)}."
    )
    return verdicts

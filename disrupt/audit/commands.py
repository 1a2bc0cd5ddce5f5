"""The commands ``disrupt audit``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from disrupt.audit import entries, files, notes
from disrupt.audit.receipts import WithdrawalReceipt
from disrupt.audit.receipts import verify as verify_receipt
from disrupt.audit.verification import Fault, Finding, Verified, verify
from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError

_WORDS = {
    Fault.EDITED: "an entry is not what its leaf stands for",
    Fault.MISSING: "leaves are missing",
    Fault.REORDERED: "a leaf is out of order, or there twice",
    Fault.TRUNCATED: "the log was longer at a checkpoint than it is",
    Fault.REWRITTEN: "leaves are not those of a checkpoint",
    Fault.FORKED: "a restore began the log anew from an older state",
    Fault.CONTRADICTORY: "two checkpoints of one size differ: the log was shown in two forms",
}


@click.group()
def audit() -> None:
    """Check the log of what was done, which nobody can rewrite unseen.

    Keep a checkpoint somewhere else: only that shows later what was changed since.
    """


@audit.command()
@click.option(
    "--data-dir",
    required=True,
    envvar="DISRUPT_DATA_DIR",
    show_envvar=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Data directory of the server.",
)
@click.option("--name", default="", help="Name of the log, where the setting audit_name has one.")
def key(data_dir: Path, name: str) -> None:
    """Print the key by which checkpoints are checked: it is public.

    \b
    Example: disrupt audit key --data-dir data > audit.key
    """
    signing = Ed25519PrivateKey.from_private_bytes(DataDirectory(data_dir).secrets().audit_seed)
    click.echo(str(files.verifier_of(signing, name or files.name_of(signing))))


@audit.command("verify")
@click.argument("leaves", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with what `disrupt audit key` printed, kept apart from the server.",
)
@click.option(
    "--checkpoint",
    "kept",
    required=True,
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A checkpoint that was kept, or a directory of them; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify_command(leaves: Path, key_file: Path, kept: tuple[Path, ...], *, as_json: bool) -> None:
    """Compare LEAVES, the file of an audit log, with checkpoints. Needs no server and no network.

    \b
    Exit codes: 0 the log is as it was at each checkpoint; 1 it is not, or
    something cannot be read; 2 wrong usage.

    \b
    Example: disrupt audit verify data/audit/leaves --key audit.key --checkpoint kept/
    """
    try:
        verifier = notes.Verifier.parse(key_file.read_text(encoding="utf-8"))
        checkpoints = [notes.opened(note, verifier) for note in files.checkpoints(kept)]
        verified = verify(entries.read(leaves), checkpoints)
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{key_file} is no key of a log.") from error
    except DisruptError as error:
        raise click.ClickException(error.message) from error
    _show(verified, len(checkpoints), as_json=as_json)
    sys.exit(bool(verified.findings))


@audit.command("receipt")
@click.argument("receipt", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with what `disrupt audit key` printed, from somebody whom you trust.",
)
def receipt_command(receipt: Path, key_file: Path) -> None:
    """Check RECEIPT, which `disrupt receipt --save` wrote. Needs no server and no network.

    \b
    Exit codes: 0 it shows that all is erased; 1 it shows nothing, or cannot be
    read; 2 wrong usage; 3 it shows that the withdrawal is logged, and no more.

    \b
    Example: disrupt audit receipt receipt.json --key audit.key
    """
    try:
        verifier = notes.Verifier.parse(key_file.read_text(encoding="utf-8"))
        read = WithdrawalReceipt.parse(receipt.read_text(encoding="utf-8"))
        cleared = verify_receipt(read, verifier)
    except UnicodeDecodeError as error:
        raise click.ClickException("Key and receipt are text.") from error
    except DisruptError as error:
        raise click.ClickException(error.message) from error
    click.echo(f"Withdrawal {read.withdrawal.number} is in the log.")
    if cleared is None:
        click.echo("The log does not say yet that it is erased everywhere.")
        sys.exit(3)
    click.echo(
        f"On {cleared.day} all files were free of it, but for backups: those of the service, and of"
        f" {cleared.mirrors} mirrors. {cleared.silent} others that may have a copy do not report."
    )


def _show(verified: Verified, checkpoints: int, *, as_json: bool) -> None:
    if as_json:
        findings = [
            {"fault": finding.fault, "first": finding.first, "last": finding.last}
            for finding in verified.findings
        ]
        log = {"leaves": verified.size, "root": verified.root.hex(), "erased": verified.erased}
        click.echo(json.dumps({**log, "findings": findings}))
        return
    for finding in verified.findings:
        click.echo(_line(finding))
    if not verified.findings:
        click.echo(f"{verified.size} leaves are as they were at {checkpoints} checkpoints.")
    if verified.erased:
        click.echo(f"The entries of {verified.erased} leaves were erased: ask who did it, and why.")


def _line(finding: Finding) -> str:
    where = f"leaves {finding.first}-{max(finding.first, finding.last - 1)}"
    return f"{finding.fault}: {where}: {_WORDS[finding.fault]}."

"""The operators' command ``disrupt negatives``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from disrupt import logs
from disrupt.core.hashes import PdqHash
from disrupt.core.media import LowQuality
from disrupt.errors import DisruptError, InvalidRequestError, Violation
from disrupt.hashing import fingerprint_image
from disrupt.server.commands.printing import report, show, table
from disrupt.server.commands.settings import data_dir_option
from disrupt.server.upkeep.administration import administration
from disrupt.wire import policy as wire
from disrupt.wording import Group, counted

_LISTS = {".txt", ".hashes"}
_HASHES_AT_ONCE = 10_000
_FILE_BYTES_MAX = 64 * 2**20

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_label = click.option(
    "--label", required=True, help="What the pictures are; those of a label are removed together."
)


@click.group(cls=Group)
def negatives() -> None:
    """Keep the negative bank: well-known harmless pictures; with the server running or not.

    What is registered and near to one of them waits for review. Lookups never find them. Only
    their hashes are kept.

    \b
    Exit codes: 0 done, 1 refused, 2 wrong usage.

    \b
    Example: disrupt negatives add logo.png --label logos --data-dir data
    """
    logs.configure("negatives", "warning")


@negatives.command()
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@_label
@data_dir_option
@_json
def add(files: tuple[Path, ...], label: str, data_dir: Path, *, as_json: bool) -> None:
    """Add pictures, which are hashed on this machine, or lists of PDQ hashes.

    A list is a file named *.txt or *.hashes with one hash of 64 hexadecimal digits in a line. If
    one of the files cannot be used, nothing is added. Safe to repeat.

    \b
    Example: disrupt negatives add memes.txt logo.png --label memes --data-dir data
    """
    hashes = sorted({each.value for file in files for each in _hashes(file)})
    added = 0
    with administration(data_dir) as admin:
        for at in range(0, len(hashes), _HASHES_AT_ONCE):
            packed = b"".join(hashes[at : at + _HASHES_AT_ONCE])
            added += admin.add_negatives(wire.add_negatives_request(label, packed)).added
    text = f"New: {added} of {counted(len(hashes), 'hash', 'hashes')}."
    report(json.dumps({"added": added, "hashes": len(hashes)}) if as_json else text)


@negatives.command(name="list")
@data_dir_option
@_json
def list_command(data_dir: Path, *, as_json: bool) -> None:
    """List labels, and how many hashes each has.

    \b
    Example: disrupt negatives list --data-dir data
    """
    with administration(data_dir) as admin:
        answer = admin.list_negatives(wire.list_negatives_request())
    rows = [(each.label, each.hashes) for each in answer.labels]
    if as_json:
        labels = [{"label": label, "hashes": hashes} for label, hashes in rows]
        show(json.dumps({"labels": labels}))
    else:
        show(table([("label", "hashes"), *((label, str(hashes)) for label, hashes in rows)]))


@negatives.command()
@_label
@data_dir_option
@_json
def remove(label: str, data_dir: Path, *, as_json: bool) -> None:
    """Remove all pictures of a label. What waits already goes on waiting. Safe to repeat.

    \b
    Example: disrupt negatives remove --label memes --data-dir data
    """
    with administration(data_dir) as admin:
        removed = admin.remove_negatives(wire.remove_negatives_request(label)).removed
    report(
        json.dumps({"removed": removed})
        if as_json
        else f"Removed {counted(removed, 'hash', 'hashes')}."
    )


def _hashes(file: Path) -> list[PdqHash]:
    """Return the hashes of a list, or of a picture itself. Raises InvalidRequestError."""
    try:
        if file.stat().st_size > _FILE_BYTES_MAX:
            raise _refused(file, f"larger than {_FILE_BYTES_MAX >> 20} MiB")
        if file.suffix.lower() in _LISTS:
            return [PdqHash.from_hex(line) for line in file.read_text("ascii").split()]
        outcome = fingerprint_image(file.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(file, f"it cannot be read: {error}") from error
    except DisruptError as error:
        raise _refused(file, error.message) from error
    if isinstance(outcome, LowQuality):
        raise _refused(file, outcome.message)
    return [each.hash for each in outcome.fingerprints if each.plan == 0]


def _refused(file: Path, reason: str) -> InvalidRequestError:
    return InvalidRequestError.of(Violation(str(file), f"{reason} Nothing was added."))

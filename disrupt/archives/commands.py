"""``disrupt scan`` and ``disrupt hash``: archives of uploads, and folders of pictures."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from disrupt import logs, ownership
from disrupt.archives import pictures, running
from disrupt.archives import units as archive_units
from disrupt.archives.lists import publish_new
from disrupt.archives.output import Output
from disrupt.archives.pictures import FolderUnit, HashJob
from disrupt.archives.rows import ColumnNames
from disrupt.archives.running import Job
from disrupt.archives.scanning import ScanJob
from disrupt.archives.units import Unit
from disrupt.client import terminal
from disrupt.core.changes import Cursor
from disrupt.core.lookups import MAX_MATCHES, Effort, LookupOptions
from disrupt.core.policy import ApiKey, Bank, Right, Scope, scope
from disrupt.data_directory import DataDirectory
from disrupt.errors import ArchiveRefusedError
from disrupt.extras import lacking
from disrupt.operators.options import data_dir_option, json_option
from disrupt.operators.printing import report
from disrupt.registry import opening

_NAMES = ColumnNames()
_PATH = click.Path(path_type=Path)
_Command = TypeVar("_Command", bound=Callable[..., Any])
_Unit = TypeVar("_Unit", Unit, FolderUnit)


class _Shard(click.ParamType[tuple[int, int]]):
    """``I/N``: the shard I, from 0, of N."""

    name = "I/N"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:  # noqa: ANN401 click's
        if isinstance(value, tuple):
            return value
        own, _, shards = str(value).partition("/")
        if not (own.isdecimal() and shards.isdecimal() and int(own) < int(shards)):
            self.fail(f"{value!r} is not I/N with 0 <= I < N.", param, ctx)
        return int(own), int(shards)


def _options(command: _Command) -> _Command:
    """Add the options of both commands."""
    for option in (
        json_option,
        click.option(
            "--ray",
            "address",
            metavar="ADDRESS",
            help="Run on the Ray cluster at this address, HOST:PORT or auto, instead of here.",
        ),
        click.option(
            "--shard",
            type=_Shard(),
            default="0/1",
            help="Do only the units whose number modulo N is I.  [all]",
        ),
        click.option(
            "--out",
            required=True,
            type=_PATH,
            help="Directory for the results; what is there already is not done again.",
        ),
    ):
        command = option(command)
    return command


@click.command(no_args_is_help=True)
@click.argument("archives", metavar="ARCHIVE...", nargs=-1, required=True, type=_PATH)
@data_dir_option
@_options
@click.option(
    "--since",
    metavar="CURSOR",
    help="Match only against what was registered, or shown again, after this cursor, which an"
    " earlier scan printed.",
)
@click.option(
    "--bank",
    "banks",
    multiple=True,
    help="Bank to search; may be repeated.  [default: all but the test bank]",
)
@click.option(
    "--max-matches",
    type=click.IntRange(1, MAX_MATCHES),
    default=LookupOptions().max_matches,
    show_default=True,
    help="Most items of a hash, nearest first.",
)
@click.option("--id-column", default=_NAMES.id, show_default=True, help="Column of your ids.")
@click.option("--hash-column", default=_NAMES.hash, show_default=True, help="Column of hashes.")
@click.option(
    "--quality-column",
    help="Column of PDQ qualities.  [default: quality, where a file has it]",
)
def scan(  # noqa: PLR0913 one for each option
    *,
    archives: tuple[Path, ...],
    data_dir: Path,
    out: Path,
    since: str | None,
    banks: tuple[str, ...],
    max_matches: int,
    id_column: str,
    hash_column: str,
    quality_column: str | None,
    shard: tuple[int, int],
    address: str | None,
    as_json: bool,
) -> None:
    """Match archives of hashed uploads against the list in a data directory.

    Each ARCHIVE is a Parquet or CSV file, or a folder of these, with a row for each hash: your id,
    the PDQ hash as 64 hex digits (in Parquet also as 32 bytes), and its quality, 0-100, empty where
    it is not known. What `disrupt hash` writes is taken as it is.

    Answers are those of lookups by hash. Matches go to --out as Parquet files: id, item, bank,
    distance_bits, assurance, kind and extent, and never a registered hash. Rows that cannot be
    looked up are counted by reason and left out, and so is low quality. If it is interrupted, run
    it again: parts that are done stay.

    \b
    Exit codes: 0 all rows were read, 1 failed, 2 wrong usage, 3 done, but
    rows were left out because something is wrong with them.

    \b
    Example: disrupt scan uploads.parquet --data-dir data --out matches
    """
    logs.configure("scan", "warning")
    _check_ray(address)
    ownership.check(data_dir)
    names = ColumnNames(id_column, hash_column)
    if quality_column is not None:
        names = replace(names, quality=quality_column, quality_needed=True)
    data_dir, output = data_dir.absolute(), Output(out.absolute())
    files = archive_units.files_of(path.absolute() for path in archives)
    units = archive_units.units_of(files, names.needed)
    after = None if since is None else Cursor.from_text(since)
    with opening.reading(DataDirectory(data_dir)) as reader:
        known = reader.banks()
        job = ScanJob(
            output,
            data_dir,
            names,
            _scope(known, banks).limits,
            {bank.number: bank.name for bank in known},
            max_matches,
            reader.head().epoch,
        )
        output.begin(
            {
                "archives": [_identity(file) for file in files],
                "parts": len(units),
                "columns": asdict(names),
                "banks": {job.bank_names[bank]: bits for bank, bits in job.limits.items()},
                "max-matches": max_matches,
                "since": since,
                "epoch of the registry": job.epoch.hex(),
            }
        )
        to_do = output.to_do(archive_units.share(units, shard))
        with ExitStack() as stack:
            if after is not None and to_do:
                new = output.path / f"_new-{shard[0]}-of-{shard[1]}"
                stack.callback(shutil.rmtree, new, ignore_errors=True)
                publish_new(reader, after, new)
                job = replace(job, data_dir=new)
            _work(job, to_do, address, _cores(), "Scanning")
    summary = output.summarize(len(units))
    text = (
        f"{summary.get('rows', 0)} rows: {summary.get('matches', 0)} matches in {out}."
        f" Of low quality, and not looked up: {summary.get('low_quality', 0)}. Of unknown quality,"
        f" and looked up: {summary.get('without_quality', 0)}."
    )
    _finish(summary, text, as_json=as_json)


@click.command("hash", no_args_is_help=True)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_options
@click.option(
    "--effort",
    type=click.Choice([effort.name.lower() for effort in Effort], case_sensitive=False),
    default=Effort.STANDARD.name.lower(),
    show_default=True,
    help="How many versions are hashed, as of `disrupt match`; fast: the picture as it is.",
)
def hash_command(
    *,
    folder: Path,
    out: Path,
    effort: str,
    shard: tuple[int, int],
    address: str | None,
    as_json: bool,
) -> None:
    """Hash the pictures below a folder, as a lookup of each would, for `disrupt scan`.

    Pictures are decoded in processes that are locked down, and go nowhere. Hashes go to --out as
    Parquet files, a row for each: id (the path within the folder), hash, picture_quality, transform
    and area_permille (which version of the picture it is of, and how much that shows). Files that
    give no hash are counted by reason: what is no picture, videos, pictures too featureless. If it
    is interrupted, run it again: parts that are done stay.

    \b
    Exit codes: 0 every file was hashed, 1 failed, 2 wrong usage, 3 done,
    but some files gave no hash.

    \b
    Example: disrupt hash uploads --out hashes
    """
    logs.configure("hash", "warning")
    _check_ray(address)
    folder, output = folder.absolute(), Output(out.absolute())
    if output.path.resolve().is_relative_to(folder.resolve()):
        raise click.UsageError("--out lies in the folder, and would be hashed: give another one.")
    names = pictures.names_of(folder)
    if not names:
        raise ArchiveRefusedError(f"There is no file in {folder}.")
    units = pictures.units_of(names)
    listed = hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()
    output.begin({"folder": str(folder), "files": listed, "parts": len(units), "effort": effort})
    job = HashJob(output, folder, Effort[effort.upper()], 1 if address else _cores())
    _work(job, output.to_do(archive_units.share(units, shard)), address, 1, "Hashing")
    summary = output.summarize(len(units))
    text = (
        f"{summary.get('files', 0)} files: {summary.get('hashes', 0)} hashes of"
        f" {summary.get('pictures', 0)} pictures in {out}."
    )
    _finish(summary, text, as_json=as_json)


def _scope(known: tuple[Bank, ...], names: tuple[str, ...]) -> Scope:
    """Return the banks and distances of a lookup with a key of all banks."""
    numbers = frozenset(bank.number for bank in known)
    return scope(ApiKey("", "", "", b"", frozenset({Right.MATCH}), numbers, ""), known, names, None)


def _identity(file: Path) -> list[Any]:
    status = file.stat()
    return [str(file), status.st_size, status.st_mtime_ns]


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _check_ray(address: str | None) -> None:
    if address and (error := lacking("--ray", "ray")):
        raise error


def _work(
    job: Job[_Unit], units: Sequence[_Unit], address: str | None, threads: int, doing: str
) -> None:
    """Do units here or on a Ray cluster, and show how many are done."""
    if not units:
        return
    if address:
        from disrupt.archives import actors

        done = actors.run(job, units, address)
    else:
        done = running.run(job, units, threads)
    with closing(done), terminal.Progress(len(units), doing) as progress:
        refused = [reason for reason in progress.files(done) if reason]
    if refused:
        raise ArchiveRefusedError(
            f"{refused[0]} Parts that were not done for such reasons: {len(refused)}. The others"
            " stay: scan a mended copy into a new directory."
        )


def _finish(summary: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print a summary; end with 3 where something was refused."""
    if as_json:
        report(json.dumps(summary))
    else:
        refused = ", ".join(f"{count} {reason}" for reason, count in summary["refused"].items())
        report(text + (f" Left out: {refused}." if refused else ""))
        for example in summary["examples"]:
            click.echo(terminal.clean(example), err=True)
        if summary["units_done"] < summary["units"]:
            report(f"Parts done: {summary['units_done']} of {summary['units']}.")
        elif "cursor" in summary:
            report(f"For the next scan: --since {summary['cursor']}")
    if summary["refused"]:
        click.get_current_context().exit(terminal.EXIT_SOME_REJECTED)

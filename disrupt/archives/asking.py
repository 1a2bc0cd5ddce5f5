"""``disrupt match``, with ``--archive``: ask a server what is new near the hashes of an archive."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from disrupt.client import commands, terminal
from disrupt.client.results import HashAnswer, Match
from disrupt.client.retries import RetryPolicy
from disrupt.client.sync import MatchClient
from disrupt.errors import ArchiveRefusedError, CursorExpiredError, DisruptError
from disrupt.extras import lacking

# pyarrow is imported where an archive is read: other lookups do without it.
if TYPE_CHECKING:
    from disrupt.archives.rows import ColumnNames, Rows, Tally
    from disrupt.archives.units import Unit

_RETRIES = RetryPolicy(attempts=8)

_HELP = """

\b
Ask again for what is new:
  disrupt match --archive uploads.csv --since since.cursor >> matches

The archive is a Parquet or CSV file with a row for each hash: your id, the hash as 64 hex digits,
and its quality, 0-100, or empty. Each id that matches gives one line, as with --json. The first
time everything is searched, later only what became new since the run that wrote the file of
--since, which is written once all was asked. If it is interrupted, run it again: it goes on where
it was, and may print some lines again. Where rows cannot be looked up, the others are, it ends with
exit code 3, and no cursor is written. It needs the extra "archives".
"""

_EXAMPLES = 20

_OF_FILES = ("kind", "effort", "whole_only", "leave_out_common", "send_pictures", "is_self_test")
"""Options that lookups of archives do not have."""


def _match(
    *,
    archive: Path | None,
    since: Path | None,
    id_column: str,
    hash_column: str,
    quality_column: str | None,
    **options: Any,  # noqa: ANN401 those of the command that this one adds to
) -> None:
    context = click.get_current_context()
    if archive is None and since is None:
        context.invoke(commands.match, **options)
        return
    given = any(
        context.get_parameter_source(name) is not ParameterSource.DEFAULT for name in _OF_FILES
    )
    if archive is None or since is None or options["inputs"] or given:
        raise click.UsageError(
            "Give --archive FILE together with --since FILE, and neither other files nor options of"
            " lookups by file."
        )
    if error := lacking("disrupt match --archive", "archives"):
        raise error
    from disrupt.archives.rows import ColumnNames

    names = ColumnNames(id_column, hash_column)
    if quality_column is not None:
        names = replace(names, quality=quality_column, quality_needed=True)
    narrow = {
        "max_distance_bits": options["max_distance"],
        "max_matches": options["max_matches"],
        "banks": list(options["banks"]),
    }
    connection = {name: options[name] for name in ("server", "key_file", "tls_ca")}
    context.invoke(_ask, archive=archive, kept=since, names=names, narrow=narrow, **connection)


@click.command()
@terminal.connection_options()
def _ask(
    *,
    archive: Path,
    kept: Path,
    names: ColumnNames,
    narrow: dict[str, Any],
    target: terminal.Target,
) -> None:
    """Ask, print, and end with the exit code."""
    from disrupt.archives import units

    _check_end(archive)
    parts = units.units_of([archive], names.needed)
    status = archive.stat()
    file = [str(archive.absolute()), status.st_size, status.st_mtime_ns]
    of = {"archive": file, "columns": asdict(names), "options": narrow}
    with MatchClient(
        target.server, key=target.key, tls_ca=target.tls_ca, retries=_RETRIES
    ) as client:
        run = _Run.begun(kept, of)
        try:
            run.ask(client, parts, names, narrow)
        except CursorExpiredError as error:
            if not run.since:
                raise
            click.echo(f"{terminal.clean(error.message)} So that is done now.", err=True)
            run = _Run(kept, of, run.before, since="")
            run.ask(client, parts, names, narrow)
    run.end()


def _check_end(archive: Path) -> None:
    """Refuse a CSV file whose last line has no end: more may have followed."""
    try:
        with archive.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"  # which has an end of its own
            file.seek(-1, 2)
            has_end = file.read() == b"\n"
    except OSError as error:
        raise ArchiveRefusedError(f"{archive} is empty, or cannot be read: {error}.") from error
    if not is_parquet and not has_end:
        raise ArchiveRefusedError(
            f"The last line of {archive} has no end: the file may be cut off. Nothing was asked."
            " End that line if the file is whole."
        )


@dataclass(slots=True)
class _Run:
    """A run over one archive, of which ``units`` units were asked.

    ``kept`` is the file of the cursor, which had the text ``before``; ``since`` is the cursor that
    is asked with, and ``next_since`` that of the first answer. How far it has come is noted in a
    file beside ``kept``. ``of`` names archive and options: with others, another run begins.
    """

    kept: Path
    of: dict[str, Any]
    before: str
    since: str
    next_since: str = ""
    units: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @classmethod
    def begun(cls, kept: Path, of: dict[str, Any]) -> _Run:
        """Go on with an interrupted run over the same archive, or begin one."""
        try:
            before = kept.read_text("ascii").strip() if kept.exists() else ""
            run = cls(kept, of, before, since=before)
            noted = json.loads(run.notes.read_text("ascii")) if run.notes.exists() else {}
        except (OSError, ValueError) as error:
            raise DisruptError(
                f"{kept}, or {kept.name}.unfinished beside it, cannot be read: {error}. Nothing was"
                " asked. Delete both to look everything up."
            ) from error
        if (noted.get("of"), noted.get("before")) == (of, before):
            run.since, run.next_since, run.units = (
                noted[name] for name in ("since", "next_since", "units")
            )
            run.counts, run.refused = Counter(noted["counts"]), Counter(noted["refused"])
            run.examples = noted["examples"]
        return run

    @property
    def notes(self) -> Path:
        """The file that says how far it has come."""
        return self.kept.with_name(f"{self.kept.name}.unfinished")

    def ask(
        self,
        client: MatchClient,
        units: Sequence[Unit],
        names: ColumnNames,
        narrow: dict[str, Any],
    ) -> None:
        """Ask for the units that are left; print what matches."""
        from disrupt.archives.rows import Tally, read

        with terminal.Progress(len(units), "Looking up") as progress:
            for unit in progress.files(units):
                if unit.number < self.units:
                    continue
                tally = Tally()
                for rows in read(unit, names, tally):
                    self._ask_rows(client, rows, narrow)
                self._note(unit, tally)

    def _ask_rows(self, client: MatchClient, rows: Rows, narrow: dict[str, Any]) -> None:
        answers = client.match_hashes(rows.hashes, since=self.since, **narrow)
        if answers and not self.next_since:
            # Those of later answers may be of a later day: what came before it is not asked for
            # the rows of this one.
            self.next_since = answers[0].next_since
        near = dict[str, list[tuple[Match, int]]]()
        for at, answer in enumerate(answers):
            if answer.matches:
                of_id = near.setdefault(str(rows.ids[at]), [])
                of_id += ((match, int(rows.areas[at])) for match in answer.matches)
        for name, matches in near.items():
            terminal.print_json(commands.json_line(name, _nearest(matches)))
        self.counts["matched"] += len(near)

    def _note(self, unit: Unit, tally: Tally) -> None:
        """Note that a unit was asked, after what it printed is durable."""
        from disrupt.data_directory import write_private

        with suppress(OSError):  # no file, but a terminal or a pipe
            os.fsync(sys.stdout.fileno())
        self.units = unit.number + 1
        self.counts.update(rows=tally.rows, low_quality=tally.low_quality)
        self.refused.update(tally.refused)
        self.examples = (self.examples + tally.examples)[:_EXAMPLES]
        names = [column.name for column in fields(self) if column.name != "kept"]
        write_private(self.notes, json.dumps({name: getattr(self, name) for name in names}))

    def end(self) -> None:
        """Write the cursor for the next run; with exit code 3 instead where rows were refused."""
        from disrupt.data_directory import write_private

        click.echo(
            f"{self.counts['rows']} rows, lines of matches: {self.counts['matched']}. Of low"
            f" quality, and not looked up: {self.counts['low_quality']}.",
            err=True,
        )
        if self.next_since and not self.refused:
            write_private(self.kept, self.next_since)
        self.notes.unlink(missing_ok=True)
        if self.refused:
            refused = ", ".join(f"{count} {reason}" for reason, count in self.refused.most_common())
            click.echo(
                f"Not looked up: {refused}. So {self.kept} is as before: mend these rows or take"
                " them out, and run it again.",
                err=True,
            )
            for example in self.examples:
                click.echo(terminal.clean(example), err=True)
            click.get_current_context().exit(terminal.EXIT_SOME_REJECTED)


def _nearest(near: Sequence[tuple[Match, int]]) -> HashAnswer:
    """Return the nearest match of each item among those of one id, with the area of the query.

    The areas are of the pair that shows most of either side, as in an answer to a picture.
    """
    nearest, areas = dict[str, Match](), dict[str, tuple[int, int]]()
    for match, area in sorted(near, key=lambda pair: _order(pair[0])):
        nearest.setdefault(match.item_id, match)
        pair = area, match.stored_area_permille
        widest = areas.setdefault(match.item_id, pair)
        if (max(pair), min(pair)) > (max(widest), min(widest)):
            areas[match.item_id] = pair
    matches = tuple(
        replace(match, query_area_permille=of_query, stored_area_permille=of_stored)
        for match, (of_query, of_stored) in zip(nearest.values(), areas.values(), strict=True)
    )
    return HashAnswer(matches, truncated=False, low_quality=False, index_cursor="")


def _order(match: Match) -> tuple[bool, bool, int]:
    return match.disputed, match.common, match.distance_bits


_PATH = click.Path(dir_okay=False, path_type=Path)

match = click.Command(
    "match",
    callback=_match,
    help=f"{commands.match.help}{_HELP}",
    no_args_is_help=True,
    params=[
        *commands.match.params,
        click.Option(
            ["--archive"],
            type=_PATH,
            help="Parquet or CSV file of hashes to ask for again, with --since.",
        ),
        click.Option(
            ["--since"],
            type=_PATH,
            help="File with the cursor of the run before, which gets that of this one.",
        ),
        click.Option(["--id-column"], default="id", show_default=True, help="Column of your ids."),
        click.Option(
            ["--hash-column"], default="hash", show_default=True, help="Column of hashes."
        ),
        click.Option(
            ["--quality-column"],
            help="Column of PDQ qualities.  [default: quality, where the archive has it]",
        ),
    ],
)

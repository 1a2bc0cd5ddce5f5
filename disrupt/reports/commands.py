"""``disrupt yearly-report``: the report of a year, as pages, PDF and CSV."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TextIO

import click

from disrupt.client import terminal
from disrupt.client.language import in_line
from disrupt.client.retries import RetryPolicy
from disrupt.client.review import ReviewClient
from disrupt.reports import counts, operator, pages
from disrupt.reports.figures import Period, families, organisations, restores
from disrupt.texts import Phrase, read_catalogue

_TEXTS = read_catalogue("report")
_RETRIES = RetryPolicy(attempts=4)
EXIT_DRAFT = 3

_HELP = """Faire le rapport d'une année : pages HTML, PDF et CSV, en français et en anglais.

Make the report of a year, as a trusted flagger owes it: HTML, PDF and CSV, in French and English.

Counts come from the server, as `disrupt review tallies` lists them, with a key of right review that
names all banks; or with --counts from a file of them. Counts below 10, and what would tell them,
are rounded. --texts names a TOML file with the operator's own texts and notices. The command says
what is missing, and marks it in the report.

\b
Exemples · Examples:
  disrupt yearly-report 2026 --texts operator.toml --output report
  disrupt yearly-report --since 2026-09-01 --until 2027-08-31 --counts counts.jsonl

\b
Codes de sortie · Exit codes:
  0  fait · done
  1  échec ou refus · failed or refused
  2  commande mal écrite · the command is used wrongly
  3  fait, mais c'est un projet · done, but it is a draft
"""


def _text(key: str, **fields: object) -> str:
    return terminal.clean(in_line(_TEXTS[key].format(**fields)))


@click.command("yearly-report", help=_HELP, no_args_is_help=True)
@click.argument("year", type=click.IntRange(2000, 9998), required=False)
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Premier jour · First day, UTC.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Dernier jour · Last day, UTC.")
@click.option(
    *("--language", "languages"),
    type=click.Choice(Phrase._fields),
    multiple=True,
    default=Phrase._fields,
    help="Langue ; sinon les deux · Language; else both.",
)
@click.option(
    *("--output", "folder"),
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Dossier où écrire · Folder to write to.",
)
@click.option(
    *("--counts", "counts_file"),
    type=click.File(encoding="utf-8-sig"),
    help="Comptes de `disrupt review tallies` ; - : entrée standard · Counts from a file, not the "
    "server.",
)
@click.option(
    *("--texts", "texts_file"),
    type=click.File(encoding="utf-8"),
    help="Textes et notifications du service, en TOML · The operator's texts and notices.",
)
@terminal.connection_options(no_key=None)
def yearly_report(
    *,
    year: int | None,
    since: date | None,
    until: date | None,
    languages: tuple[str, ...],
    folder: Path,
    counts_file: TextIO | None,
    texts_file: TextIO | None,
    target: terminal.Target,
) -> None:
    """Read, sum up, write, and say what is missing."""
    period = _period(year, since, until)
    own = operator.read(texts_file.read()) if texts_file else operator.OperatorFile()
    if counts_file:
        counted = counts.of_file(counts_file, period)
    else:
        if not target.key:
            raise click.UsageError(_text("usage.no_key"))
        with ReviewClient(
            target.server, key=target.key, tls_ca=target.tls_ca, retries=_RETRIES
        ) as client:
            counted = counts.of_server(client, period)
    report = pages.Report(
        period, families(counted, period), organisations(counted), restores(counted)
    )
    folder.mkdir(parents=True, exist_ok=True)
    name = f"disrupt-{year or f'{period.first_day}_{period.last_day}'}"
    for language in languages:
        page = pages.html(report, own, language)
        _write(folder / f"{name}.{language}.html", page.encode())
        _write(folder / f"{name}.{language}.pdf", pages.pdf(page))
    all_families = [*report.families.values(), *([own.notices] if own.notices else [])]
    _write(folder / f"{name}.csv", pages.table(all_families).encode())
    click.echo(_text("overlap"), err=True)
    if own.notices is None:
        click.echo(_text("no_notices"), err=True)
    if gaps := [f"{each}.{text}" for each in languages for text in own.missing(each)]:
        click.echo(_text("gaps", names=", ".join(gaps)), err=True)
        click.get_current_context().exit(EXIT_DRAFT)


def _period(year: int | None, since: date | None, until: date | None) -> Period:
    """Return the days of a year, or from one day to another. Raises UsageError."""
    if year is not None and since is None and until is None:
        return Period(f"{year}-01-01", f"{year}-12-31")
    if year is not None or since is None or until is None:
        raise click.UsageError(_text("usage.period"))
    if until < since:
        raise click.UsageError(_text("usage.order"))
    return Period(f"{since:%Y-%m-%d}", f"{until:%Y-%m-%d}")


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    click.echo(_text("written", path=path))

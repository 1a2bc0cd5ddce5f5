"""Write a report: an HTML page that needs no other file, the same as PDF, and figures as CSV."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import ImageFile
from weasyprint import HTML
from weasyprint.urls import URLFetcher

from disrupt.core.tallies import MONTHLY, Tally
from disrupt.reports import plots
from disrupt.reports.disclosure import Figure
from disrupt.reports.figures import MONTH, Family, Period, Table
from disrupt.reports.operator import OperatorFile
from disrupt.texts import read_texts

# WeasyPrint sets it for the whole process when it is imported.
ImageFile.LOAD_TRUNCATED_IMAGES = False

SECTIONS: Mapping[str, tuple[Tally, ...]] = {
    "registered": (
        *(Tally.CASES_OPENED, Tally.REGISTRATIONS, Tally.ITEMS_REGISTERED),
        *(Tally.DOORS, Tally.LANGUAGES),
    ),
    "withdrawn": (Tally.CASES_CLOSED, Tally.ITEMS_WITHDRAWN, Tally.ITEMS_ERASED),
    "uploads": (Tally.UPLOADS_LOOKED_UP, Tally.UPLOADS_LOOKED_UP_AGAIN, Tally.UPLOADS_MATCHED),
    "outcomes": (Tally.OUTCOMES,),
    "disputes": (Tally.DISPUTES, Tally.REVIEWS),
}
"""Families of each section of the first chapter, in order."""

_THOUSANDS = {"fr": "\N{NARROW NO-BREAK SPACE}", "en": ","}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins a formula in spreadsheets."""

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Report:
    """All that is published of a period, without what the operator says beside it."""

    period: Period
    families: Mapping[Tally, Family]
    organisations: Mapping[str, Sequence[str]]
    restores: Sequence[tuple[str, str]]


class _Words:
    """The words of a language, for the template."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.texts = read_texts("report", language)

    def __call__(self, key: str, **fields: object) -> str:
        return self.texts[key].format(**fields)

    def value(self, label: str, value: str) -> str:
        """Return how a label's value is called; one that is not known is called as it is."""
        if label == MONTH:
            year, month = value.split("-")
            return f"{self.texts[f'month.{month}']} {year}"
        return self.texts.get(f"value.{label}.{value}") or value or self.texts["value.none"]

    def day(self, day: str) -> str:
        """Return an ISO day in words."""
        of = date.fromisoformat(day)
        number = "1er" if self.language == "fr" and of.day == 1 else str(of.day)
        return f"{number} {self.value(MONTH, day[:7])}".replace(" ", "\N{NO-BREAK SPACE}")

    def figure(self, figure: Figure) -> str:
        """Return a figure as it is shown."""
        if figure.is_small:
            return self.texts["figure.small"].format(count=figure.most + 1)
        number = f"{figure.nearest:,}".replace(",", _THOUSANDS[self.language])
        return number if figure.is_exact else f"≈\N{NO-BREAK SPACE}{number}"


def html(report: Report, operator: OperatorFile, language: str) -> str:
    """Return the page of a report in a language (``fr`` or ``en``)."""
    words = _Words(language)
    return _TEMPLATES.get_template("report.html").render(
        words=words,
        report=report,
        sections=SECTIONS,
        summary=[each for names in SECTIONS.values() for each in names if each not in MONTHLY],
        own=operator.texts.get(language, {}),
        missing=operator.missing(language),
        notices=operator.notices,
        plot=_plot(words),
    )


def pdf(page: str) -> bytes:
    """Return a page of ``html`` as PDF/UA; nothing is loaded from elsewhere."""
    document = HTML(string=page, url_fetcher=URLFetcher(allowed_protocols={"data"}))
    written: bytes = document.write_pdf(pdf_variant="pdf/ua-1")
    return written


def table(families: Sequence[Family]) -> str:
    """Return figures as CSV: what is counted, by which labels, and from ``least`` to ``most``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("of", "by_1", "value_1", "by_2", "value_2", "shown", "least", "most"))
    for family in families:
        for each in (Table((), {(): family.total}), *family.tables):
            for values, figure in each.rows.items():
                cells = [name for pair in zip(each.labels, values, strict=True) for name in pair]
                cells = [*map(_cell, cells), *[""] * (4 - len(cells))]
                shown = f"<{figure.most + 1}" if figure.is_small else figure.nearest
                writer.writerow((family.name, *cells, shown, figure.least, figure.most))
    return text.getvalue()


def _cell(text: str) -> str:
    """Return a text that a spreadsheet takes as such."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _plot(words: _Words) -> Callable[[Table], str]:
    def plot(table: Table) -> str:
        names = [words.value(MONTH, month) for (month,) in table.rows]
        svg = plots.months(names, list(table.rows.values()), _THOUSANDS[words.language])
        return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"

    return plot

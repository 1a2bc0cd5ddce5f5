"""A report of a simulated year: what its pages say, against a naive sum of the same counts."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFile
from pypdf import PdfReader

from disrupt.core.tallies import LABELS, MONTHLY, Count, Tally
from disrupt.errors import ConfigurationError
from disrupt.reports import counts, operator, pages
from disrupt.reports.disclosure import Figure
from disrupt.reports.figures import Period, families, organisations, restores
from disrupt.texts import read_texts
from tests.reports import simulated
from tests.reports.test_disclosure import SMALL, possible_counts

YEAR = Period("2026-01-01", "2026-12-31")
LANGUAGES = ("fr", "en")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=https://example.invalid/x>',
    "=HYPERLINK(1)",
    "x" * 100,
    "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}\N{ARABIC LETTER ALEF}",
    "{{ words }}",
)
VOID = {"meta", "img"}


def report(counted: Sequence[Count], period: Period = YEAR) -> pages.Report:
    return pages.Report(
        period, families(counted, period), organisations(counted), restores(counted)
    )


class Page(HTMLParser):
    """Texts of a page, and what it loads; elements that are not closed are errors."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.texts: list[str] = []
        self.loads: list[str] = []
        self.images: list[str | None] = []
        self.language: str | None = None
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "html":
            self.language = values["lang"]
        self.loads += [values[name] or "" for name in ("src", "href") if name in values]
        if tag == "img":
            self.images.append(values["alt"])
        if tag not in VOID:
            self.open.append(tag)
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if {"td", "th"} & {*self.open}:
            self.cells[-1] += data.strip()


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table)))


@pytest.fixture(scope="module")
def year() -> list[Count]:
    return simulated.year(3)


@pytest.fixture(scope="module")
def quarter() -> pages.Report:
    return report(simulated.year(3, days=90), Period("2026-01-01", "2026-03-31"))


@pytest.fixture(scope="module")
def own() -> operator.OperatorFile:
    texts = "".join(
        f"[{language}]\n" + "".join(f'{name} = "{name} {language}"\n' for name in operator.TEXTS)
        for language in LANGUAGES
    )
    notice = '[[notices]]\nprovider = "agora.example"\ncategory = "STATEMENT_CATEGORY_VIOLENCE"\n'
    return operator.read(f'{texts}{notice}action = "removed"\ncount = 48\n')


def test_pictures_cut_short_are_still_refused_where_reports_are_made() -> None:
    assert not ImageFile.LOAD_TRUNCATED_IMAGES  # the PDF's library sets it


def test_figures_are_the_sums_of_the_counts_where_they_are_not_rounded(year: list[Count]) -> None:
    published = rows(pages.table([*families(year, YEAR).values()]))
    assert {row["of"] for row in published} == {*Tally} - {
        Tally.ORGANISATIONS_ACTIVE,
        Tally.PROBING,
        Tally.RESTORES,
    }
    exact = 0
    for row in published:
        by = {row[f"by_{at}"]: row[f"value_{at}"] for at in (1, 2) if row[f"by_{at}"]}
        tally = Tally(row["of"])
        naive = sum(
            each.count
            for each in year
            if each.tally == tally
            and {
                **dict(zip(LABELS[tally], each.labels, strict=True)),
                "month": each.day[:7],
            }.items()
            >= by.items()
        )
        assert int(row["least"]) <= naive <= int(row["most"]), row
        exact += row["least"] == row["most"] == row["shown"]
    assert 50 < exact < len(published)


def test_each_table_adds_up_to_its_total_where_nothing_is_rounded(year: list[Count]) -> None:
    of_year = families(year, YEAR)
    assert {each.is_rounded for each in of_year.values()} == {True, False}
    for each in of_year.values():
        for table in each.tables:
            if not each.is_rounded:
                assert sum(figure.least for figure in table.rows.values()) == each.total.least


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_whole_in_its_language(
    quarter: pages.Report, own: operator.OperatorFile, language: str
) -> None:
    text = pages.html(quarter, own, language)
    page = Page(text)
    assert page.language == language
    assert all(page.cells)
    assert all(page.images)
    assert page.loads
    assert all(each.startswith("data:image/svg+xml") for each in page.loads)
    for words in own.texts[language].values():
        assert words in page.texts
    said = read_texts("report", language)
    for tally in quarter.families:
        assert said[f"definition.{tally}"] in page.texts
    assert said["draft"] not in page.texts
    assert not {*re.findall(r"\b[a-z]+(?:\.[a-z_]+)+\b", " ".join(page.texts))} & {*said}

    document = PdfReader(io.BytesIO(pages.pdf(text)))
    assert str(document.root_object["/Lang"]) == language
    assert "/StructTreeRoot" in document.root_object
    assert len(document.pages) > 3
    in_pdf = "".join("".join(each.extract_text() for each in document.pages).split())
    assert "".join(own.texts[language]["independence"].split()) in in_pdf
    assert "".join(said["section.independence"].split()) in in_pdf


def test_the_table_has_every_figure_that_the_pages_show_and_no_other(
    quarter: pages.Report,
) -> None:
    page = Page(pages.html(quarter, operator.OperatorFile(), "en"))
    published = rows(pages.table([*quarter.families.values()]))
    shown = set[str]()
    for row in published:
        about = "" if row["least"] == row["most"] else "≈\N{NO-BREAK SPACE}"
        is_small = row["shown"].startswith("<")
        shown.add("fewer than 10" if is_small else f"{about}{int(row['shown']):,}")
    of_total = {text.split(": ")[-1].rstrip(".") for text in page.texts if "Total of" in text}
    cells = {cell for cell in page.cells if re.fullmatch(r"fewer than 10|(≈\s)?[\d,]+", cell)}
    assert cells | of_total == shown


few = st.builds(
    Count,
    st.sampled_from(("2026-01-05", "2026-02-05", "2026-03-05")),
    st.just(Tally.OUTCOMES),
    st.tuples(
        st.sampled_from(("a", "b")),
        st.sampled_from(("blocked", "false_positive")),
        st.sampled_from(("0", "1", "31-")),
    ),
    st.integers(1, 12),
)


@given(st.lists(few, max_size=12))
def test_no_small_number_of_a_report_can_be_worked_out(counted: list[Count]) -> None:
    of_outcomes = families(counted, Period("2026-01-01", "2026-04-30"))[Tally.OUTCOMES]
    tables = itertools.groupby(rows(pages.table([of_outcomes])), lambda row: row["by_1"])
    figures = [
        [Figure(int(row["least"]), int(row["most"])) for row in of_table] for _, of_table in tables
    ]
    for of, of_table in enumerate(figures):
        for at, figure in enumerate(of_table):
            if figure.most in SMALL or figure.least in SMALL:
                assert len(possible_counts((of, at), figures)) > 1


def test_what_the_operator_has_not_written_is_marked(quarter: pages.Report) -> None:
    empty = operator.OperatorFile()
    assert empty.missing("fr") == [*operator.TEXTS]
    page = Page(pages.html(quarter, empty, "fr"))
    said = read_texts("report", "fr")
    for key in ("draft", "notices.none_given", *(f"missing.{name}" for name in operator.TEXTS)):
        assert said[key] in page.texts


def test_names_of_strangers_are_text_wherever_they_stand() -> None:
    period = Period("2026-01-01", "2026-01-31")
    counted = simulated.year(5, days=20, platforms=HOSTILE)
    own = operator.OperatorFile({"en": dict.fromkeys(operator.TEXTS, HOSTILE[0])})
    text = pages.html(report(counted, period), own, "en")
    page = Page(text)
    assert "script" not in re.findall(r"<(\w+)", text)
    assert all(each.startswith("data:image/svg+xml") for each in page.loads)
    assert {*HOSTILE} <= {*page.cells}
    assert page.texts.count(HOSTILE[0]) > len(operator.TEXTS)
    assert pages.pdf(text)
    values = [row["value_1"] for row in rows(pages.table([*families(counted, period).values()]))]
    assert HOSTILE[0] in values
    assert not [value for value in values if value.startswith("=")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_year_without_a_count_says_so(language: str) -> None:
    page = Page(pages.html(report([]), operator.OperatorFile(), language))
    assert all(page.cells)
    figures = [cell for cell in page.cells if re.fullmatch(r"\D*\d[\d,]*", cell)]
    assert {*figures} == {"0"}
    assert all(row["shown"] == "0" for row in rows(pages.table([*families([], YEAR).values()])))


def test_a_period_over_new_year_has_its_own_months_alone() -> None:
    period = Period("2026-11-15", "2027-02-10")
    kept = simulated.year(7, "2026-06-01", 400)
    counted = counts.of_file([f"{simulated.line(each)}\n" for each in kept], period)
    inside = [each for each in kept if period.first_day <= each.day <= period.last_day]
    assert counted == inside
    opened = families(counted, period)[Tally.CASES_OPENED]
    assert [*opened.tables[-1].rows] == [("2026-11",), ("2026-12",), ("2027-01",), ("2027-02",)]
    by_month = Counter[str]()
    for each in inside:
        by_month[each.day[:7]] += each.count * (each.tally == Tally.CASES_OPENED)
    for (month,), figure in opened.tables[-1].rows.items():
        assert figure.least <= by_month[month] <= figure.most
    page = Page(pages.html(report(counted, period), operator.OperatorFile(), "fr"))
    assert any("janvier 2027" in text for text in page.texts)


def test_a_restored_registry_is_told() -> None:
    counted = [
        Count("2026-05-03", Tally.RESTORES, ("2026-05-01",), 1),
        Count("2026-06-03", Tally.RESTORES, ("",), 1),
    ]
    text = pages.html(report(counted), operator.OperatorFile(), "en")
    for day in ("1 May 2026", "3 May 2026", "3 June 2026"):
        assert day in text.replace("\N{NO-BREAK SPACE}", " ")


def as_csv(of: Iterable[Count], period: str) -> list[str]:
    """Write counts as ``disrupt review tallies --csv`` does."""
    sums = Counter[tuple[str, Tally, tuple[str, ...]]]()
    for each in of:
        sums[each.day[:7] if period == "month" else each.day, each.tally, each.labels] += each.count
    columns = max(map(len, LABELS.values()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([period, "tally", *(f"label_{at + 1}" for at in range(columns)), "count"])
    for (day, tally, labels), number in sums.items():
        writer.writerow([day, tally, *labels, *[""] * (columns - len(labels)), number])
    return text.getvalue().splitlines(keepends=True)


def test_all_forms_of_a_file_make_the_same_report(year: list[Count]) -> None:
    forms = (
        [f"{simulated.line(each)}\n" for each in year],
        as_csv(year, "day"),
        as_csv(year, "month"),
    )
    reports = [families(counts.of_file(form, YEAR), YEAR) for form in forms]
    assert reports[0] == reports[1] == reports[2] == families(year, YEAR)


def test_counts_by_month_are_refused_for_part_of_a_month(year: list[Count]) -> None:
    with pytest.raises(ConfigurationError):
        counts.of_file(as_csv(year, "month"), Period("2026-01-01", "2026-12-30"))


OPENED: dict[str, object] = {"day": "2026-01-01", "tally": "cases_opened", "labels": {}, "count": 1}
CHANGES: tuple[dict[str, object], ...] = (
    {"day": "yesterday"},
    {"day": 20260101},
    {"tally": "of_another_version"},
    {"count": -1},
    {"count": True},
    {"count": "1"},
    {"labels": []},
    {"tally": "doors"},
    {"tally": "doors", "labels": {"door": 1}},
    {"tally": "doors", "labels": {"door": "page"}, "day": "2026-01-02"},
)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        "day,tally,count\n2026-01-01,cases_opened,x",
        "{}",
        *(json.dumps(OPENED | change) for change in CHANGES),
    ],
)
def test_a_file_with_anything_else_is_refused(line: str) -> None:
    fine = json.dumps(OPENED)
    assert counts.of_file([fine], YEAR)
    with pytest.raises(ConfigurationError):
        counts.of_file(line.splitlines() if "\n" in line else [fine, line], YEAR)


NOTICE = {
    "provider": '"a"',
    "category": '"STATEMENT_CATEGORY_VIOLENCE"',
    "action": '"removed"',
    "count": "2",
}


@pytest.mark.parametrize(
    "change",
    [
        {"count": "0"},
        {"count": "true"},
        {"provider": '" "'},
        {"action": '"forgot"'},
        {"category": '"VIOLENCE"'},
        {"keyword": '"VIOLENCE"'},
        {"keyword": "1"},
        {"note": '"x"'},
    ],
)
def test_a_notice_of_another_form_is_refused(change: dict[str, str]) -> None:
    def content(notice: dict[str, str]) -> str:
        return "[[notices]]\n" + "".join(f"{name} = {value}\n" for name, value in notice.items())

    assert operator.read(content(NOTICE)).notices
    with pytest.raises(ConfigurationError):
        operator.read(content(NOTICE | change))


@pytest.mark.parametrize("content", ["[", "x = 1", "[fr]\nx = 'y'", "[fr]\noperator = 1", "fr = 1"])
def test_an_operators_file_of_another_form_is_refused(content: str) -> None:
    with pytest.raises(ConfigurationError):
        operator.read(content)


def test_monthly_tallies_are_of_the_months_that_begin_in_the_period(year: list[Count]) -> None:
    period = Period("2026-01-02", "2026-03-31")
    inside = [each for each in year if period.first_day <= each.day <= period.last_day]
    for tally in MONTHLY:
        assert {each.day for each in inside if each.tally == tally} == {"2026-02-01", "2026-03-01"}

"""The pages under docs/ have examples that run, true tables, working links and few lines."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.tables import RESULTS, tables_of, written
from disrupt import errors
from disrupt.client.retries import RETRYABLE
from disrupt.core.hashes import MIN_LOOKUP_QUALITY, MIN_QUALITY
from disrupt.errors import DisruptError
from disrupt.server.config import Config
from tests.document import examples, run_examples, table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BIN = Path(sys.executable).parent
DECISIONS, MEASUREMENTS = DOCS / "decisions", DOCS / "measurements"
PAGES = sorted(DOCS.glob("*.md"))
MARKDOWN = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

MAX_PAGE_LINES, MAX_LINE_COLUMNS = 150, 100

LOUD = {"_log.warning", "_log.error", "_log.critical"}


def name(page: Path) -> str:
    """Return the path of a page below the root, for the names of tests."""
    return str(page.relative_to(ROOT))


def records(folder: Path) -> list[Path]:
    """Return the records of a folder, without its index."""
    return sorted(page for page in folder.glob("*.md") if page.name != "index.md")


def prose(page: Path) -> str:
    """Return the text of a page without code blocks, tables and the targets of its links."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in text.splitlines() if not line.startswith(("|", "    "))]
    return re.sub(r"\]\([^)]*\)", "]", "\n".join(lines))


def links(page: Path) -> list[tuple[Path, str]]:
    """Return the file and the anchor, which may be empty, of each relative link of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\((?!\w+:)([^)#]*)(?:#([^)]*))?\)", text)
    return [((page.parent / path).resolve() if path else page, anchor) for path, anchor in targets]


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.slow
def test_what_operations_says_to_type_works_as_written(tmp_path: Path, free_port: int) -> None:
    pages = (DOCS / "install-server.md", DOCS / "operations.md")
    run_examples("".join(page.read_text("utf-8") for page in pages), tmp_path, free_port)


def test_examples_write_no_secret_into_a_file_that_others_have_made() -> None:
    pages = (ROOT / "README.md", DOCS / "install-server.md", DOCS / "operations.md")
    commands = [command for page in pages for command, _ in examples(page.read_text("utf-8"))]
    files = [file for command in commands for file in re.findall(r"--secret-file (\S+)", command)]
    assert len(files) > len(pages)
    assert len(files) == len(set(files))


def test_every_setting_is_documented_with_its_default() -> None:
    rows = table((DOCS / "settings.md").read_text(), "All settings")
    documented = {row[0]: row[1] for row in rows if row[1:]}
    assert documented == {
        name: (
            "needed"
            if field.is_required()
            else "cores ÷ workers"
            if field.default_factory_takes_validated_data
            else "cores"
            if field.default_factory
            else "none"
            if field.default is None
            else str(field.default)
        )
        for name, field in Config.model_fields.items()
    }


def test_every_error_reason_is_documented_with_its_status() -> None:
    documented = {row[0]: row[1] for row in table((DOCS / "errors.md").read_text(), "Errors")}
    assert documented == {
        class_.reason: class_.status
        for class_ in vars(errors).values()
        if isinstance(class_, type) and issubclass(class_, DisruptError)
    }


def test_the_errors_that_are_tried_again_are_documented_so() -> None:
    rows = table((DOCS / "errors.md").read_text(), "Fail closed or open")
    retried = {name: again for names, again, *_ in rows for name in re.findall(r"\w+Error", names)}
    classes = {name: getattr(errors, name) for name in retried}
    for name, again in retried.items():
        assert (again == "yes") == issubclass(classes[name], RETRYABLE)
    assert {class_.__name__ for class_ in RETRYABLE} <= set(retried)
    assert all(then == "hold" or "refuse" in then for *_, then in rows)


def logged_events(module: Path) -> Iterator[str]:
    """Yield the events that a module logs at level warning or above.

    Of an event that is not written out, these are all names in the function that logs it.
    """
    for function in ast.walk(ast.parse(module.read_text("utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        nodes = list(ast.walk(function))
        names = [text for node in nodes if (text := written_out(node)) and text.isidentifier()]
        for call in nodes:
            if isinstance(call, ast.Call):
                # a call of the method, or one that is given the method and what to call it with
                for method, event in pairwise([call.func, *call.args]):
                    if ast.unparse(method) in LOUD:
                        yield from [text] if (text := written_out(event)) else names


def written_out(node: ast.AST) -> str | None:
    """Return the text of a literal; None for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@pytest.mark.slow
def test_every_warning_and_error_that_is_logged_has_a_remedy() -> None:
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    modules = [*(ROOT / "disrupt").rglob("*.py"), *(ROOT / "indexer").rglob("*.py")]
    events = {event for module in modules for event in logged_events(module)}
    assert events >= {"call_failed", "compaction_failed", "erasure_failed", "hangup_ignored"}
    for event in events:
        assert any(f"`{event}`" in row for row in rows), event


def test_the_least_quality_is_documented_as_it_is() -> None:
    rows = dict(table((DOCS / "hashing-pictures.md").read_text(), "Least quality"))
    assert {of: int(least) for of, least in rows.items() if least != "none"} == {
        of: MIN_LOOKUP_QUALITY if "MatchImage" in of else MIN_QUALITY
        for of, least in rows.items()
        if least != "none"
    }
    assert len(rows) == 5
    for text in (*DOCS.glob("*.md"), *(ROOT / "proto").rglob("*.proto"), ROOT / "README.md"):
        said = re.findall(r"quality[^.|]*\b(?:39|49) (?:or less|and below)", text.read_text())
        assert not said, f"{text}: say the least that is taken"


def test_links_of_pages_lead_to_files_and_headings_that_exist() -> None:
    targets = [(name(page), *link) for page in MARKDOWN for link in links(page)]
    assert any(anchor for _, _, anchor in targets)
    for page, target, anchor in targets:
        assert target.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), f"{page}: {name(target)}#{anchor}"


def test_files_that_pages_name_exist() -> None:
    # pages of measurements name files as of the measured commit
    pages = [page for page in MARKDOWN if page.parent != MEASUREMENTS]
    pattern = r"`((?:benchmarks|disrupt|indexer|scripts|tests)/[\w./-]+)`"
    paths = [(name(page), path) for page in pages for path in re.findall(pattern, prose(page))]
    assert paths
    for page, path in paths:
        assert (ROOT / path).exists(), f"{page}: {path}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in MARKDOWN if page.parent not in {DECISIONS, MEASUREMENTS}], ids=name
)
def test_modules_that_a_page_names_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # it names files as of each version
    folders = ("benchmarks", "disrupt", "docs", "indexer", "proto", "scripts", "tests")
    files = [*ROOT.glob("*.*")]
    for folder in folders:
        files += (ROOT / folder).rglob("*.*")
    named = re.findall(
        r"(?<![\w/.*-])((?:[\w.-]+/)*[\w-]+\.(?:proto|py|toml))\b", page.read_text("utf-8")
    )
    for path in named:
        if "google/" in path:
            continue  # of googleapis
        assert any(f"/{file.relative_to(ROOT)}".endswith(f"/{path}") for file in files), path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_is_short_enough_to_be_read(page: Path) -> None:
    lines = page.read_text("utf-8").splitlines()
    assert len(lines) <= MAX_PAGE_LINES
    for line in prose(page).splitlines():
        assert len(line) <= MAX_LINE_COLUMNS, line


def test_every_page_is_reached_from_the_index() -> None:
    index = DOCS / "index.md"
    listed = {target for target, _ in links(index)}
    assert listed >= set(PAGES) - {index}
    reached = listed | {
        target for page in listed if page.suffix == ".md" for target, _ in links(page)
    }
    assert reached | {index} >= set(DOCS.rglob("*.md"))
    assert index in {target for target, _ in links(ROOT / "README.md")}


@pytest.mark.parametrize("record", records(DECISIONS), ids=name)
def test_a_decision_gives_its_context_options_choice_and_consequences(record: Path) -> None:
    number, _, _ = record.stem.partition("-")
    text = record.read_text("utf-8")
    assert text.startswith(f"# {int(number)}. ")
    headings = re.findall(r"^## (\w+)", text, re.MULTILINE)
    assert headings == ["Context", "Options", "Decision", "Consequences"]


def test_no_two_decisions_have_the_same_number() -> None:
    numbers = [int(record.stem.partition("-")[0]) for record in records(DECISIONS)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("record", records(MEASUREMENTS), ids=name)
def test_a_measurement_gives_its_date_commit_command_and_machine(record: Path) -> None:
    date.fromisoformat(record.name[:10])
    facts = dict(re.findall(r"^\| (\w+) \| (.+) \|$", record.read_text("utf-8"), re.MULTILINE))
    commit = facts.get("measured") or facts["recorded"]
    assert re.search(r"\b[0-9a-f]{7}\b", commit)
    assert facts["command"]
    assert facts["machine"]


@pytest.mark.parametrize("record", records(MEASUREMENTS), ids=name)
def test_a_measurement_says_what_it_cannot_show(record: Path) -> None:
    text = record.read_text("utf-8")
    assert re.search(r"^(## |\*\*)What it cannot show", text, re.MULTILINE)


@pytest.mark.parametrize("page", MARKDOWN, ids=name)
def test_tables_of_a_page_are_as_the_reports_of_benchmarks_say(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text == written(text), "run scripts/tables"


def test_a_table_changes_with_its_report(tmp_path: Path) -> None:
    rows = [{"calls": "unary", "calls_per_s": 2000, "items_per_s": 2000, "of_nothing": 0.5}]
    report = {"rows": [rows[0] | {"of_engine": 0.25}]}
    (tmp_path / "new.json").write_text(json.dumps({"report": report}))
    page = "Text.\n\n<!-- table: service_in_short new -->\n| old |\n| --- |\n\n| other |\n"
    head, *_, row, _, last = written(page, tmp_path).splitlines()
    assert (head, row, last) == ("Text.", "| unary | 2 000 | 2 000 | 50% | 25% |", "| other |")


def test_a_promise_that_is_missed_is_bold(tmp_path: Path) -> None:
    figures = {"unary": (0.69, 0.1), "batches of 64": (0.2, 0.6), "flows of 64": (0.1, 0.8)}
    rows = [
        {"calls": calls, "of_nothing": of_nothing, "of_engine": of_engine}
        for calls, (of_nothing, of_engine) in figures.items()
    ]
    (tmp_path / "new.json").write_text(json.dumps({"report": {"rows": rows}}))
    *_, batches, unary = written("<!-- table: promises_of_service new -->\n", tmp_path).splitlines()
    assert "| 60% (flows: 80%) |" in batches
    assert "| **69%** |" in unary


def test_every_report_of_benchmarks_is_shown_and_has_the_facts_of_its_record() -> None:
    shown = {report for page in MARKDOWN for _, report in tables_of(page.read_text("utf-8"))}
    reports = {path.stem: json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")}
    assert shown == reports.keys()
    for stem, report in reports.items():
        facts = (MEASUREMENTS / f"{stem}.md").read_text("utf-8")
        for fact, value in report["record"].items():
            assert f"| {fact} | {value} |\n" in facts, stem
        assert {"command", "machine"} < report["record"].keys()


@pytest.mark.slow
def test_the_unit_starts_commands_that_exist() -> None:
    unit = (DOCS / "install-server.md").read_text().split("```ini\n")[1].split("```")[0]
    commands = re.findall(r"^ExecStart\w*=\S+/(.*)$", unit, re.MULTILINE)
    assert commands
    for line in commands:
        command, *words = line.split()
        shown = subprocess.run(
            [BIN / command, words[0], "--help"], capture_output=True, text=True, check=True
        ).stdout
        for option in (word for word in words if word.startswith("--")):
            assert option in shown


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_as_documented(shell: str) -> None:
    page = (DOCS / "install-server.md").read_text()
    assert f"_DISRUPT_COMPLETE={shell}_source disrupt" in page
    for command, variable in (
        ("disrupt", "_DISRUPT_COMPLETE"),
        ("disrupt-index", "_DISRUPT_INDEX_COMPLETE"),
    ):
        done = subprocess.run(
            [BIN / command],
            env={"PATH": f"{BIN}:/usr/bin:/bin", variable: f"{shell}_source"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"{variable}={shell}_complete" in done.stdout

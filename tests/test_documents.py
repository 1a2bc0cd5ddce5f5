"""The pages under docs/: their examples run, their tables are true, their links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from disrupt import errors
from disrupt.client.retries import RETRYABLE
from disrupt.core.hashes import MIN_LOOKUP_QUALITY, MIN_QUALITY
from disrupt.errors import DisruptError
from disrupt.server.config import Config
from tests.document import run_examples, table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BIN = Path(sys.executable).parent


def test_what_operations_says_to_type_works_as_written(tmp_path: Path, free_port: int) -> None:
    run_examples((DOCS / "operations.md").read_text(), tmp_path, free_port)


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {
        row[0]: row[1] for row in table((DOCS / "operations.md").read_text(), "Configure")
    }
    assert documented == {
        name: (
            "needed"
            if field.is_required()
            else "cores"
            if field.default_factory
            else "none"
            if field.default is None
            else str(field.default)
        )
        for name, field in Config.model_fields.items()
    }


def test_every_error_reason_is_documented_with_its_status() -> None:
    documented = {row[0]: row[1] for row in table((DOCS / "clients.md").read_text(), "Errors")}
    assert documented == {
        one.reason: one.status
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, DisruptError)
    }


def test_the_errors_that_are_tried_again_are_documented_so() -> None:
    rows = table((DOCS / "clients.md").read_text(), "Fail closed or open")
    retried = {name: again for names, again, *_ in rows for name in re.findall(r"\w+Error", names)}
    classes = {name: getattr(errors, name) for name in retried}
    for name, again in retried.items():
        assert (again == "yes") == issubclass(classes[name], RETRYABLE)
    assert {one.__name__ for one in RETRYABLE} <= set(retried)
    assert all(then == "hold" or "refuse" in then for *_, then in rows)


def test_the_least_quality_is_documented_as_it_is() -> None:
    rows = dict(
        table((DOCS / "hashing.md").read_text().replace("\n### ", "\n## "), "Least quality")
    )
    assert {of: int(least) for of, least in rows.items() if least != "none"} == {
        of: MIN_LOOKUP_QUALITY if "MatchImage" in of else MIN_QUALITY
        for of, least in rows.items()
        if least != "none"
    }
    assert len(rows) == 5
    for text in (*DOCS.glob("*.md"), *(ROOT / "proto").rglob("*.proto"), ROOT / "README.md"):
        said = re.findall(r"quality[^.|]*\b(?:39|49) (?:or less|and below)", text.read_text())
        assert not said, f"{text}: say the least that is taken"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_unit_starts_commands_that_exist() -> None:
    unit = (DOCS / "operations.md").read_text().split("```ini\n")[1].split("```")[0]
    for line in re.findall(r"^ExecStart\w*=\S+/(.*)$", unit, re.MULTILINE):
        command, *words = line.split()
        shown = subprocess.run(
            [BIN / command, words[0], "--help"], capture_output=True, text=True, check=True
        ).stdout
        for option in (word for word in words if word.startswith("--")):
            assert option in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_as_documented(shell: str) -> None:
    page = (DOCS / "operations.md").read_text()
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

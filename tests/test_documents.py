"""The pages under docs/ have examples that run, working links and few lines."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import skimage

from disrupt.cli import main
from disrupt.core.hashes import MIN_LOOKUP_QUALITY, MIN_QUALITY
from indexer.commands import main as index_main
from tests.document import run_examples, table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BIN = Path(sys.executable).parent
PAGES = sorted(DOCS.glob("*.md"))
MARKDOWN = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

MAX_LINE_COLUMNS = 100


def name(page: Path) -> str:
    """Return the path of a page below the root, for the names of tests."""
    return str(page.relative_to(ROOT))


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


REGISTERED = """```console
$ disrupt keys create helpline --right register --data-dir data --secret-file helpline.key
...
$ disrupt keys create uploads --right match --data-dir data --secret-file uploads.key
...
$ disrupt submit --key-file helpline.key --age adult kept.png
...
$ disrupt submit --key-file helpline.key --age adult gone.png
...
$ until disrupt match --key-file uploads.key --json gone.png | grep '"distance": 0,'; do :; done
...
```
"""

WITHDRAWN = """```console
$ disrupt withdraw --yes --key-file helpline.key CASE-NUMBER
...
$ disrupt backup --data-dir data --journal-to removals.copy
Copied ...
```
"""

FOUND = """```console
$ disrupt match --key-file uploads.key --json kept.png
{"input": "kept.png", ..."distance": 0, ...
$ disrupt match --key-file uploads.key --json gone.png
{"input": "gone.png", "quality": ..., "matches": [], "error": null}
```
"""


def test_what_operations_says_to_type_works_as_written_when_the_data_directory_is_lost(
    tmp_path: Path, free_port: int
) -> None:
    for name, picture in (("kept.png", "chelsea.png"), ("gone.png", "coffee.png")):
        shutil.copy(Path(skimage.__file__).parent / "data" / picture, tmp_path / name)
    pages = ("install-server.md", "operations.md", "backup-and-restore.md")
    text = "".join((DOCS / page).read_text("utf-8") for page in pages)
    for heading, before in (
        ("## Back up\n", REGISTERED),
        ("## Restore\n", WITHDRAWN),
        ("$ mkdir -p -m 700 data", "$ rm -r data\n"),
        ("## What a restore knows", FOUND),
    ):
        assert text.count(heading) == 1
        text = text.replace(heading, before + heading)
    run_examples(text, tmp_path, free_port)


@pytest.mark.parametrize(
    "page",
    [
        "reference/alerts",
        "durability",
        "erasure",
        "fleet",
        "backup-and-restore",
        "operations",
        "watch",
        "troubleshooting",
    ],
)
def test_commands_and_events_that_a_page_for_operators_names_exist(page: str) -> None:
    text = re.sub(r"\s+", " ", (DOCS / f"{page}.md").read_text("utf-8"))
    code = "".join(module.read_text("utf-8") for module in (ROOT / "disrupt").rglob("*.py"))
    named = re.findall(r"`(disrupt(?:-index)?) ([^`]+)`", text)
    assert named
    for program, line in named:
        command: click.Command = main if program == "disrupt" else index_main
        for word in line.split():
            if isinstance(command, click.Group):
                found = command.get_command(click.Context(command), word)
                assert found is not None, line
                command = found
            elif word.startswith("--"):
                assert any(word in parameter.opts for parameter in command.params), line
    for event in re.findall(r"log's (`\w+`(?:(?:,| or| and) `\w+`)*)", text):
        for word in re.findall(r"\w+(?=`)", event):
            assert f'"{word}"' in code, word


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
    pattern = r"`((?:benchmarks|disrupt|indexer|rig|scripts|tests)/[\w./-]+)`"
    paths = [(name(page), path) for page in MARKDOWN for path in re.findall(pattern, prose(page))]
    assert paths
    for page, path in paths:
        assert (ROOT / path).exists(), f"{page}: {path}"


@pytest.mark.parametrize("page", MARKDOWN, ids=name)
def test_modules_that_a_page_names_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md" or page.parent.name == "reference":
        return  # one names files as of each version, the others are made of the code
    folders = ("benchmarks", "disrupt", "docs", "indexer", "proto", "rig", "scripts", "tests")
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
def test_a_line_of_a_page_is_short_enough_to_be_read(page: Path) -> None:
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

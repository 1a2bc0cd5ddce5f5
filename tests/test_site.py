"""The site of docs/ shows all there is to refer to, and loads nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from disrupt import cli, client
from disrupt.server.config import Config
from docs._sphinx.contents import contents, without_outside_links
from docs._sphinx.reference import PAGES, api, commands, filled, log_events, sdk, settings
from docs._sphinx.self_contained import problems

ROOT = Path(__file__).parents[1]
PROTO = ROOT / "proto"


def test_the_contents_list_each_page_once_under_the_heading_that_names_it_first() -> None:
    text = "# Title\n\n- [A](a.md)\n\n## Two\n\n- [B](in/b.md#there): of\n  [A](a.md)\n"
    assert contents(text) == (
        "```{toctree}\n:hidden:\n\na\n```\n\n```{toctree}\n:hidden:\n:caption: Two\n\nin/b\n```"
    )


def test_the_contents_take_the_pages_of_a_table_too() -> None:
    assert "\na\n" in contents("| date | page |\n| --- | --- |\n| 1 | [A](a.md) |\n")


def test_links_to_the_code_become_text_and_links_to_pages_stay() -> None:
    text = "[the code](../proto/a), [a page](pdq.md)"
    assert without_outside_links(text, 0) == "the code, [a page](pdq.md)"
    text = "[the code](../../proto/a), [a page](../pdq.md)"
    assert without_outside_links(text, 1) == "the code, [a page](../pdq.md)"


def test_the_reference_has_every_setting_with_its_meaning() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]* \| (.+) \|$", settings(), re.MULTILINE)
    assert [name for name, _ in rows] == list(Config.model_fields)
    assert all(meaning.strip() for _, meaning in rows)


def test_the_reference_has_every_command() -> None:
    headings = re.findall(r"^#+ (.+)$", commands(), re.MULTILINE)
    names = cli.main.list_commands(click.Context(cli.main))
    assert {f"disrupt {name}" for name in names} < set(headings)
    assert {"disrupt keys create", "disrupt-index rebuild"} < set(headings)


def test_the_reference_has_every_public_name_of_the_sdk() -> None:
    assert re.findall(r"^## (\w+)$", sdk(), re.MULTILINE) == client.__all__


def test_the_reference_has_every_call_and_type_with_its_comment() -> None:
    text = api()
    declarations = re.compile(r"^ *(?:service|rpc|message|enum) (\w+)", re.MULTILINE)
    for path in PROTO.rglob("*.proto"):
        for name in declarations.findall(path.read_text()):
            assert re.search(rf"^#+ (?:\w+\.)?{name}\n\n[A-Z]", text, re.MULTILINE), name
    assert not re.search(r"^\| .* \|  \|$", text, re.MULTILINE), "a field without a comment"
    assert "| `max_distance_bits` = 1 | optional `uint32` | Largest distance" in text
    assert "Takes stream of [MatchVideoRequest](#disrupt.v1.MatchVideoRequest)" in text


def test_the_reference_has_every_event_that_is_logged_as_a_warning_or_an_error() -> None:
    modules = [*(ROOT / "disrupt").rglob("*.py"), *(ROOT / "indexer").rglob("*.py")]
    code = "\n".join(module.read_text("utf-8") for module in modules)
    logged = re.findall(r"_log\.(?:warning|error|critical)\(\s*\"(\w+)\"", code)
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", log_events(), re.MULTILINE)
    described = set(re.findall(r"\w+", " ".join(rows)))
    assert described >= set(logged)
    assert all(f'"{event}"' in code for event in described)


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_as_it_would_be_written(page: str) -> None:
    text = (ROOT / f"docs/reference/{page}.md").read_text("utf-8")
    assert text == filled(text, PAGES[page]()), "run ./scripts/reference"


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ('<script src="https://cdn.example/a.js"></script>', "loads https://cdn.example/a.js"),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', "loads //fonts.example/a.css"),
        ("<style>@import 'https://a.example/b'</style>", "loads https://a.example/b"),
        ('<img src="gone.svg">', "names gone.svg, which is not there"),
        ('<a href="gone.html">', "names gone.html, which is not there"),
        ('<a href="page.html#gone">', "names page.html#gone, which is not there"),
    ],
)
def test_what_is_loaded_from_elsewhere_or_leads_nowhere_is_refused(
    page: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(page)
    assert problems(tmp_path) == [f"page.html {problem}"]


def test_a_stylesheet_that_loads_a_font_from_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a { src: url('https://fonts.example/a.woff') }")
    assert problems(tmp_path) == ["a.css loads https://fonts.example/a.woff"]


def test_links_to_other_sites_and_to_places_that_exist_are_fine(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<h1 id="top"></h1><a href="#top"></a><a href="https://a.example"></a>'
        '<a href="mailto:a@a.example"></a><img src="data:image/png;base64,">'
    )
    assert problems(tmp_path) == []

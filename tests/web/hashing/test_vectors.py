"""Python, Node and the engines of browsers fingerprint the same drawings alike."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.harness.browsers import browser
from benchmarks.harness.page_files import EMPTY_PAGE, serving
from tests.web.engines import EACH_ENGINE
from tests.web.hashing.drawings import VECTORS, vectors

HERE = Path(__file__).parent

DIFFERENCES = """
const { differences } = await import('/tests/web/hashing/comparison.js');
const { SHAPES_URL, Shapes } = await import('/disrupt/web/page/hashing/shapes.js');
const vectors = await (await fetch('/tests/web/hashing/vectors.json')).json();
return differences(vectors, await Shapes.unpack((await fetch(SHAPES_URL)).body));
"""


def test_python_registers_what_the_vectors_say() -> None:
    assert vectors() == VECTORS.read_text()


@pytest.mark.skipif(
    not shutil.which("node") and "CI" not in os.environ,
    reason="needs node; scripts/system-packages says how to install it",
)
def test_node_registers_what_the_vectors_say() -> None:
    subprocess.run(["node", "--test", HERE], check=True)


@pytest.mark.parametrize("engine", EACH_ENGINE)
def test_a_browser_registers_what_the_vectors_say(engine: str, tmp_path: Path) -> None:
    with serving(tmp_path) as origin, browser(engine, tmp_path) as page:
        page.open(origin + EMPTY_PAGE)
        assert page.run(DIFFERENCES) == []

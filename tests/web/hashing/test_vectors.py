"""Python and Node fingerprint the same drawings alike."""

import subprocess
import sys
from pathlib import Path

from tests.needs import needs
from tests.web.hashing.drawings import VECTORS, vectors

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def test_the_tables_of_the_page_are_those_of_python() -> None:
    subprocess.run([sys.executable, ROOT / "scripts/page_tables.py", "--check"], check=True)


def test_python_registers_what_the_vectors_say() -> None:
    assert vectors() == VECTORS.read_text()


@needs("node")
def test_node_registers_what_the_vectors_say() -> None:
    subprocess.run(["node", "--test", HERE], check=True)

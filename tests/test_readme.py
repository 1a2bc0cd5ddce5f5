"""Run the README's first steps as written, in one shell, beside one photograph."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import skimage

from tests.document import run_examples

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PHOTO = Path(skimage.__file__).parent / "data" / "chelsea.png"


def test_the_first_steps_come_out_as_written(tmp_path: Path, free_port: int) -> None:
    shutil.copy(PHOTO, tmp_path / "photo.jpg")
    run_examples(README, tmp_path, free_port)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_to_files_that_exist(target: str) -> None:
    assert (ROOT / target).exists()

"""The page for data protection officers names all that is stored."""

from __future__ import annotations

import re
from pathlib import Path

from disrupt.registry.sql import schema

PAGE = (Path(__file__).parents[1] / "docs" / "data-protection.md").read_text()


def test_every_table_of_the_registry_has_its_row() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(schema.metadata.tables)

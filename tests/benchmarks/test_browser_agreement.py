"""The comparison of browsers with Python sees each kind of file, at tiny size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.bench import bench
from tests.web.engines import EACH_ENGINE

pytestmark = pytest.mark.slow

PLAIN = ["jpeg", "png", "webp", "avif"]
KINDS = [*PLAIN, "profile", "alpha", "avif_10_bits", "heic"]


@pytest.mark.parametrize("engine", EACH_ENGINE)
def test_the_page_hashes_what_it_has_decoded_as_python_does(engine: str, tmp_path: Path) -> None:
    done = bench("browser_agreement", tmp_path / "out.json", "--engine", engine, "--count", 1)
    rows = done.report["rows"]
    assert [(row["engine"], row["kind"]) for row in rows] == [(engine, kind) for kind in KINDS]
    for row in rows:
        assert row["pictures"] == 1
        assert row["hashes"] > 100
        assert row["port_bits"] == row["port_ordinals"] == row["refused"] == 0
    assert [row["excess"] for row in rows[: len(PLAIN)]] == [""] * len(PLAIN)
    if engine == "chromium":
        assert [row["same_pixels"] for row in rows[: len(PLAIN)]] == [1] * len(PLAIN)

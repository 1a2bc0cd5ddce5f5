"""What is hashed of a file is what Debian's Chromium shows of it.

The tables of exceptions.py hold the files of which this is not so; ``pytest -s`` prints them.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from rig.media.files import avif, bmp, gif, jpeg, others, png, png_colours, png_damage, webp
from tests.oracle import chromium, exceptions
from tests.oracle.comparing import COUNTED, NOTHING, REFUSED, SAME, difference
from tests.oracle.exceptions import Table

MODULES = {
    "JPEG": jpeg,
    "PNG": png,
    "PNG colours": png_colours,
    "PNG damage": png_damage,
    "WebP": webp,
    "GIF": gif,
    "BMP": bmp,
    "AVIF": avif,
    "Others": others,
}


def names(*tables: Table) -> set[str]:
    return set().union(*(named for table in tables for named in table.values()))


@pytest.mark.filterwarnings("ignore:::PIL")  # as outside of tests: Pillow warns, and reads on
@pytest.mark.skipif(
    not Path(chromium.PROGRAM).exists() and not os.environ.get("CI"),
    reason="needs Chromium, see scripts/system-packages",
)
def test_what_is_hashed_of_a_file_is_what_chromium_shows() -> None:
    files = {
        f"{kind}: {name}": data for kind, module in MODULES.items() for name, data in module.files()
    }
    assert len(files) >= 200
    with chromium.page() as page:
        assert page.context.browser
        version = page.context.browser.version
        shown = chromium.show(page, list(files.values()))
        differences = {
            name: difference(data, pages)
            for (name, data), pages in zip(files.items(), shown, strict=True)
        }
    counts = Counter(how for how in differences.values() if "bits" not in how)
    print(f"\nChromium {version}, {len(files)} files: {dict(counts)}")  # noqa: T201
    for name, how in differences.items():
        if how not in {SAME, NOTHING}:
            print(f"{how:44} {name}")  # noqa: T201
    refused = {name for name, how in differences.items() if how == REFUSED}
    otherwise = {name for name, how in differences.items() if how not in {SAME, NOTHING, REFUSED}}
    told = names(exceptions.COUNTED_AS_SKIPPED)
    assert otherwise == names(exceptions.DIFFERS_TODAY, exceptions.HASHED_OTHERWISE) | told
    assert all(differences[name].endswith(COUNTED) for name in told)
    assert refused == names(exceptions.REFUSED)

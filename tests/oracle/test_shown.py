"""What is hashed of a file is what Chromium shows of it.

The tables of exceptions.py hold the files of which this is not so; ``pytest -s`` prints them.
"""

from __future__ import annotations

import numpy as np
import pytest

from disrupt.hashing.decoding.pictures import decode
from rig.media.files import heic, tiff
from rig.media.files.parts import GREY, PHOTO
from rig.media.pictures import canonical, encode
from tests.oracle import exceptions
from tests.oracle.comparing import (
    COUNTED,
    NOTHING,
    REFUSED,
    SAME,
    Answer,
    difference,
    files,
    read_frozen,
)
from tests.oracle.exceptions import Table

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")  # as outside of tests


def names(*tables: Table) -> set[str]:
    return set().union(*(named for table in tables for named in table.values()))


PLAIN = Answer(PHOTO.size, 0, canonical(encode(PHOTO)), None)
OF_NO_BROWSER = {
    f"{kind}: {name}": data
    for kind, module in {"TIFF": tiff, "HEIC": heic}.items()
    for name, data in module.files()
}


@pytest.mark.parametrize("name", OF_NO_BROWSER)
def test_a_file_that_no_browser_shows_is_hashed_as_the_plain_picture(name: str) -> None:
    data = OF_NO_BROWSER[name]
    assert difference(data, PLAIN) == SAME
    # A hash hardly depends on contrast, of which half is left where half is transparent.
    assert decode(data).page().std() > np.asarray(GREY).std() * 0.4


def test_what_is_hashed_of_a_file_is_what_chromium_shows() -> None:
    shown = read_frozen()
    assert len(shown) >= 200
    differences = {name: difference(data, shown[name]) for name, data in files().items()}
    for name, how in differences.items():
        if how not in {SAME, NOTHING}:
            print(f"{how:44} {name}")  # noqa: T201
    refused = {name for name, how in differences.items() if how == REFUSED}
    otherwise = {name for name, how in differences.items() if how not in {SAME, NOTHING, REFUSED}}
    told = names(exceptions.COUNTED_AS_SKIPPED)
    assert otherwise == names(exceptions.DIFFERS_TODAY, exceptions.HASHED_OTHERWISE) | told
    assert all(differences[name].endswith(COUNTED) for name in told)
    assert refused == names(exceptions.REFUSED)

"""The code of docs/archives.md, run as it is written, asks for everything and then goes on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rig.servers.deployment import Deployment

PAGE = (Path(__file__).parents[2] / "docs" / "archives.md").read_text()
(CODE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_code_of_the_page_keeps_a_cursor_and_goes_on_from_it(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("platform.key").write_text(deployment.make_key("platform that asks again", "match"))
    code = CODE.replace("127.0.0.1:50051", deployment.address)
    assert code != CODE
    exec(code, {})  # noqa: S102 of our page
    first = Path("since.cursor").read_text()
    assert first
    exec(code, {})  # noqa: S102
    assert Path("since.cursor").read_text() == first

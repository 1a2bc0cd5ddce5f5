"""What the page's worker solves in Chromium and Firefox, the server takes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from disrupt.services.proofs_of_work import ProofsOfWork
from rig.callers.browsers import ROOT, result_of
from tests.web.hashing.engines import EACH_ENGINE

OF = ("key", b"origin")


@pytest.mark.parametrize("engine", EACH_ENGINE)
def test_a_proof_of_the_page_pays_and_a_damaged_challenge_has_none(
    engine: str, tmp_path: Path
) -> None:
    subprocess.run([ROOT / "scripts" / "page-libraries"], check=True)
    proofs = ProofsOfWork(attempts=20)
    served, profile = tmp_path / "files", tmp_path / "profile"
    served.mkdir()
    profile.mkdir()
    (served / "challenge").write_text(proofs.challenge(*OF, 3, at_s=time.time()))
    result = result_of(engine, served, profile, script="/tests/web/proofs/solve.js")
    assert result["damaged"] == ""
    assert proofs.purse(result["proof"], *OF, at_s=time.time()).left == 3

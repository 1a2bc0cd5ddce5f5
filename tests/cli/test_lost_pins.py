"""A lost PIN from the command line: staff erase, and whoever has the PIN keeps."""

from __future__ import annotations

from pathlib import Path

from rig.callers.shell import Shell
from rig.media.generated import picture
from rig.servers.deployment import Deployment


def test_a_case_is_to_be_erased_and_its_owner_keeps_it(
    disrupt: Shell, deployment: Deployment, tmp_path: Path
) -> None:
    file = picture(tmp_path / "a.png", 197)
    case = disrupt.registered(file)
    first, second = (deployment.make_key(name, "review") for name in ("one", "another"))
    asked = disrupt("review", "erase", case.case_number, key=first)
    assert (asked.code, "quelqu'un d'autre" in asked.out) == (0, True)
    (waits,) = disrupt("review", "pending", "--json", key=second).lines
    assert waits["case"] in asked.out
    assert (waits["erased_on"], waits["items"]) == (None, 1)
    confirmed = disrupt("review", "erase", "--json", case.case_number, key=second).json
    assert (confirmed["items"], confirmed["confirm_until"]) == (1, None)
    assert confirmed["case"] == waits["case"]
    assert f"effacé le {confirmed['erased_on']}" in disrupt("review", "pending", key=first).out
    assert f"dossier {waits['case']}" in disrupt("review", "log", "--limit", "2", key=first).out
    disrupt.match(file, until=1)
    at = ("--server", disrupt.address)
    status = disrupt("status", case.case_number, *at, pin=case.pin)
    assert (status.code, "case.erased_on" in status.said) == (0, True)
    assert confirmed["erased_on"] in status.out
    assert f"    disrupt keep {case.case_number} --server {disrupt.address}\n" in status.out
    assert "3018" not in status.out[: status.out.index("disrupt keep")]
    refused = disrupt("submit", "--age=adult", "--case", case.case_number, file, pin=case.pin)
    assert (refused.code, "error.CASE_ERASING" in refused.said) == (1, True)
    kept = disrupt("keep", case.case_number, pin=case.pin)
    assert (kept.code, "case.kept" in kept.said) == (0, True)
    again = disrupt("keep", "--json", case.case_number, pin=case.pin)
    assert again.json["erased_on"] is None

"""Whoever registers learns which platforms look up, as these want to be named."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from disrupt.v1 import registration_pb2
from rig.callers.caller import calling
from rig.callers.shell import Done, typed
from rig.servers.deployment import Deployment
from rig.waiting import eventually

LINK = "https://example.org/report?lang=fr"


def test_a_platform_is_named_as_operators_set_it_until_its_last_key_is_revoked(
    deployment: Deployment,
) -> None:
    def keys(*words: str) -> Done:
        return typed("keys", *words, "--data-dir", deployment.data_dir)

    def named() -> list[tuple[str, str]]:
        request = registration_pb2.ListPartnersRequest()
        with calling(deployment.address, register) as caller:
            answer = caller("ListPartners", request)
        assert abs((datetime.now(UTC).date() - datetime.fromisoformat(answer.day).date()).days) < 2
        return [(partner.name, partner.report_url) for partner in answer.partners]

    register = deployment.make_key("page", "register")
    made = keys("create", "Naming", "--right", "match", "--json")
    typed("banks", "create", "test", "--data-dir", deployment.data_dir)
    trial = keys("create", "Trial", "--right", "match", "--bank", "test", "--json")
    assert trial.code == 0
    assert keys("partner", "Trial", "--name", "Essai", "--report-url", LINK).code == 0
    assert named() == []
    refused = keys("partner", "Naming", "--name", "Exemple", "--report-url", "http://example.org")
    assert refused.code == 1
    assert "https://" in refused.err
    assert keys("partner", "nobody", "--name", "Exemple", "--report-url", LINK).code == 1
    assert keys("partner", "Naming", "--name", "Exemple").code == 2
    assert keys("partner", "Naming", "--remove", "--name", "Exemple").code == 2
    assert keys("partner", "Naming", "--name", "Exemple", "--report-url", LINK).code == 0
    eventually(lambda: named() == [("Exemple", LINK)])
    listed = json.loads(keys("list", "--json").out)
    assert listed["partners"]["Naming"] == {"name": "Exemple", "report_url": LINK}
    assert f"Naming is named Exemple, with {LINK}." in keys("list").out

    keys("revoke", json.loads(made.out)["key_id"])
    eventually(lambda: named() == [])
    assert keys("partner", "Naming", "--remove").code == 0
    assert keys("partner", "Trial", "--remove").code == 0
    assert json.loads(keys("list", "--json").out)["partners"] == {}

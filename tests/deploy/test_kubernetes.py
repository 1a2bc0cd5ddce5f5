"""deploy/kubernetes fits the server: settings, files, ports and paths that it knows.

Not exercised: a cluster. The schemas of Kubernetes were checked by hand with kubernetes-validate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from disrupt.server.config import Config
from tests.deploy.test_compose import DEPLOY, IMAGE

FOLDER = DEPLOY / "kubernetes"


def _machine(role: str) -> dict[str, Any]:
    """Return the pod of the machines of a role."""
    documents = yaml.safe_load_all((FOLDER / f"{role}.yaml").read_text())
    (found,) = (each for each in documents if each["kind"] == "StatefulSet")
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("role", ["writer", "match"])
def test_a_machine_has_the_files_and_ports_that_its_settings_name(role: str) -> None:
    pod = _machine(role)
    (container,) = pod["containers"]
    places = [Path(mount["mountPath"]) for mount in container["volumeMounts"]]
    config = Config.load(FOLDER / f"{role}.toml", data_dir=Path("/data"))
    assert config.role == role
    for file in (config.internal_cert, config.internal_key, config.internal_ca, config.tls_cert):
        assert file is None or any(place in file.parents for place in places)
    assert Path(IMAGE["VOLUME"]) in places
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listens = {"internal": config.internal_listen, "metrics": config.metrics_listen}
    if role == "match":
        listens["grpc"] = config.listen
    assert {name: f"0.0.0.0:{port}" for name, port in ports.items()} == listens
    user = IMAGE["USER"].partition(":")[0]
    assert pod["securityContext"]["runAsUser"] == int(user)


@pytest.mark.parametrize("role", ["writer", "match"])
def test_probes_ask_for_what_the_supervisor_answers(role: str) -> None:
    (container,) = _machine(role)["containers"]
    asked = {
        (name, probe["httpGet"]["path"], probe["httpGet"]["port"])
        for name, probe in container.items()
        if name.endswith("Probe")
    }
    ready = {(f"{name}Probe", "/readyz", "metrics") for name in ("startup", "readiness")}
    # the writer that waits for the other is not ready, and must not be started anew for that
    assert asked == {("livenessProbe", "/livez", "metrics")} | (ready if role == "match" else set())

"""Run a Prometheus that scrapes a server every second, and ask it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.ports import free_port
from rig.servers.deployment import Deployment

_DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = _DEPLOY / "prometheus" / "alerts.yml"
_DASHBOARD = _DEPLOY / "grafana" / "disrupt.json"

_CONFIG = """\
global: {{evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - {{job_name: disrupt, scrape_interval: 1s, static_configs: [{{targets: ["{target}"]}}]}}
"""


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard, without its rows."""
    dashboard = json.loads(_DASHBOARD.read_text("utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus, by its address, and the server that it scrapes."""

    address: str
    instance: str

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its API."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url) as answer:
            return json.load(answer)["data"]

    def evaluate(self, expression: str, path: str = "query", **parameters: str) -> list[Any]:
        """Return the series of an expression of the dashboard."""
        query = expression.replace("$instance", self.instance)
        series: list[Any] = self.ask(path, query=query, **parameters)["result"]
        return series


@contextmanager
def monitored(server: Deployment, work: Path) -> Iterator[Prometheus]:
    """Run Debian's prometheus over a server, with the alerts, and its files in ``work``."""
    instance = server.metrics_address()
    (work / "prometheus.yml").write_text(_CONFIG.format(rules=RULES, target=instance))
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={work / 'prometheus.yml'}",
        f"--storage.tsdb.path={work / 'tsdb'}",
        f"--web.listen-address={address}",
    ]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        prometheus = Prometheus(address, instance)
        try:
            while not _scraped(prometheus):
                if process.poll() is not None:
                    raise RuntimeError("prometheus does not start")
                time.sleep(0.1)
            yield prometheus
        finally:
            process.terminate()


def _scraped(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.ask("query", query="disrupt_info")["result"])
    except OSError:
        return False

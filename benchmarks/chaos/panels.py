"""Evaluate the dashboard of deploy/ by a Prometheus that watches a server, and plot its panels."""

from __future__ import annotations

import json
import math
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.harness.plots import save

_ROOT = Path(__file__).parents[2]
_DASHBOARD = _ROOT / "deploy" / "grafana" / "disrupt.json"
_RULES = _ROOT / "deploy" / "prometheus" / "alerts.yml"
_START_S = 120.0
_QUERY_S = 60.0
_STEPS = 120
_COLUMNS = 3
_LABELS_MAX = 6
"""Most series that a plot names."""


@dataclass(frozen=True)
class Series:
    """A line of a panel: seconds since the epoch, and values, some of which may be NaN."""

    name: str
    at_s: list[float]
    values: list[float]


@dataclass
class Panel:
    """A panel, with what its expressions evaluate to."""

    title: str
    unit: str
    series: list[Series] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """True if no series has a finite value, so that Grafana would draw nothing."""
        return not any(math.isfinite(value) for each in self.series for value in each.values)


def missing() -> str:
    """Say what keeps this machine from running Prometheus; empty if nothing does."""
    return "" if shutil.which("prometheus") else "prometheus is not installed"


class Prometheus:
    """A Prometheus that runs."""

    def __init__(self, url: str) -> None:
        """Ask it at ``url``."""
        self._url = url

    def panels(self, begin_s: float, end_s: float) -> list[Panel]:
        """Evaluate each panel of the dashboard over a time. Raises OSError where one is refused."""
        dashboard = json.loads(_DASHBOARD.read_text("utf-8"))
        panels = []
        for shown in dashboard["panels"]:
            if shown["type"] == "row":
                continue
            panel = Panel(shown["title"], shown["fieldConfig"]["defaults"]["unit"])
            for target in shown["targets"]:
                expression = target["expr"].replace("$instance", ".*")
                for line in self._range(expression, begin_s, end_s):
                    name = _named(target["legendFormat"], line["metric"])
                    at_s, values = zip(*line["values"], strict=True)
                    panel.series.append(Series(name, [*at_s], [*map(float, values)]))
            panels.append(panel)
        return panels

    def alerts(self, begin_s: float, end_s: float) -> list[str]:
        """Return the names of the alerts whose condition held at some time, firing or pending."""
        lines = self._range("count by (alertname) (ALERTS)", begin_s, end_s)
        return sorted(line["metric"]["alertname"] for line in lines)

    def _range(self, expression: str, begin_s: float, end_s: float) -> list[Any]:
        step_s = max((end_s - begin_s) / _STEPS, 1.0)
        query = {"query": expression, "start": begin_s, "end": end_s, "step": step_s}
        url = f"{self._url}/api/v1/query_range?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=_QUERY_S) as answer:  # noqa: S310 its own
            lines: list[Any] = json.load(answer)["data"]["result"]
        return lines


@contextmanager
def watching(target: str, work: Path) -> Iterator[Prometheus]:
    """Run a Prometheus that reads the metrics at ``target``, HOST:PORT, each second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [{"job_name": "disrupt", "static_configs": [{"targets": [target]}]}],
        "rule_files": [str(_RULES)],
    }
    config = work / "prometheus.yml"
    config.write_text(json.dumps(settings))  # which is YAML, too
    words = [shutil.which("prometheus") or "prometheus", f"--config.file={config}"]
    words.append(f"--storage.tsdb.path={work / 'prometheus'}")
    with (work / "prometheus.log").open("w") as log:
        process = subprocess.Popen([*words, f"--web.listen-address={own}"], stdout=log, stderr=log)
    try:
        _wait_until_ready(process, f"http://{own}/-/ready")
        yield Prometheus(f"http://{own}")
    finally:
        process.terminate()
        process.wait()


def plot(panels: Sequence[Panel], faults: Sequence[float], path: Path) -> None:
    """Plot panels side by side, with a line at each time of ``faults``, to an SVG file."""
    rows = math.ceil(len(panels) / _COLUMNS)
    figure = Figure(figsize=(4.2 * _COLUMNS, 2.2 * rows), layout="constrained")
    begin_s = min((each.at_s[0] for panel in panels for each in panel.series), default=0.0)
    every = figure.subplots(rows, _COLUMNS, squeeze=False).flat
    for panel, axes in zip(panels, every, strict=False):
        for series in panel.series:
            axes.plot([(at_s - begin_s) / 60 for at_s in series.at_s], series.values, lw=0.8)
        for at_s in faults:
            axes.axvline((at_s - begin_s) / 60, color="0.85", lw=0.5, zorder=0)
        axes.set_title(panel.title, fontsize=7)
        axes.set_xlabel("minutes", fontsize=6)
        axes.set_ylabel(panel.unit, fontsize=6)
        axes.tick_params(labelsize=6)
        names = [series.name for series in panel.series]
        if any(names) and len(names) <= _LABELS_MAX:
            axes.legend(names, fontsize=5, loc="best")
    for axes in [*every]:
        axes.set_axis_off()
    save(figure, path)


def _named(legend: str, labels: dict[str, str]) -> str:
    """Return the name of a series as Grafana does, without the only server's address."""
    kept = legend.replace("{{instance}}", "")
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), kept).strip()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    give_up_s = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < give_up_s:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 its own
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("prometheus does not start")

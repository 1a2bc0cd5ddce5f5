"""Alerts and panels name metrics that there are; alerts fire for their cause, and are explained."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from disrupt.server.metrics import families
from disrupt.server.metrics.figures import Kind
from tests.document import table

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
TRIED = RULES.with_name("alerts_test.yml")
SUFFIXES = {
    Kind.COUNTER: ["_total"],
    Kind.GAUGE: [""],
    Kind.HISTOGRAM: ["_count", "_bucket", "_sum"],
}


class Rule(NamedTuple):
    name: str
    expression: str
    severity: str


RULES_READ = [
    Rule(*groups)
    for groups in re.findall(
        r"- alert: (\w+)\n +expr: (.*?)\n(?: +for: \w+\n)? +labels: {severity: (\w+)}",
        RULES.read_text("utf-8"),
        re.DOTALL,
    )
]


@pytest.mark.skipif(
    shutil.which("promtool") is None and "CI" not in os.environ,
    reason="needs promtool, of Debian's package prometheus",
)
@pytest.mark.parametrize("words", [["check", RULES], ["test", TRIED]])
def test_prometheus_takes_the_rules_and_each_fires_for_its_cause_alone(
    words: list[str | Path],
) -> None:
    what, file = words
    done = subprocess.run(
        ["promtool", str(what), "rules", str(file)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried_and_explained() -> None:
    text = RULES.read_text("utf-8")
    names = {rule.name for rule in RULES_READ}
    assert len(names) == text.count("- alert:") == text.count("summary:")
    assert {*re.findall(r'alertname="(\w+)"', TRIED.read_text("utf-8"))} == names
    page = (ROOT / "docs" / "alerts.md").read_text("utf-8")
    for severity, heading in (("page", "Look now"), ("ticket", "Look today")):
        of_severity = {rule.name for rule in RULES_READ if rule.severity == severity}
        assert {row[0] for row in table(page, heading)} == of_severity


def panels() -> list[Any]:
    """Return the expressions of the dashboard, by title of their panel."""
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "disrupt.json").read_text("utf-8"))
    shown = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    return [
        pytest.param(target["expr"], id=panel["title"])
        for panel in shown
        for target in panel["targets"]
    ]


@pytest.mark.parametrize(
    "expression", [*(pytest.param(rule.expression, id=rule.name) for rule in RULES_READ), *panels()]
)
def test_an_expression_asks_for_metrics_and_labels_that_there_are(expression: str) -> None:
    known = {
        family.name + suffix: family
        for family in families.FAMILIES
        for suffix in SUFFIXES[family.kind]
    }
    asked = re.findall(r"(disrupt_\w+)(?:\{([^}]*)\})?", expression)
    assert asked or "up{" in expression
    for name, matchers in asked:
        labels = known[name].labels
        for label, operator, values in re.findall(r'(\w+)([=!]~?)"([^"]*)"', matchers):
            if label == "instance":
                continue
            known_values = families.figures_of(1).rows if label == "process" else labels[label]
            for value in values.split("|") if "~" in operator else [values]:
                assert any(re.fullmatch(value, str(each)) for each in known_values), value


def test_the_dashboard_shows_every_metric() -> None:
    asked = {
        name
        for panel in panels()
        for expression in panel.values
        for name in re.findall(r"disrupt_\w+", str(expression))
    }
    unseen = {
        family
        for family in families.FAMILIES
        if not asked & {family.name + suffix for suffix in SUFFIXES[family.kind]}
    }
    assert unseen == {families.INDEX_ITEMS, families.GENERATION}

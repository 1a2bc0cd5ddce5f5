"""Alerts fire for their cause alone and are explained; a real Prometheus draws each panel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from disrupt.client import MatchClient
from disrupt.errors import UnauthenticatedError
from disrupt.server.metrics.families import FAMILIES, Counter, Histogram
from rig.faults.sabotages import broken_by
from rig.servers.deployment import FEW_DECODERS, Deployment
from rig.servers.monitored import RULES, monitored, panels

ROOT = Path(__file__).parents[2]
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    for rule in group["rules"]
}
EXPRESSIONS = [target["expr"] for panel in panels() for target in panel["targets"]]

needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None and "CI" not in os.environ,
    reason="needs Debian's package prometheus",
)

LOOKUPS = 'disrupt_call_seconds_bucket{call="MatchService/MatchHashes", outcome="OK"'
HEALTHY = {
    'up{job="disrupt"}': "1x240",
    'disrupt_serving{process="worker 1", service="disrupt.v1.MatchService"}': "1x240",
    'disrupt_process_up{process="worker 1"}': "1x240",
    'disrupt_process_ends_total{role="worker", cause="died"}': "2x120 3x120",
    'disrupt_process_ends_total{role="maintenance", cause="died"}': "0x240",
    'disrupt_index_lag_seconds{process="worker 1"}': "0.2x240",
    "disrupt_oldest_withdrawn_seconds": "0+60x240",
    "disrupt_erase_within_seconds": "86400x240",
    "disrupt_disk_free_bytes": "15e9-1e6x240",
    'disrupt_open_files{process="worker 1"}': "50x120 5000x120",
    "disrupt_open_files_max": "20000x240",
    "disrupt_faults_total": "3x240",
    "disrupt_backup_timestamp_seconds": "0x240",
    "disrupt_list_read_timestamp_seconds": "0x240",
    "disrupt_certificate_expiry_timestamp_seconds": "2e6x240",
    'disrupt_decoder_ends_total{media="pictures", cause="CRASH"}': "0x120 5x120",
    'disrupt_refusals_total{reason="OVERLOADED", key="a"}': "0+10x240",
    'disrupt_refusals_total{reason="STORAGE_FULL", key="a"}': "_x99 3x140",
    'disrupt_reloads_total{outcome="done"}': "0x230 1x10",
    'disrupt_reloads_total{outcome="refused"}': "0x90 1x150",
    'disrupt_refusals_total{reason="CASE_REFUSED", key="a"}': "0+5x240",
    'disrupt_refusals_total{reason="KEY_REFUSED", key=""}': "0+10x240",
    'disrupt_key_calls_total{key="a", call="MatchService/MatchHashes"}': "0+6000x240",
    f'{LOOKUPS}, le="0.001"}}': "0+5990x240",
    f'{LOOKUPS}, le="0.1"}}': "0+6000x240",
    f'{LOOKUPS}, le="0.25"}}': "0+6000x240",
    f'{LOOKUPS}, le="+Inf"}}': "0+6000x240",
    'disrupt_call_seconds_count{call="MatchService/MatchImage", outcome="OK"}': "0+60x240",
    'disrupt_call_seconds_count{call="MatchService/MatchImage", outcome="OVERLOADED"}': "0+1x240",
    'disrupt_index_hashes{process="worker 1"}': "10000000x240",
    'disrupt_index_delta_hashes{process="worker 1"}': "500000x240",
    'disrupt_items{state="waiting"}': "60x240",
    "disrupt_items_hidden": "400x240",
    'disrupt_items{state="rejected"}': "1000x240",
    'disrupt_disputes{reason="within_floor"}': "0x240",
    'disrupt_disputes{reason="minor"}': "0x240",
    'disrupt_disputes{reason="near_tenth"}': "0x240",
    "disrupt_turns_waiting": "90x240",
    'disrupt_probing_total{organisation="b"}': "0x100 1x140",
    'disrupt_matches_total{bank="adults", distance_bits="0-7"}': "0+10x240",
    'disrupt_matches_total{bank="minors", distance_bits="8-15"}': "0+1x240",
    "disrupt_common_matches_total": "0+2x240",
    'disrupt_registered_hashes{of="case"}': "20000x240",
    'disrupt_registered_hashes{of="origin"}': "100000x240",
    'disrupt_registered_hashes{of="all"}': "600000x240",
}
"""Series of a healthy server, a value each minute."""

CAUSES = {
    "DisruptDown": {'up{job="disrupt"}': "0x240"},
    "DisruptNotServing": {
        'disrupt_serving{process="worker 2", service="disrupt.v1.RegistrationService"}': "0x240"
    },
    "DisruptProcessGone": {'disrupt_process_up{process="writer"}': "0x240"},
    "DisruptProcessesEnd": {'disrupt_process_ends_total{role="writer", cause="hung"}': "0+1x240"},
    "DisruptIndexBehind": {'disrupt_index_lag_seconds{process="worker 2"}': "0+60x240"},
    "DisruptErasureLate": {"disrupt_oldest_withdrawn_seconds": "72000+60x240"},
    "DisruptMirrorLate": {'disrupt_mirror_behind_seconds{organisation="a"}': "86400+60x240"},
    "DisruptDiskFills": {"disrupt_disk_free_bytes": "30e9-50e6x240"},
    "DisruptStorageFull": {'disrupt_refusals_total{reason="STORAGE_FULL", key="a"}': "3x231 4x9"},
    "DisruptItemsHidden": {"disrupt_items_hidden": "0x233 600x7"},
    "DisruptFilesShort": {'disrupt_open_files{process="worker 2"}': "19000x240"},
    "DisruptFaults": {"disrupt_faults_total": "0x233 1x7"},
    "DisruptMaintenanceFails": {
        'disrupt_process_ends_total{role="maintenance", cause="died"}': "0x120 1x120"
    },
    "DisruptBackupOld": {"disrupt_backup_timestamp_seconds": "-1e6x240"},
    "DisruptListOld": {"disrupt_list_read_timestamp_seconds": "-1e6x240"},
    "DisruptReloadRefused": {'disrupt_reloads_total{outcome="refused"}': "0x200 1x40"},
    "DisruptCertificateEnds": {"disrupt_certificate_expiry_timestamp_seconds": "1e6x240"},
    "DisruptDecodersDie": {
        'disrupt_decoder_ends_total{media="pictures", cause="KILLED"}': "0+2x240"
    },
    "DisruptRefusesLoad": {'disrupt_refusals_total{reason="OVERLOADED", key="b"}': "0+600x240"},
    "DisruptMediaRefused": {
        'disrupt_call_seconds_count{call="MatchService/MatchImage", outcome="OVERLOADED"}': (
            "0+6x240"
        )
    },
    "DisruptLookupsSlow": {
        f'{LOOKUPS}, le="0.1"}}': "0+5900x240",
        f'{LOOKUPS}, le="0.001"}}': "0+10x240",
    },
    "DisruptCompactionLate": {'disrupt_index_delta_hashes{process="worker 1"}': "2000000x240"},
    "DisruptPinsGuessed": {
        'disrupt_refusals_total{reason="TOO_MANY_ATTEMPTS", key="a"}': "0+20x240"
    },
    "DisruptProbing": {'disrupt_probing_total{organisation="a"}': "0x200 1x40"},
    "DisruptReviewWaits": {'disrupt_items{state="waiting"}': "120x240"},
    "DisruptManyCommon": {"disrupt_common_matches_total": "0+3x240"},
    "DisruptPictureDisputed": {'disrupt_disputes{reason="within_floor"}': "0x233 1x7"},
    "DisruptMinorDisputed": {'disrupt_disputes{reason="minor"}': "0x233 1x7"},
    "DisruptVersionsSilent": {'disrupt_disputes{reason="near_tenth"}': "0x233 1x7"},
    "DisruptFlood": {"disrupt_turns_waiting": "0x230 1000x10"},
    "DisruptRegistersMany": {'disrupt_registered_hashes{of="case"}': "0x200 64000x40"},
    "DisruptKeysRefused": {'disrupt_refusals_total{reason="KEY_REFUSED", key=""}': "0+100x240"},
}
"""What is different where an alert is to fire, and no other."""

BRIDGED = {
    "DisruptErasureLate": {
        "disrupt_oldest_withdrawn_seconds": "80000x227 stale _x12",
        "disrupt_erase_within_seconds": "86400x227 stale _x12",
    },
    "DisruptDiskFills": {"disrupt_disk_free_bytes": "1e9x227 stale _x3 1e9x8"},
    "DisruptBackupOld": {"disrupt_backup_timestamp_seconds": "-1e6x227 stale _x12"},
    "DisruptListOld": {"disrupt_list_read_timestamp_seconds": "-1e6x227 stale _x12"},
    "DisruptReviewWaits": {'disrupt_items{state="waiting"}': "120x227 stale _x3 120x8"},
    "DisruptMinorDisputed": {'disrupt_disputes{reason="minor"}': "1x227 stale _x12"},
    "DisruptItemsHidden": {"disrupt_items_hidden": "600x227 stale _x3 600x8"},
    "DisruptFlood": {"disrupt_turns_waiting": "1000x227 stale _x12"},
    "DisruptRegistersMany": {'disrupt_registered_hashes{of="all"}': "3e6x227 stale _x12"},
}
"""Causes that last while what the writer measures is absent for some minutes."""

FEW_MATCHES = {
    'disrupt_matches_total{bank="adults", distance_bits="0-7"}': "0x195 40x45",
    'disrupt_matches_total{bank="minors", distance_bits="8-15"}': "0x240",
    "disrupt_common_matches_total": "0x195 40x45",
}
"""All of them common, and too few to tell."""

ROOM = [
    {"disrupt_disk_free_bytes": "69e9-200e6x240"},  # in a compaction, say
    {"disrupt_disk_free_bytes": "_x120 20e9-50e6x120"},
]
"""Disks of which nobody knows yet that they fill, or that have much room."""

FIRST_REFUSAL = {'disrupt_refusals_total{reason="STORAGE_FULL", key="b"}': "_x232 1x7"}
"""A counter that begins with what it counts."""


GONE = "260m"
"""When the last sample of any series is 19 minutes old, as of a server that is scraped no more."""


def with_instance(series: str) -> str:
    name, _, labels = series.rstrip("}").partition("{")
    return f'{name}{{instance="a", {labels}}}'


def case(changed: dict[str, str], firing: list[str]) -> dict[str, Any]:
    """Return a test of promtool: which alerts fire after four hours, and none of a server GONE."""
    series = [
        {"series": with_instance(name), "values": values}
        for name, values in (HEALTHY | changed).items()
    ]
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
    firing_now = 'group by (alertname) (ALERTS{alertstate="firing"})'
    expected = [
        {"expr": firing_now, "eval_time": "235m", "exp_samples": samples},
        {"expr": firing_now, "eval_time": GONE, "exp_samples": []},
    ]
    return {"interval": "1m", "input_series": series, "promql_expr_test": expected}


@needs_prometheus
def test_each_alert_fires_for_its_cause_alone_and_none_of_a_healthy_server(tmp_path: Path) -> None:
    causes = [*CAUSES.items(), *BRIDGED.items(), ("DisruptStorageFull", FIRST_REFUSAL)]
    tests = [
        case({}, []),
        case(FEW_MATCHES, []),
        *(case(changed, []) for changed in ROOM),
        *(case(changed, [name]) for name, changed in causes),
    ]
    tried = {"rule_files": [str(RULES)], "evaluation_interval": "5m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tried))
    for words in (["check", "rules", str(RULES)], ["test", "rules", str(tmp_path / "tests.yml")]):
        done = subprocess.run(["promtool", *words], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_rules_lie_apart_and_the_prometheus_of_the_fleet_reads_them_where_they_are_mounted(
    tmp_path: Path,
) -> None:
    for file in RULES.parent.iterdir():
        assert yaml.safe_load(file.read_text("utf-8")).keys() == {"groups"}
    deploy = ROOT / "deploy"
    service = yaml.safe_load((deploy / "compose.yaml").read_text("utf-8"))["services"]["prometheus"]
    places = [volume.split(":") for volume in service["volumes"] if volume.startswith(".")]
    for source, target, _ in sorted(places, key=lambda place: place[1]):
        place = tmp_path / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(deploy / source)
    (config,) = (word for word in service["command"] if word.startswith("--config.file="))
    command = ["promtool", "check", "config", str(tmp_path / config.partition("=/")[2])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "1 rule files found" in done.stdout, done.stdout


def test_every_alert_is_tried_and_says_what_it_means_and_what_to_do() -> None:
    assert ALERTS.keys() == CAUSES.keys()
    headings = {"page": "look-now", "ticket": "look-today"}
    for rule in ALERTS.values():
        said = rule["annotations"]
        assert said["runbook"] == f"docs/reference/alerts.md#{headings[rule['labels']['severity']]}"
        assert all(said[key] for key in ("meaning", "cause", "remedy"))


def test_alerts_and_panels_ask_for_metrics_and_labels_that_there_are_and_panels_for_all() -> None:
    known: dict[str, tuple[str, ...]] = {}
    for name, family in FAMILIES.items():
        suffixes = [""]
        if isinstance(family, Counter):
            suffixes = ["_total"]
        elif isinstance(family, Histogram):
            suffixes = ["_count", "_bucket", "_sum"]
        known |= {name + suffix: (*family.labels, "instance", "process") for suffix in suffixes}
    for expression in [*EXPRESSIONS, *(rule["expr"] for rule in ALERTS.values())]:
        asked = re.findall(r"(disrupt_\w+)(?:\{([^}]*)\})?", expression)
        assert asked or "up{" in expression
        for name, matchers in asked:
            labels = re.findall(r"(\w+)[=!]~?\"", matchers)
            assert set(labels) <= set(known[name]), expression
    shown = set(re.findall(r"disrupt_\w+", " ".join(EXPRESSIONS)))
    unseen = [name for name in FAMILIES if not any(each.startswith(name) for each in shown)]
    assert not unseen


def under_load(folder: Path, sabotage: str | None = None) -> tuple[set[str], dict[str, Any]]:
    """Return the panels that a real Prometheus finds empty, and its alerts by name."""
    settings = f'{FEW_DECODERS}backups_dir = "{folder}"\n'
    with (
        Deployment.start(folder / "data", settings=settings, wrapper=broken_by(sabotage)) as server,
        monitored(server, folder) as prometheus,
        MatchClient(server.address, key=server.make_key("platform", "match")) as client,
        MatchClient(server.address, key="wrong") as stranger,
    ):
        # two scrapes that show the calls
        while not prometheus.evaluate("rate(disrupt_refusals_total[1m]) > 0"):
            client.match_hashes(bytes(range(32)))
            with pytest.raises(UnauthenticatedError):
                stranger.match_hashes(bytes(range(32)))
            time.sleep(0.2)
        empty = {
            panel["title"]
            for panel in panels()
            for target in panel["targets"]
            if not prometheus.evaluate(target["expr"])
        }
        (group,) = prometheus.ask("rules")["groups"]
    return empty, {rule["name"]: rule for rule in group["rules"]}


NOTHING_TO_SHOW = {
    "Age of partners' lists",
    "Failed runs of partners' lists",
    "Entries that partners' lists skipped",
    "Lookups by picture: time to the answer",  # there were no pictures, matches, refusals
    "Calls a second that were not answered OK",  # refused before they were let in
    "Matches a second",
    "Shares refused a second",
    "Media not hashed, a second",
    "Registrations: time in the writer",
    "Certificate valid for",
    "Up for",  # there was no maintenance
    "Left of quotas",
    "Withdrawn hashes that mirrors may hold",  # there was no mirror, and this is none
    "Age of a mirror",
    "Outcomes of a mirror, waiting and passed on in an hour",
}

SHOWN_AT_TIMES = {"Held by calls under way"}  # a scrape may meet a call, or none


@needs_prometheus
def test_a_real_prometheus_evaluates_every_panel_and_alert_of_a_server_under_load(
    tmp_path: Path,
) -> None:
    empty, rules = under_load(tmp_path)
    assert empty - SHOWN_AT_TIMES == NOTHING_TO_SHOW
    assert {name: rule["health"] for name, rule in rules.items()} == dict.fromkeys(ALERTS, "ok")
    assert [name for name, rule in rules.items() if rule["state"] == "firing"] == [
        "DisruptBackupOld"
    ]


@needs_prometheus
def test_panels_of_a_server_that_shows_too_little_are_found_empty(tmp_path: Path) -> None:
    empty, _ = under_load(tmp_path, "unset-gauges")
    assert empty > NOTHING_TO_SHOW | {"Behind the registry", "Room on the disk", "Memory"}

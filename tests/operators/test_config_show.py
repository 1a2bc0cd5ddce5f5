"""`disrupt config show` says what each setting is, and where that comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from disrupt.cli import main
from disrupt.operators.config import _without_password
from disrupt.server.config import Config


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "disrupt.toml"
    file.write_text('listen = "127.0.0.1:1"\nworkers = 3\nmax_call_s = 7.0\ntls_key = "key.pem"\n')
    return file


def test_each_setting_has_its_value_and_the_strongest_source(file: Path) -> None:
    (file.parent / "cert.pem").write_text("a secret\n")
    words = ["config", "show", "--data-dir", "data", "--config", str(file), "--json"]
    words += ["--workers", "5", "--tls-cert", str(file.parent / "cert.pem")]
    variables = {"DISRUPT_LISTEN": "127.0.0.1:2", "DISRUPT_WORKERS": "4"}
    done = CliRunner().invoke(main, words, env=variables)
    assert done.exit_code == 0
    assert "a secret" not in done.output
    rows = json.loads(done.stdout)
    assert set(rows) == set(Config.model_fields)
    for name, value, source in (
        ("data_dir", "data", "flag"),
        ("workers", 5, "flag"),
        ("listen", "127.0.0.1:2", "environment"),
        ("max_call_s", 7.0, "file"),
        ("tls_key", "key.pem", "file"),
        ("drain_grace_s", 10.0, "default"),
    ):
        assert rows[name] == {"value": value, "from": source}


def test_settings_that_a_server_would_refuse_are_refused(file: Path) -> None:
    words = ["config", "show", "--data-dir", "data", "--config", str(file)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "tls_cert and tls_key belong together" in done.stderr


def test_the_password_of_an_address_is_not_shown() -> None:
    address = "https://somebody:secret@collector.example:4317/v1"
    assert _without_password(address) == "https://...@collector.example:4317/v1"

"""Every setting comes from an option, the environment, the file or the default, in this order."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from disrupt.cli import main
from disrupt.server.config import Config, Source, variable

NUMBERS = [
    name
    for name, field in Config.model_fields.items()
    if isinstance(field.get_default(call_default_factory=True, validated_data={}), int | float)
]


def shown(*words: str) -> dict[str, dict[str, object]]:
    result = CliRunner().invoke(main, ["config", "show", "--json", *words])
    assert result.exit_code == 0, result.output
    read: dict[str, dict[str, object]] = json.loads(result.stdout)
    return read


def refusal(*words: str) -> str:
    result: Result = CliRunner().invoke(main, ["config", "show", *words])
    assert result.exit_code == 2
    return result.output


def test_all_settings_are_shown_with_their_defaults(tmp_path: Path) -> None:
    rows = shown("--data-dir", str(tmp_path))
    assert rows.pop("data_dir") == {"value": str(tmp_path), "from": Source.OPTION}
    defaults = Config(data_dir=tmp_path).model_dump(mode="json", exclude={"data_dir"})
    assert rows == {name: {"value": value, "from": "default"} for name, value in defaults.items()}


@pytest.mark.parametrize("name", NUMBERS)
def test_an_option_goes_over_a_variable_over_the_file_over_the_default(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISRUPT_DATA_DIR", str(tmp_path))
    default = shown()[name]["value"]
    assert isinstance(default, int | float)
    step = default / 16 if isinstance(default, float) else max(1, default // 16)
    away = -step if default > 4 or isinstance(default, float) else step  # within its bounds
    in_file, in_environment, in_option = (default + away * times for times in (1, 2, 3))
    file = tmp_path / "disrupt.toml"
    file.write_text(f"{name} = {in_file!r}\n")
    words = ["--config", str(file)]
    assert shown(*words)[name] == {"value": in_file, "from": Source.FILE}
    monkeypatch.setenv(variable(name), str(in_environment))
    assert shown(*words)[name] == {"value": in_environment, "from": Source.ENVIRONMENT}
    words += ["--set", f"{name}={in_option}"]
    assert shown(*words)[name] == {"value": in_option, "from": Source.OPTION}


def test_the_server_starts_with_what_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[Config] = []
    monkeypatch.setattr(
        os,
        "execve",
        lambda _, arguments, __: started.append(Config.model_validate_json(arguments[4])),
    )
    monkeypatch.setenv("DISRUPT_MAX_CALL_S", "6")
    monkeypatch.setenv("DISRUPT_HASHING_QUEUE", "")  # says nothing
    file = tmp_path / "disrupt.toml"
    file.write_text(f"data_dir = {str(tmp_path)!r}\nworkers = 2\nmax_call_s = 7.0\n")
    words = ["--config", str(file), "--workers", "3", "--set", "video_queue=5"]
    assert CliRunner().invoke(main, ["serve", *words]).exit_code == 0
    assert started == [Config(data_dir=tmp_path, workers=3, max_call_s=6.0, video_queue=5)]
    assert {name: row["value"] for name, row in shown(*words).items()} == (
        started[0].model_dump(mode="json")
    )


def test_what_cannot_be_served_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "disrupt.toml"
    file.write_text("hashing_ques = 4\n")
    here = ["--data-dir", str(tmp_path)]
    assert "hashing_ques: no such setting" in refusal(*here, "--config", str(file))
    assert "'hashing_ques=4' is not NAME=VALUE" in refusal(*here, "--set", "hashing_ques=4")
    assert (
        refusal()
        .rstrip()
        .endswith("refused: data_dir: needed, as an option, as DISRUPT_DATA_DIR, or in the file")
    )
    assert "workers: Input should be" in refusal(*here, "--workers", "0")

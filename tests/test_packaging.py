"""Checks of the package and its locks."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

import disrupt

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def test_version_is_that_of_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert disrupt.__version__ == project["version"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_lock_pins_every_package_by_hash_and_names_no_place(lock: Path) -> None:
    text = lock.read_text()
    without_comments = re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)
    entries = re.split(r"^(?=[a-z])", without_comments, flags=re.MULTILINE)
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries if entry)
    assert not re.search(r"://|^-|/(tmp|home|root|opt)\b", text, re.MULTILINE)


def test_each_lock_is_part_of_the_next_and_servers_have_the_decoders_of_the_extras() -> None:
    sdk, runtime, dev = (
        _pins(ROOT / "requirements" / name) for name in ("sdk.txt", "runtime.txt", "dev.txt")
    )
    assert sdk
    assert sdk.items() <= runtime.items() <= dev.items()
    assert runtime.keys() - sdk.keys() == {"av", "pillow-heif"}


def test_the_distribution_is_looked_up_by_its_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] != "disrupt", "that is another project's on PyPI"
    commands = distribution(project["name"]).entry_points.select(group="console_scripts")
    assert {command.name for command in commands} == {"disrupt", "disrupt-index"}

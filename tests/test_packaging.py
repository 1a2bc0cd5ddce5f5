"""Checks of the package and its locks."""

import re
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest

import disrupt
from disrupt.extras import DECODERS, PACKAGES

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def _names(requirements: list[str]) -> set[str]:
    return {re.split("[^a-z0-9-]", requirement)[0] for requirement in requirements}


def _added_by(extra: str) -> set[str]:
    """Return what an extra adds; of what all need it may demand another version."""
    project = CONFIGURATION["project"]
    return _names(project["optional-dependencies"][extra]) - _names(project["dependencies"])


def test_version_is_that_of_the_project_file() -> None:
    assert disrupt.__version__ == CONFIGURATION["project"]["version"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_lock_pins_every_package_by_hash_and_names_no_place(lock: Path) -> None:
    text = lock.read_text()
    without_comments = re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)
    entries = re.split(r"^(?=[a-z])", without_comments, flags=re.MULTILINE)
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries if entry)
    assert not re.search(r"://|^-|/(tmp|home|root|opt)\b", text, re.MULTILINE)


def test_each_lock_is_part_of_the_next_and_servers_have_the_decoders_of_the_extras() -> None:
    sdk, decoders, runtime, dev = (
        _pins(ROOT / "requirements" / f"{name}.txt")
        for name in ("sdk", "decoders", "runtime", "dev")
    )
    assert sdk
    assert sdk.items() | decoders.items() <= runtime.items() <= dev.items()
    assert decoders.keys() == {"av", "pillow-heif"}
    assert runtime.keys() - sdk.keys() > _added_by("server") | decoders.keys()


def test_messages_name_the_decoders_that_the_extras_demand() -> None:
    extras = CONFIGURATION["project"]["optional-dependencies"]
    assert [*DECODERS.values()] == [*extras["heic"], *extras["video"]]


@pytest.mark.parametrize("extra", list(PACKAGES))
def test_the_packages_of_an_extra_are_those_that_are_looked_for_and_kept_out(extra: str) -> None:
    distributions = packages_distributions()
    names = (name for package in PACKAGES[extra] for name in distributions[package])
    provided = {name.lower().replace("_", "-") for name in names}
    assert provided == _added_by(extra)
    contracts = CONFIGURATION["tool"]["importlinter"]["contracts"]
    (contract,) = (contract for contract in contracts if contract["id"] == f"extra-{extra}")
    assert contract["forbidden_modules"] == list(PACKAGES[extra])


def test_the_distribution_is_looked_up_by_its_name() -> None:
    project = CONFIGURATION["project"]
    assert project["name"] != "disrupt", "that is another project's on PyPI"
    commands = distribution(project["name"]).entry_points.select(group="console_scripts")
    assert {command.name for command in commands} == {"disrupt", "disrupt-index"}

"""Third-party modules of the page are the listed ones, byte for byte, each with its licence."""

import hashlib
import json
import re
import tomllib
from pathlib import Path

VENDOR = Path(__file__).parents[2] / "disrupt" / "web" / "page" / "vendor"
ROOT = VENDOR.parents[3]
PACKAGES = json.loads((VENDOR / "manifest.json").read_text())


def test_every_vendored_file_is_listed_with_its_checksum() -> None:
    files = {path for path in VENDOR.rglob("*") if path.is_file()} - {VENDOR / "manifest.json"}
    present = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    listed = {
        f"{folder}/{name}": checksum
        for folder, package in PACKAGES.items()
        for name, checksum in package["files"].items()
    }
    assert present == listed


def test_every_vendored_package_names_its_origin_and_has_its_licence() -> None:
    for folder, package in PACKAGES.items():
        assert folder.endswith(f"-{package['version']}")
        assert package["npm"]
        assert package["licence"]
        assert any(name.startswith("LICENSE") for name in package["files"])


def test_package_and_image_name_the_licences_of_what_they_hold() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    image = re.search(r'image\.licenses="([^"]*)"', (ROOT / "Dockerfile").read_text())
    assert image
    for named in (project["license"], image[1]):
        stated = {each.removesuffix("-only") for each in named.split(" AND ")}
        assert {package["licence"] for package in PACKAGES.values()} <= stated
        assert {"BSD-3-Clause", "IJG", "Zlib"} <= stated  # of the codec in jsquash-jpeg

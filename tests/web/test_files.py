"""The files of the page: those of the repository, and the locked ones of npm."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from disrupt.client.connection import DEFAULT_SERVER
from disrupt.errors import ConfigurationError
from disrupt.texts import DIRECTORY
from disrupt.web.files import (
    LIBRARIES,
    File,
    Operator,
    operator_files,
    read_page,
    text_files,
)
from disrupt.web.gateway import HEADERS
from rig.servers.gateway import running, whole_page
from tests.needs import needs

ROOT = Path(__file__).parents[2]
WEB = ROOT / "disrupt" / "web"

needs_npm = needs("npm")


@pytest.fixture(scope="module")
def page() -> dict[str, File]:
    return whole_page()


@needs_npm
def test_the_page_is_whole_and_has_nothing_else(page: dict[str, File]) -> None:
    assert {f"/libraries/{name}" for name in LIBRARIES} <= page.keys()
    assert {"/", "/licences.html", "/messages/calls.js", "/hashing/shapes.npy"} <= page.keys()
    assert not [name for name in page if name.startswith("/index") or "d.mts" in name]
    for file in page.values():
        assert gzip.decompress(file.compressed) == file.body
    licences = page["/licences.html"].body.decode()
    assert 'id="exit"' in licences, "the quick exit is on every page"
    for name in LIBRARIES:
        assert not name.endswith("LICENSE") or f'"/libraries/{name}"' in licences
    for name, version in json.loads((WEB / "package.json").read_text())["dependencies"].items():
        assert f"{name} {version}" in licences


@needs_npm
def test_modules_of_the_page_import_by_paths_that_are_served(page: dict[str, File]) -> None:
    for name, file in page.items():
        if not name.endswith(".js"):
            continue
        for path in re.findall(r"""(?:from|import\()\s*['"]([^'"]+)['"]""", file.body.decode()):
            assert path.startswith(("./", "../", "/")), f"{name} imports {path}"
            folder = Path(name).parent
            target = os.path.normpath(path if path.startswith("/") else folder / path)
            assert target in page, f"{name} imports {path}"


@needs_npm
def test_of_inline_scripts_only_those_of_the_page_are_allowed(page: dict[str, File]) -> None:
    scripts = re.findall(rb"<script>(.*?)</script>", page["/"].body, re.DOTALL)
    hashes = [b64encode(sha256(script).digest()).decode() for script in scripts]
    policy = dict(HEADERS)["Content-Security-Policy"]
    assert hashes
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes


@needs_npm
def test_each_attempt_fetches_the_same_files_by_paths_of_its_own(page: dict[str, File]) -> None:
    with running(DEFAULT_SERVER, files=page) as gateway:
        assert gateway.ask("GET", "/2/flow/page.js").body == page["/flow/page.js"].body
        for path in ("/2/2/flow/page.js", "/2/health", "/-1/flow/page.js", "/2flow/page.js"):
            assert gateway.ask("GET", path).status == 404, path


@needs_npm
def test_files_are_served_as_they_lie_or_compressed(page: dict[str, File]) -> None:
    with running(DEFAULT_SERVER, files=page) as gateway:
        plain = gateway.ask("GET", "/messages/calls.js")
        compressed = gateway.ask("GET", "/messages/calls.js", accept_encoding="gzip, br")
    assert plain.body == (WEB / "page" / "messages" / "calls.js").read_bytes()
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert compressed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(compressed.body) == plain.body


def test_a_page_without_its_libraries_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.html").touch()
    with pytest.raises(ConfigurationError, match="scripts/page-libraries"):
        read_page(tmp_path)


@pytest.mark.parametrize(
    ("contact", "href"),
    [
        ("aide@example.org", "mailto:aide@example.org"),
        ("+33 1 23 45 67 89", "tel:+33123456789"),
        ("https://example.org/contact", "https://example.org/contact"),
    ],
)
def test_a_contact_is_linked(contact: str, href: str) -> None:
    said = json.loads(operator_files(Operator(contact=contact))["/operator.json"].body)
    assert said["contact"] == {"text": contact.removeprefix("https://"), "href": href}


def test_a_logo_of_40_megabytes_is_refused_and_so_is_what_is_no_picture(tmp_path: Path) -> None:
    logo = tmp_path / "logo.png"
    with logo.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(40_000_000)
    with pytest.raises(ConfigurationError, match="too large: at most 256 KiB"):
        operator_files(Operator(logo=logo))
    for none in (b"", b"<html><svg></svg></html>", b"GIF89a"):
        logo.write_bytes(none)
        with pytest.raises(ConfigurationError, match="neither PNG nor SVG"):
            operator_files(Operator(logo=logo))


def test_a_logo_is_told_by_its_root_whatever_a_drawing_program_writes_before(
    tmp_path: Path,
) -> None:
    logo = tmp_path / "logo.svg"
    before = b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY ns 'http://a'>]>" + b"<!---->" * 999
    for root in (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<s:svg xmlns:s='http://a'/>"):
        logo.write_bytes(b"\xef\xbb\xbf" + before + root)
        assert "/logo.svg" in operator_files(Operator(logo=logo))
    logo.write_bytes(before)
    with pytest.raises(ConfigurationError, match="neither PNG nor SVG"):
        operator_files(Operator(logo=logo))


@pytest.mark.parametrize("content", ["[]", '{"title": null}', '{"title": 7}'])
def test_a_catalogue_that_holds_no_texts_is_refused(tmp_path: Path, content: str) -> None:
    shutil.copytree(DIRECTORY, tmp_path, dirs_exist_ok=True)
    (tmp_path / "page.es.json").write_text(content)
    with pytest.raises(ConfigurationError, match="no object of texts"):
        text_files(["es"], tmp_path)


def test_a_catalogue_with_a_hole_is_refused_with_the_key(tmp_path: Path) -> None:
    shutil.copytree(DIRECTORY, tmp_path, dirs_exist_ok=True)
    assert text_files(["es"], tmp_path).keys() > text_files().keys()
    catalogue = tmp_path / "page.es.json"
    texts = json.loads(catalogue.read_text("utf-8"))
    del texts["receipt.title"]
    catalogue.write_text(json.dumps(texts))
    with pytest.raises(ConfigurationError, match=r"'es'.*page\.es\.json: .*: receipt\.title\."):
        text_files(["es"], tmp_path)
    assert text_files((), tmp_path).keys() == text_files().keys()


@pytest.mark.parametrize("directory", [WEB, ROOT / "tests/clients/typescript"])
def test_the_lock_names_no_place_and_a_checksum_of_every_package(directory: Path) -> None:
    lock = (directory / "package-lock.json").read_text()
    assert not re.search(r'"resolved"', lock)
    packages = {name: package for name, package in json.loads(lock)["packages"].items() if name}
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    wanted = json.loads((directory / "package.json").read_text())
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert packages[f"node_modules/{name}"]["version"] == version

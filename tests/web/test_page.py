"""The page is served with strict headers, and nothing else is."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.deployment import Deployment
from disrupt.errors import ConfigurationError
from disrupt.web.files import PAGE, read_page
from disrupt.web.headers import HEADERS
from tests.server.caller import eventually
from tests.web.running import HOST, Web, answer_of

SECURED = [(name.lower(), value) for name, value in HEADERS]


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/worker.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/hashing/plan.json", "application/json"),
        ("/hashing/table.bin", "application/octet-stream"),
        ("/hashing/LICENSE", "text/plain; charset=utf-8"),
        ("/texts/shared.fr.json", "application/json"),
        ("/texts/shared.en.json", "application/json"),
    ],
)
def test_files_of_the_page_are_served_and_never_kept(web: Web, path: str, media_type: str) -> None:
    answer = web.request("GET", path)
    assert answer.status == 200
    assert answer.header("content-type") == media_type
    assert answer.header("cache-control") == "no-store"
    assert not {name for name, _ in answer.headers} & {"etag", "last-modified", "set-cookie"}
    head = web.request("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    without_date = [[each for each in a.headers if each[0] != "date"] for a in (answer, head)]
    assert without_date[0] == without_date[1]


@pytest.mark.parametrize(
    "path",
    [
        *("/index.html", "/notes.md", "/hashing/types.ts", "/hashing", "/hashing/", "/texts/"),
        *("/.hidden.js", "/.git/config.js", "/linked.js", "/folder/secret.js"),
        *("/../secret.js", "/%2e%2e/secret.js", "/hashing/../worker.js", "//worker.js"),
        *("/worker.js%00", "/worker.js/", "/WORKER.JS", "/texts/commands.fr.json", "/v1/GetCase"),
        *("/v1/RegisterImage", "/%D0%B0", "/%ff"),
    ],
)
def test_all_else_gets_the_same_few_words(web: Web, path: str) -> None:
    answer = web.request("GET", path)
    assert answer.status in {404, 405}
    assert answer.body == b"There is nothing here.\n"
    assert [each for each in answer.headers if each in SECURED] == SECURED


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_no_other_method_does_anything(web: Web, method: str) -> None:
    answer = web.request(method, "/")
    assert answer.status == 405
    assert not [name for name, _ in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/x"), ("POST", "/v1/GetCase")])
def test_every_answer_has_the_headers_each_once(web: Web, method: str, path: str) -> None:
    answer = web.request(method, path)
    for name, value in SECURED:
        assert [each for each in answer.headers if each[0] == name] == [(name, value)]
    assert answer.header("server") is None


def test_the_policy_lets_the_page_load_from_its_own_origin_only() -> None:
    policy = dict(HEADERS)["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"unsafe-(inline|eval\b)(?<!wasm-unsafe-eval)|https?:|\*", policy)
    for directive in ("frame-ancestors", "base-uri", "form-action"):
        assert f"{directive} 'none'" in policy


def test_features_that_a_page_could_misuse_are_denied_and_copying_is_not() -> None:
    denied = dict(HEADERS)["Permissions-Policy"].split(", ")
    for feature in ("camera", "geolocation", "microphone", "sync-xhr", "unload"):
        assert f"{feature}=()" in denied
    assert not any(each.startswith("clipboard-write") for each in denied)


def test_health_is_for_this_machine_only(web: Web, start: Callable[..., Web]) -> None:
    answer = web.request("GET", "/health")
    assert (answer.status, answer.body) == (200, b"serving\n")
    for name in ("X-Forwarded-For", "Forwarded"):
        assert web.request("GET", "/health", headers={name: "192.0.2.1"}).status == 404
    lonely = start(f"{HOST}:1")
    assert lonely.request("GET", "/health").status == 503


def test_a_gateway_whose_key_is_refused_is_not_healthy_and_says_why_before_anybody_calls(
    server: Deployment, start: Callable[..., Web]
) -> None:
    refused = start(server.address, key="of-nobody")
    eventually(lambda: "KEY_REFUSED" in refused.log.read_text())
    assert refused.request("GET", "/health").status == 503
    lacking = start(server.address, key=server.make_key("platform", "match"))
    eventually(lambda: "RIGHT_MISSING" in lacking.log.read_text())
    assert lacking.request("GET", "/health").status == 503


def test_a_directory_without_a_front_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no index\.html"):
        read_page(tmp_path)


def test_every_licence_of_what_is_vendored_is_served_with_it(start: Callable[..., Web]) -> None:
    web = start(f"{HOST}:1", "--page", str(PAGE))
    manifest = json.loads((PAGE / "vendor" / "manifest.json").read_text())
    licences = [
        f"{folder}/{name}"
        for folder, package in manifest.items()
        for name in package["files"]
        if name.startswith("LICENSE")
    ]
    assert len(licences) >= len(manifest)
    for licence in licences:
        answer = web.request("GET", f"/vendor/{licence}")
        assert (answer.status, answer.header("content-type")) == (200, "text/plain; charset=utf-8")
        assert answer.body == (PAGE / "vendor" / licence).read_bytes()


def test_many_requests_go_over_one_connection(web: Web) -> None:
    connection = http.client.HTTPConnection(HOST, web.port)
    for _ in range(3):
        connection.request("GET", "/worker.js")
        assert answer_of(connection).body == b"export {};"
    connection.close()

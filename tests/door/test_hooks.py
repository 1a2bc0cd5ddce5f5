"""Upload hooks answer in their own terms, and never as clean what was not looked up."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from disrupt.client import MatchClient
from disrupt.core.hashes import PdqHash
from rig.media.generated import animation
from rig.media.pictures import encode
from rig.media.videos import encode as encode_video
from rig.media.videos import footage
from rig.ports import free_port
from rig.servers.door import TOKEN, Door, door
from tests.door.sites import Site

SCAN = "/_matrix/media_proxy/unstable/scan"
PICT_RS = "/hooks/pict-rs"


def metric(site: Door, name: str) -> float:
    lines = site.ask("GET", "/metrics").body.decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


def test_pict_rs_is_told_by_status_with_its_secret_in_the_path(site: Site) -> None:
    path = f"/token/{TOKEN}{PICT_RS}"

    def status(data: bytes) -> int:
        return site.door.ask("POST", path, data, token="", content_type="image/png").status

    assert status(site.registered.read_bytes()) == 406
    assert status(site.other.read_bytes()) == 200
    assert status(site.of_a_minor.read_bytes()) == 200  # in the shadow
    assert status(b"no picture") == 503
    assert status(b"") == 503
    assert status(encode(Image.new("RGB", (99, 99)))) == 200  # featureless, as the policy says
    assert site.door.ask("POST", PICT_RS, site.registered.read_bytes(), token="").status == 401


def test_a_content_scanner_is_told_clean_and_info(site: Site) -> None:
    registered = site.door.ask("POST", SCAN, site.registered.read_bytes())
    assert (registered.status, registered.json["clean"]) == (200, False)
    other = site.door.ask("POST", SCAN, site.other.read_bytes())
    assert (other.status, other.json) == (200, {"clean": True, "info": "accepted"})
    held = site.door.ask("POST", SCAN, b"no picture")
    assert (held.status, held.json["reason"]) == (503, "MCS_MEDIA_REQUEST_FAILED")
    assert "clean" not in held.json
    assert site.door.ask("GET", f"{SCAN}/example.org/abc").status == 501  # no homeserver is named


def test_json_says_what_match_json_says_and_what_becomes_of_the_upload(site: Site) -> None:
    answer = site.door.ask("POST", "/v1/match", site.registered.read_bytes())
    assert answer.json["action"] == "refuse"
    assert [match["item"] for match in answer.json["matches"]] == [site.item_id]
    assert site.door.ask("POST", "/v1/match", site.other.read_bytes()).json["action"] == "pass"
    refused = site.door.ask("POST", "/v1/match", b"no picture")
    assert (refused.status, refused.json["action"]) == (400, "hold")
    assert refused.json["error"]["reason"] == "INVALID_MEDIA"
    with MatchClient(site.address, key=site.key) as client:
        signal = site.door.form("/h/hash", "photo", site.registered.read_bytes()).json["pdq"]
        (expected,) = client.match_hashes([PdqHash.from_hex(signal)])
    body = json.dumps({"hashes": [signal, "0" * 64]}).encode()
    (near, none) = site.door.ask("POST", "/v1/match", body, content_type="application/json").json[
        "hashes"
    ]
    assert near["matches"][0]["distance"] == expected.matches[0].distance_bits
    assert none["matches"] == []
    for wrong in (b"{", b"[]", b"{}", b'{"hashes": []}', b'{"hashes": ["00"]}'):
        answer = site.door.ask("POST", "/v1/match", wrong, content_type="application/json")
        assert (answer.status, answer.json["action"]) == (400, "hold")


def test_a_video_is_looked_up_while_it_comes(site: Site) -> None:
    clip = encode_video(footage(7, seconds=3))
    answer = site.door.ask("POST", "/v1/match", clip)
    assert (answer.status, answer.json["action"]) == (200, "pass")
    token = site.door.form("/h/hash", "video", clip).json["disrupt_video"]
    path = f"/m/lookup?signal={token}&signal_type=disrupt_video"
    assert site.door.ask("GET", path).json == {}
    cut = site.door.ask("POST", "/v1/match", clip[: len(clip) // 2])
    assert cut.json["action"] == "hold"


def test_an_animation_that_was_not_wholly_looked_at_is_held(site: Site, tmp_path: Path) -> None:
    whole = animation(tmp_path / "a.gif", *range(900, 905)).read_bytes()
    assert site.door.ask("POST", PICT_RS, whole).status == 200
    assert site.door.ask("POST", PICT_RS, whole[: len(whole) * 3 // 4]).status == 503


def test_equal_bytes_are_hashed_once_and_looked_up_each_time(site: Site) -> None:
    data = encode(Image.effect_mandelbrot((333, 222), (-2, -1, 1, 1), 100))
    before = metric(site.door, "disrupt_door_seen_before ")
    lookups = metric(site.door, 'disrupt_door_lookups_total{result="no_match",route="v1"}')
    for _ in range(3):
        assert site.door.ask("POST", "/v1/match", data).status == 200
    assert metric(site.door, "disrupt_door_seen_before ") == before + 2
    looked_up = metric(site.door, 'disrupt_door_lookups_total{result="no_match",route="v1"}')
    assert looked_up == lookups + 3


@pytest.fixture
def away(site: Site, tmp_path: Path) -> Iterator[Door]:
    """Run a door whose hotline is away, and which waits for it a short time."""
    policy = "patience_s = 0.5"
    with door(tmp_path, f"127.0.0.1:{free_port()}", site.key, policy) as running:
        yield running


def test_nothing_is_clean_while_the_hotline_is_away(site: Site, away: Door) -> None:
    data = site.other.read_bytes()
    assert away.ask("POST", PICT_RS, data).status == 503
    assert away.ask("POST", SCAN, data).status == 503
    assert away.ask("POST", "/v1/match", data).json["error"]["reason"] == "UNAVAILABLE"
    lookup = away.form("/m/lookup", "photo", data)
    assert lookup.status == 503
    with pytest.raises(json.JSONDecodeError):
        json.loads(lookup.body)
    assert away.form("/h/hash", "photo", data).status == 200
    assert away.ask("GET", "/health").status == 503
    assert metric(away, 'disrupt_door_lookups_total{result="UNAVAILABLE",route="v1"}') == 1


def test_a_refused_key_is_named_and_nothing_passes(site: Site, tmp_path: Path) -> None:
    with door(tmp_path, site.address, "not-a-key-of-the-hotline") as refused:
        answer = refused.ask("POST", "/v1/match", site.other.read_bytes())
        assert (answer.status, answer.json["action"]) == (503, "hold")
        assert answer.json["error"]["reason"] == "KEY_REFUSED"
        assert "KEY_REFUSED" in refused.ask("GET", "/health").body.decode()
        assert metric(refused, 'disrupt_door_lookups_total{result="KEY_REFUSED",route="v1"}') == 1


def test_uploads_are_neither_kept_nor_logged(site: Site) -> None:
    data = site.other.read_bytes()
    site.door.ask("POST", PICT_RS, data)
    site.door.ask("POST", "/v1/match", b"no picture")
    folder = site.door.log.parent
    kept = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert data[100:164] not in kept
    assert b"no picture" not in kept


@contextmanager
def homeserver(data: bytes) -> Iterator[int]:
    """Serve one file as a homeserver does, on loopback."""

    class Media(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/_matrix/media/v3/download/example.org/abc"
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(data if known else b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Media) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_media_of_the_homeserver_are_scanned_by_id(site: Site, tmp_path: Path) -> None:
    with homeserver(site.registered.read_bytes()) as port:
        policy = f'matrix_media = "http://127.0.0.1:{port}/_matrix/media/v3/download"'
        with door(tmp_path, site.address, site.key, policy) as running:
            assert running.ask("GET", f"{SCAN}/example.org/abc").json["clean"] is False
            assert running.ask("GET", f"{SCAN}/example.org/gone").status == 503
            assert running.ask("GET", f"{SCAN}/example.org/%2e%2e").status == 404


def test_connections_that_say_nothing_keep_nobody_out(site: Site) -> None:
    silent = [socket.create_connection(("127.0.0.1", site.door.port)) for _ in range(1100)]
    try:
        assert site.door.ask("GET", "/status/live").status == 200
    finally:
        for connection in silent:
            connection.close()

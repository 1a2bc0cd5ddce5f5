"""Save a picture of each step of the page, on a phone and on a desktop, in docs/screenshots.

Run it after a change to what the page shows: ``python -m tests.web.browser.screenshots``.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from disrupt.core.partners import Partner
from disrupt.server.desk import open_desk
from disrupt.web.files import Operator, operator_files
from disrupt.wire import admin as wire
from rig.servers.deployment import FEW_DECODERS, Deployment
from rig.servers.gateway import running, whole_page
from tests.web.browser.chromium import chromium
from tests.web.browser.person import Person

DIRECTORY = Path(__file__).parents[3] / "docs/screenshots"
VIEWPORTS = {"phone": (360, 740), "desktop": (1280, 800)}
"""Width and height in pixels."""
OPERATOR = Operator("Association Exemple", "aide@example.org", "https://example.org/mentions")
PARTNER = Partner("platform", "Réseau Exemple", "https://reseau.example/signaler")


def main() -> None:
    """Go through the page once for each viewport."""
    DIRECTORY.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        server = Deployment.start(Path(temporary) / "data", workers=1, settings=FEW_DECODERS)
        key = server.make_key("page", "register")
        server.make_key(PARTNER.organisation, "match")
        with open_desk(server.data_dir) as desk:
            desk.SetPartner(wire.partner_request(PARTNER))
        files = whole_page() | operator_files(OPERATOR)
        with running(server.address, files, key=key) as gateway, chromium() as browser:
            for name, (width, height) in VIEWPORTS.items():
                page = browser.new_page(viewport={"width": width, "height": height}, locale="fr-FR")
                person = Person(page, gateway.url).comes()

                def save(step: str, name: str = name, person: Person = person) -> None:
                    shot = Image.open(io.BytesIO(whole(person.page)))
                    shot.save(DIRECTORY / f"{name}-{step}.webp", quality=60, method=6)

                person.at_each_step(save)
                page.close()
        server.stop()


def whole(page: Page) -> bytes:
    """Return a picture of all of the page: in a window that is as high, so that nothing floats."""
    window = page.viewport_size
    assert window is not None
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": window["width"], "height": height})
    shot = page.screenshot()
    page.set_viewport_size(window)
    return shot


if __name__ == "__main__":
    main()

"""Take pictures of each step of the page, on a phone and on a desktop, for docs/screenshots/."""

from __future__ import annotations

import io
import sys
import tempfile
from functools import partial
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from disrupt.web.files import PAGE

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.web.browser.chromium import chromium  # noqa: E402 tests are no package
from tests.web.browser.person import Person  # noqa: E402
from tests.web.running import HOST, Web  # noqa: E402

FOLDER = ROOT / "docs" / "screenshots"
SIZES_PX = {"phone": (360, 740), "desktop": (1280, 800)}


def _take(page: Page, device: str, step: str) -> None:
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    picture.save(FOLDER / f"{device}-{step}.webp", lossless=True, method=6)


def main() -> None:
    """Start a server, go through the page once for each size, and write the pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        directory = Path(folder)
        server = Deployment.start(directory / "data", workers=1, settings=FEW_DECODERS)
        web = Web.start(directory, PAGE, server.address, key=server.make_key("page", "register"))
        browser = chromium(driver)
        try:
            for device, (width, height) in SIZES_PX.items():
                page = browser.new_page(viewport={"width": width, "height": height})
                person = Person(page, f"http://{HOST}:{web.port}").comes()
                person.at_each_step(partial(_take, page, device))
        finally:
            browser.close()
            web.stop()
            server.stop()


if __name__ == "__main__":
    main()

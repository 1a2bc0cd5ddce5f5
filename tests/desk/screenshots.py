"""Save pictures of the desk in docs/screenshots: ``python -m tests.desk.screenshots``."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from rig.ports import free_port
from rig.servers.deployment import FEW_DECODERS, Deployment
from tests.desk.browsing import Analyst, page_of, serving
from tests.desk.staff import People
from tests.web.browser.chromium import chromium

DIRECTORY = Path(__file__).parents[2] / "docs/screenshots"


def main() -> None:
    """Show what has to be decided, and the preview of an act on many."""
    with tempfile.TemporaryDirectory() as temporary:
        server = Deployment.start(Path(temporary) / "data", workers=1, settings=FEW_DECODERS)
        people = People(server)
        people.dispute(people.register()[0])
        people.dispute(people.register(items=2)[0])
        people.register(items=31)
        key = server.make_key("analyste", "review")
        with (
            serving(server.address, Path(temporary), free_port()) as site,
            chromium(f"--ignore-certificate-errors-spki-list={site.certificate_hash}") as browser,
        ):
            analyst = Analyst(page_of(browser), site).comes().enrols(key)
            save(analyst.page, "decide")
            analyst.opens("Afflux")
            analyst.page.get_by_role("button", name="Lister").first.click()
            analyst.sees("Tous")
            analyst.page.get_by_label("Sur", exact=True).select_option("all")
            analyst.clicks("Rejeter")
            analyst.page.get_by_role("dialog").wait_for()
            save(analyst.page, "preview")
        server.stop()


def save(page: Page, name: str) -> None:
    """Save what is in view."""
    shot = Image.open(io.BytesIO(page.screenshot()))
    shot.save(DIRECTORY / f"desk-{name}.webp", quality=60, method=6)


if __name__ == "__main__":
    main()

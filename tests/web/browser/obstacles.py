"""What keeps somebody from using a step of the page."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from disrupt.texts import LANGUAGES, read_texts

_AXE = Path(__file__).parents[3] / ".cache/page/node_modules/axe-core/axe.min.js"
"""Where scripts/page-libraries puts axe."""

_TITLES = {tag: read_texts("page", tag)["title"] for tag in LANGUAGES}

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """Return what axe finds in the step that is shown."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE.read_text("utf-8"))
    found = page.evaluate("(rules) => axe.run({ runOnly: rules })", _RULES)["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found]


def obstacles(page: Page) -> list[str]:
    """Return what keeps somebody from using the step that is shown."""
    found: list[str] = page.evaluate(
        """(title) => {
            const { scrollWidth, clientWidth } = document.documentElement;
            const targets = [...document.querySelectorAll('button, select, input:not([hidden])')];
            const small = targets.filter((it) => it.checkVisibility() && it.offsetHeight < 44);
            const { top, bottom } = document.getElementById('exit').getBoundingClientRect();
            return [
                scrollWidth > clientWidth && 'it scrolls sideways',
                small.length && `small: ${small[0].outerHTML}`,
                (top < 0 || bottom > innerHeight) && 'the exit is out of view',
                document.getAnimations().length && 'something moves',
                document.title !== title && 'the title tells something',
                location.href !== `${origin}/` && 'so does the address',
            ].filter(Boolean);
        }""",
        _TITLES[page.locator("html").get_attribute("lang") or ""],
    )
    return found

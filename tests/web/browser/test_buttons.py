"""Buttons and fields stay what they are while the page changes around them."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.web.browser.person import Person, photograph

_SLOW = """() => {
  window.workers = window.told = 0;
  window.Worker = class {
    constructor() {
      window.workers++;
    }
    postMessage({ id, file }) {
      if (!file) return;
      setInterval(() => {
        window.told++;
        this.onmessage({ data: { id, progress: 0.5 } });
      }, 5);
    }
    addEventListener() {}
    removeEventListener() {}
    terminate() {}
  };
}"""
"""Replace the worker by one that never ends, and says very often how far it is."""
_TOLD = """async (times) => {
  const enough = window.told + times;
  while (window.told < enough) await new Promise((resolve) => setTimeout(resolve, 5));
}"""
"""Wait until it has said so some times more."""


def test_the_way_back_can_be_pressed_while_files_are_hashed(person: Person) -> None:
    page = person.page
    page.evaluate(_SLOW)
    person.says_age().chooses(photograph("cat"))
    assert page.evaluate("window.workers") == 1
    person.clicks("Continuer").sees("number").clicks("J'ai noté").sees("send")
    person.reads("Encore un instant")
    expect(person.button("Envoyer")).to_have_attribute("aria-disabled", "true")
    back = person.button("Retour").element_handle()
    back.focus()
    page.evaluate(_TOLD, 30)
    assert back.evaluate("(it) => it === document.activeElement")
    back.click()
    person.sees("number")


def test_another_language_changes_the_texts_of_a_row_and_not_the_row(person: Person) -> None:
    page = person.page
    page.evaluate(_SLOW)
    person.says_age().chooses(photograph("cat"), photograph("rocket"))
    person.button("Aperçu Image 1").click()
    row = page.locator(".files li").first.element_handle()
    shown = page.locator(".preview img").element_handle()
    person.clicks("English")
    assert row.evaluate("(it) => it.isConnected")
    assert shown.evaluate("(it) => it.isConnected && it.ariaLabel === 'Picture 1'")
    for words in ("Hide the preview Picture 1", "Cancel Picture 1", "Preview Picture 2"):
        expect(person.button(words)).to_have_count(1)
    person.reads("Computing fingerprints").reads("Waiting")


def test_what_was_typed_outlives_another_language_and_the_help_but_not_the_step(
    person: Person,
) -> None:
    page = person.page
    person.clicks("J'ai déjà un dossier").sees("open")
    page.locator("#open-number").fill("AVMJ-9P6")
    page.locator("#open-pin").fill("1234 5678")
    for name in ("English", "Français", "Aide et contacts", "Revenir"):
        person.clicks(name)
    person.sees("open")
    expect(page.locator("#open-number")).to_have_value("AVMJ-9P6")
    expect(page.locator("#open-pin")).to_have_value("1234 5678")
    person.clicks("Retour").sees("welcome").clicks("J'ai déjà un dossier").sees("open")
    expect(page.locator("#open-number")).to_have_value("")
    expect(page.locator("#open-pin")).to_have_value("")

"""Browsers that translate pages send their words away: numbers and names are never among them."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.web.browser.person import Person, photograph

_TRANSLATED = """(words) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const { parentElement: { translate }, data } = walker.currentNode;
    const plain = data.replace(/[^\\w.]/g, '');
    if (translate && words.some((word) => plain.includes(word))) found.push(data);
  }
  return found;
}"""
"""Return the texts that may be translated and hold one of some words."""


def test_case_number_pin_and_file_names_are_not_translated(person: Person) -> None:
    page = person.page
    expect(page.locator("meta[name=google]")).to_have_attribute("content", "notranslate")
    number, pin = person.registers(photograph("cat"))
    secrets = [number.replace("-", ""), pin, "cat.png"]
    assert page.evaluate(_TRANSLATED, ["Cestfait"])
    assert page.evaluate(_TRANSLATED, secrets) == []
    person.clicks("Voir mon dossier").sees("case").reads("Numéro de dossier")
    assert page.evaluate(_TRANSLATED, secrets) == []

"""What a person does with the page, by the words that they see, in French."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Self

from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.hashing.pictures import PHOTOS, encode

# A busy machine is slow, and pytest-timeout ends what hangs.
expect.set_options(timeout=240_000)

STEPS: Mapping[str, str] = {
    "welcome": "Bloquer la diffusion de vos images intimes",
    "who": "Qui voit-on sur ces images",
    "age": "Quel âge avait la personne",
    "choose": "Choisissez les images et vidéos",
    "number": "Notez ce numéro et ce code",
    "send": "Voici ce qui va être envoyé",
    "receipt": "C'est fait",
    "open": "Retrouver un dossier",
    "case": "Votre dossier",
    "help": "Aide et contacts",
}


def file(name: str, data: bytes) -> FilePayload:
    """Return a file to choose."""
    return {"name": name, "mimeType": "image/png", "buffer": data}


def photograph(name: str) -> FilePayload:
    """Return a photograph of a package as a file."""
    return file(f"{name}.png", encode(PHOTOS[name]))


class Person:
    """Somebody at the page. ``actions`` counts what they did since they chose files."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.actions = 0
        page.set_default_timeout(240_000)

    def comes(self) -> Self:
        """Open the page."""
        self.page.goto(self.url)
        expect(self.page.locator("#starting")).to_have_count(0)  # before, the heading is the same
        return self.sees("welcome")

    def sees(self, step: str) -> Self:
        """Wait for the heading of a step."""
        heading = self.page.get_by_role("heading", level=1)
        expect(heading).to_contain_text(STEPS[step])
        return self

    def reads(self, words: str) -> Self:
        """Wait for words; spaces of any kind are alike."""
        pattern = re.compile(re.escape(words).replace(r"\ ", r"[\s ]+"))
        expect(self.page.get_by_text(pattern).first).to_be_visible()
        return self

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    def clicks(self, name: str) -> Self:
        self.actions += 1
        self.button(name).first.click()
        return self

    def says_age(self, age: str = "18 ans ou plus") -> Self:
        """Answer the questions, up to the choice of files."""
        self.clicks("Commencer").sees("who").clicks("C'est moi").sees("age")
        return self.clicks(age).sees("choose")

    def chooses(self, *files: FilePayload) -> Self:
        """Choose files; that is where the actions are counted from."""
        self.page.locator("#files").set_input_files(files)
        self.actions = 0
        return self

    def is_ready(self) -> Self:
        """Wait until all files are hashed."""
        expect(self.page.locator(".files progress:visible")).to_have_count(0)
        return self

    def goes_to_send(self) -> Self:
        self.clicks("Continuer").sees("number").clicks("J'ai noté").sees("send")
        expect(self.button("Envoyer")).to_have_attribute("aria-disabled", "false")
        return self

    def registers(self, *files: FilePayload, age: str = "18 ans ou plus") -> tuple[str, str]:
        """Go from the welcome to the receipt; return number and PIN."""
        self.says_age(age).chooses(*files).is_ready().goes_to_send()
        self.clicks("Envoyer").sees("receipt")
        return self.number_and_pin()

    def number_and_pin(self) -> tuple[str, str]:
        return (
            self.page.locator("#case-number").inner_text(),
            self.page.locator("#pin").inner_text().replace(" ", ""),
        )

    def opens(self, number: str, pin: str) -> Self:
        """Open a case from the welcome."""
        self.clicks("J'ai déjà un dossier").sees("open")
        self.page.get_by_label("Numéro de dossier").fill(number)
        self.page.get_by_label("Code PIN").fill(pin)
        self.clicks("Ouvrir")
        return self

    def at_each_step(self, look: Callable[[str], None]) -> None:
        """Go through every step, and call ``look`` with its name."""
        look("welcome")
        self.clicks("Commencer").sees("who")
        look("who")
        self.clicks("C'est moi").sees("age")
        look("age")
        self.clicks("18 ans ou plus").sees("choose")
        look("choose-empty")
        self.chooses(photograph("cat"), file("notes.txt", b"no picture"), file("empty.png", b""))
        self.is_ready()
        look("choose")
        self.clicks("Continuer").sees("number")
        look("number")
        self.clicks("J'ai noté").sees("send")
        look("send")
        self.clicks("Envoyer").sees("receipt")
        look("receipt")
        self.clicks("Voir mon dossier").sees("case")
        look("case")
        self.clicks("Retirer tout le dossier")
        look("withdraw")
        self.clicks("Non, ne rien changer").sees("case").clicks("Terminer").sees("welcome")
        self.clicks("J'ai déjà un dossier").sees("open").clicks("Ouvrir")
        look("open")
        self.clicks("Aide et contacts").sees("help")
        look("help")

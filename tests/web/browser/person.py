"""What a person does with the page in French: clicks what they see, and reads texts, by key."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import Self

from playwright.sync_api import FilePayload, Locator, Page, expect

from disrupt.texts import read_catalogue
from rig.media.pictures import PHOTOS, encode

# A busy machine is slow, and pytest-timeout ends what hangs.
expect.set_options(timeout=240_000)

_TEXTS = {**read_catalogue("shared"), **read_catalogue("page")}
_VOICES = ("", ".child", ".other")


def words(key: str, **fields: object) -> re.Pattern[str]:
    """Return a pattern of a text in French; a field that is not given is anything.

    Spaces of any kind are alike.
    """
    pattern = ""
    for literal, name, _, _ in string.Formatter().parse(_TEXTS[key].fr):
        pattern += re.escape(literal).replace(r"\ ", r"[\s ]+")
        if name is not None:
            pattern += re.escape(str(fields[name])) if name in fields else ".+"
    return re.compile(pattern)


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
        """Wait for the heading of a step, to whomever."""
        keys = [key for key in (f"{step}.title{end}" for end in _VOICES) if key in _TEXTS]
        titles = re.compile("|".join(words(key).pattern for key in keys))
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(titles)
        return self

    def reads(self, key: str, **fields: object) -> Self:
        """Wait for a text."""
        expect(self.page.get_by_text(words(key, **fields)).first).to_be_visible()
        return self

    def button(self, name: str) -> Locator:
        """Return the button whose label begins with words."""
        return self.page.get_by_role("button", name=re.compile(f"^{re.escape(name)}"))

    def clicks(self, name: str) -> Self:
        """Click a button, and move the mouse away."""
        self.actions += 1
        self.button(name).first.click()
        self.page.mouse.move(1, 1)
        return self

    def switches(self, language: str) -> Self:
        """Choose a language by its tag, and wait until it is shown."""
        self.page.locator("#language").select_option(language)
        expect(self.page.locator(f"html[lang={language}]")).to_be_visible()
        return self

    def says_age(self, age: str = "18 ans ou plus") -> Self:
        """Answer the questions, up to the choice of files."""
        self.clicks("Commencer").sees("who").clicks("Moi").sees("age")
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
        """Go on from the choice, until everything may be sent."""
        self.clicks("Continuer").sees("number").clicks("Je les ai notés").sees("send")
        expect(self.button("Envoyer")).to_have_attribute("aria-disabled", "false")
        return self

    def prepares(self, *photographs: str, age: str = "18 ans ou plus") -> Self:
        """Go from the welcome to where photographs may be sent."""
        self.says_age(age).chooses(*map(photograph, photographs)).is_ready()
        return self.goes_to_send()

    def registers(self, *files: FilePayload, age: str = "18 ans ou plus") -> tuple[str, str]:
        """Go from the welcome to the receipt; return number and PIN."""
        self.says_age(age).chooses(*files).is_ready().goes_to_send()
        self.clicks("Envoyer")
        expect(self.page.locator("main[data-step=receipt]")).to_be_visible()
        return self.number_and_pin()

    def finds(self, *files: FilePayload) -> Self:
        """Ask the open case which pictures files are, and wait for the answers."""
        answered = self.page.locator("#which ~ .files .file-state:is(.done, .problem)")
        before = answered.count()
        self.page.locator("#which").set_input_files(files)
        expect(answered).to_have_count(before + len(files))
        return self

    def number_and_pin(self) -> tuple[str, str]:
        """Return what is shown of the case."""
        return (
            self.page.locator("#case-number").inner_text(),
            self.page.locator("#pin").inner_text().replace(" ", ""),
        )

    def ends(self) -> Self:
        """Finish, and go back to the welcome."""
        return self.clicks("Terminer").sees("goodbye").clicks("Revenir à l'accueil").sees("welcome")

    def opens(self, number: str, pin: str) -> Self:
        """Open a case from the welcome."""
        self.clicks("J'ai déjà un dossier").sees("open")
        self.page.get_by_label("Numéro de dossier").fill(number)
        self.page.get_by_label("Code PIN").fill(pin)
        return self.clicks("Ouvrir")

    def at_each_step(self, look: Callable[[str], None]) -> None:
        """Go through every step, and call ``look`` with its name."""
        look("welcome")
        self.clicks("Commencer").sees("who")
        look("who")
        self.clicks("Moi").sees("age")
        look("age")
        self.clicks("18 ans ou plus").sees("choose")
        look("choose-empty")
        self.chooses(photograph("cat"), photograph("coffee"), file("notes.txt", b"no picture"))
        self.is_ready()
        look("choose")
        self.clicks("Enlever notes.txt")
        self.clicks("Continuer").sees("number")
        look("number")
        self.clicks("Je les ai notés").sees("send")
        look("send")
        self.clicks("Envoyer").sees("receipt")
        look("receipt")
        self.clicks("Voir le dossier").sees("case")
        look("case")
        self.clicks("Retirer Image 1")
        expect(self.button("Oui, retirer")).to_have_attribute("aria-disabled", "false")
        look("withdraw")
        self.clicks("Non, ne rien changer").sees("case").clicks("Terminer").sees("goodbye")
        look("goodbye")
        self.clicks("Revenir à l'accueil").sees("welcome")
        self.clicks("J'ai déjà un dossier").sees("open").clicks("Ouvrir")
        look("open")
        self.clicks("Aide et contacts").sees("help")
        look("help")

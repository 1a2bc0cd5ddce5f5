"""The desk in a browser, over TLS: an analyst with a virtual authenticator."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, Page, expect

from rig.servers.certificates import in_one_file
from rig.servers.desk import Running, running


@dataclass
class Site:
    """A desk that browsers reach."""

    url: str
    desk: Running
    certificate_hash: str
    """By which Chromium takes the certificate: for one that it does not, it has no passkeys."""


@contextmanager
def serving(server: str, directory: Path, port: int) -> Iterator[Site]:
    """Run a desk over TLS at a port of localhost."""
    pem = in_one_file(directory / "certificate.pem", "localhost")
    certificate = x509.load_pem_x509_certificate(
        pem.read_bytes()[pem.read_bytes().index(b"-----BEGIN CERT") :]
    )
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    url = f"https://localhost:{port}"
    options = {"ssl_certfile": pem, "ssl_keyfile": pem, "proxy_headers": False}
    with running(server, directory / "desk", origin=url, options=options, port=port) as desk:
        yield Site(url, desk, base64.b64encode(hashlib.sha256(key).digest()).decode())


@dataclass
class Analyst:
    """Somebody of staff before the desk."""

    page: Page
    site: Site

    def comes(self) -> Analyst:
        """Open the desk, with a device that has a passkey for whoever asks."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("WebAuthn.enable")
        of_device = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
        }
        session.send("WebAuthn.addVirtualAuthenticator", {"options": of_device})
        self.page.goto(self.site.url)
        return self

    def enrols(self, secret: str) -> Analyst:
        """Enrol a passkey."""
        self.page.get_by_label("Secret de votre clé").fill(secret)
        self.clicks("Créer une clé d'accès")
        self.sees("À décider")
        return self

    def clicks(self, name: str) -> None:
        """Click a button."""
        self.page.get_by_role("button", name=name, exact=True).last.click()

    def opens(self, name: str) -> None:
        """Open a view."""
        self.page.get_by_role("link", name=name, exact=True).click()
        self.sees(name)

    def sees(self, heading: str) -> None:
        """Wait for a view."""
        expect(self.page.locator("h1")).to_have_text(heading)
        expect(self.page.locator("main[aria-busy]")).to_have_count(0)

    def reads(self, words: str) -> None:
        """Wait for what the desk says of an act; spaces of any kind are alike."""
        expect(self.page.locator("#said")).to_contain_text(words)

    def fills(self, label: str, value: str) -> None:
        """Fill a field."""
        self.page.get_by_label(label, exact=True).last.fill(value)


def page_of(browser: Browser) -> Page:
    """Open a page of somebody else."""
    return browser.new_context(viewport={"width": 1280, "height": 900}, locale="fr-FR").new_page()

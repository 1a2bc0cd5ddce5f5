"""The page in Debian's Firefox: the whole way, once."""

from __future__ import annotations

from pathlib import Path

from rig.media.pictures import encode, photo
from tests.web.browser.marionette import firefox
from tests.web.browser.site import Site


def test_a_picture_is_registered_and_withdrawn_in_firefox(
    site: Site, tmp_path: Path, free_port: int
) -> None:
    picture = encode(photo("ihc.png"))
    (tmp_path / "a.png").write_bytes(picture)
    with firefox(tmp_path, free_port) as browser:
        browser("WebDriver:Navigate", url=site.url)
        browser.reads("Commencer")
        for label in ("Commencer", "Moi", "18 ans ou plus"):
            browser.clicks(label)
        browser.chooses(tmp_path / "a.png")
        browser.reads("1 fichier est prêt.")
        browser.clicks("Continuer")
        browser.reads("Notez ce numéro et ce code")
        browser.clicks("Je les ai notés")
        browser.clicks("Envoyer")
        browser.reads("C'est fait")
        site.finds(picture, matches=1)
        browser.clicks("Voir le dossier")
        browser.reads("Votre dossier")
        browser.clicks("Retirer tout le dossier")
        browser.clicks("Oui, retirer")
        browser.reads("Le dossier est retiré")
        site.finds(picture, matches=0)

"""Everything a victim reads, French first, English beside it. Short, calm, and what can be done."""

from __future__ import annotations

import re
from typing import NamedTuple

from disrupt.core.cases import AgeBand, CaseStatus
from disrupt.errors import DisruptError


class Phrase(NamedTuple):
    """One sentence in both languages; ``{}`` fields are filled by ``format``."""

    fr: str
    en: str

    def format(self, **values: object) -> Phrase:
        """With its fields filled in."""
        return Phrase(self.fr.format(**values), self.en.format(**values))

    def __str__(self) -> str:
        """Beside each other, on one line."""
        return f"{self.fr} · {self.en}"

    def typeset(self) -> Phrase:
        """As French is set: no line begins with ``:`` or ``?``, no number leaves its unit."""
        unbreakable = re.sub(
            r" (?=[:;?!»])|(?<=«) |(?<=\d) (?=[hs]\b)", "\N{NO-BREAK SPACE}", self.fr
        )
        return Phrase(unbreakable, self.en)


# What was done
REGISTERED = Phrase(
    "C'est fait. Images et vidéos enregistrées : {count}. Les plateformes partenaires peuvent les "
    "bloquer.",
    "Done. Pictures and videos registered: {count}. Partner platforms can now block them.",
)
NOTHING_REGISTERED = Phrase(
    "Aucun fichier n'a pu être enregistré.",
    "No file could be registered.",
)
CASE_NUMBER = Phrase("Numéro de dossier", "Case number")
PIN = Phrase("Code PIN", "PIN")
KEEP_BOTH = Phrase(
    "Notez ces deux numéros et gardez-les en lieu sûr : il faut les deux pour suivre ou retirer "
    "votre dossier. Nous ne pouvons pas retrouver le code PIN.",
    "Write both down and keep them safe: you need both to follow or withdraw your case. "
    "We cannot recover the PIN.",
)
NEVER_LEFT = Phrase(
    "Vos fichiers n'ont pas quitté cet appareil : seules leurs empreintes, dont on ne peut pas "
    "reconstituer l'image, ont été envoyées.",
    "Your files have not left this device: only their fingerprints were sent, from which "
    "nobody can make the picture again.",
)
STAYED = Phrase(
    "Vos fichiers n'ont pas quitté cet appareil.", "Your files have not left this device."
)
TREATED_AS_MINOR = Phrase(
    "Âge non précisé : par prudence, ces images sont traitées comme celles d'une personne mineure.",
    "Age not given: to be safe, these pictures are treated as those of a minor.",
)
WITHDRAWN = Phrase(
    "Le dossier est retiré : ses empreintes sont effacées et ne servent plus à rien bloquer.",
    "The case is withdrawn: its fingerprints are erased and no longer block anything.",
)
ITEMS_WITHDRAWN = Phrase(
    "Images retirées : {count}. Leurs empreintes sont effacées.",
    "Pictures withdrawn: {count}. Their fingerprints are erased.",
)
COME_BACK = Phrase(
    "Vous pourrez enregistrer vos images à nouveau quand vous voudrez.",
    "You can register your pictures again whenever you want.",
)
HELP = Phrase(
    "Besoin d'en parler ? 3018, gratuit et anonyme, 7 jours sur 7, de 9 h à 23 h. "
    "En danger : 17 ou 112.",
    "Want to talk? 3018 in France, free and anonymous, every day from 9 am to 11 pm. "
    "In danger: 17 or 112.",
)

ONLY_BEGINNING = Phrase(
    "le début seulement : ce fichier s'arrête avant la fin, ou est abîmé",
    "its beginning only: this file ends early, or is damaged",
)

# Parts of tables
FILE = Phrase("Fichier", "File")
ITEM = Phrase("Image", "Item")
WHY = Phrase("Non enregistrée, parce que", "Not registered, because")
STATUS = Phrase("État", "Status")
AGE = Phrase("Traitée comme celle d'une personne", "Treated as that of")
AGES = {
    AgeBand.ADULT: Phrase("majeure", "an adult"),
    AgeBand.MINOR: Phrase("mineure", "a minor"),
}
OPENED_ON = Phrase("Ouvert le", "Opened on")
CLOSED_ON = Phrase("Clos le", "Closed on")
STATUSES = {
    CaseStatus.RECEIVED: Phrase("reçu", "received"),
    CaseStatus.ACTIVE: Phrase("actif", "active"),
    CaseStatus.WITHDRAWN: Phrase("retiré", "withdrawn"),
    CaseStatus.REJECTED: Phrase("refusé par le service", "refused by the hotline"),
}
ACTIVE_MEANS = Phrase(
    "Les plateformes partenaires peuvent bloquer ces images.",
    "Partner platforms can block these pictures.",
)
UNKNOWN_VALUE = Phrase("inconnu de cette version", "not known to this version")

# What is asked
ASK_PIN = Phrase("Code PIN (il ne s'affiche pas)", "PIN (it is not shown)")
WORKING = Phrase("Calcul des empreintes", "Making fingerprints")

# Why one file was not registered
REJECTIONS = {
    "LOW_QUALITY": Phrase(
        "Image trop unie ou trop floue pour être reconnue à coup sûr. Essayez l'original, non "
        "recadré. Si c'est l'original, signalez-la directement à la plateforme ou au 3018.",
        "Picture too plain or blurred to be recognised for certain. Try the original, not "
        "cropped. If it is the original, report it to the platform or to 3018.",
    ),
    "INVALID_MEDIA": Phrase(
        "Ce fichier n'est pas une image que nous pouvons lire (JPEG, PNG, WebP, AVIF, GIF, TIFF ou "
        "BMP, 50 mégapixels au plus). Une photo HEIC (iPhone) : exportez-la en JPEG à sa taille "
        "d'origine, puis recommencez.",
        "This file is not a picture that we can read (JPEG, PNG, WebP, AVIF, GIF, TIFF or BMP, at "
        "most 50 megapixels). A HEIC photo (iPhone): export it as a JPEG at its original size, "
        "then try again.",
    ),
    "TOO_MANY_FRAMES": Phrase(
        "Cette animation a trop d'images différentes pour les enregistrer toutes. Recommencez sans "
        "--every-frame : la première image est alors enregistrée. Ou enregistrez à part, comme "
        "photos, celles qui vous montrent.",
        "This animation has too many different frames to register them all. Try again without "
        "--every-frame: its first frame is registered then. Or register the frames that show you "
        "as pictures of their own.",
    ),
}
REJECTIONS["INVALID_VIDEO"] = Phrase(
    "Nous ne pouvons pas lire cette vidéo (MP4, MOV, WebM, MKV, AVI ou MPEG, 3 heures et 4K au "
    "plus), ou elle est abîmée. Essayez l'original, ou enregistrez des captures d'écran des "
    "moments où l'on vous voit.",
    "We cannot read this video (MP4, MOV, WebM, MKV, AVI or MPEG, at most 3 hours and 4K), or it "
    "is damaged. Try the original, or register screenshots of the moments that show you.",
)
REJECTIONS["NO_VIDEO_DECODER"] = Phrase(
    "Cette installation ne lit pas les vidéos. L'association qui vous accompagne peut y ajouter le "
    "module « video », ou enregistrer la vidéo avec vous.",
    "This installation does not read videos. The helpline can add its module “video”, or register "
    "the video with you.",
)
REJECTIONS["UNREADABLE_MEDIA"] = Phrase(
    "Ce fichier est introuvable ou ne peut pas être ouvert. Vérifiez son nom, puis recommencez.",
    "This file is not there or cannot be opened. Check its name, then try again.",
)
NOT_SENT = Phrase(
    "L'envoi s'est arrêté avant ce fichier. Ajoutez-le plus tard avec --case.",
    "Sending stopped before this file. Add it later with --case.",
)

# Why nothing was done
ERRORS = {
    "UNAVAILABLE": Phrase(
        "Le service ne répond pas pour le moment. Vérifiez la connexion, puis recommencez.",
        "The service does not answer at the moment. Check the connection, then try again.",
    ),
    "OVERLOADED": Phrase(
        "Trop de demandes en ce moment. Attendez {wait_s} s, puis recommencez.",
        "Too many requests at the moment. Wait {wait_s} s, then try again.",
    ),
    "TOO_MANY_ATTEMPTS": Phrase(
        "Trop d'essais avec un numéro ou un code PIN erroné. Attendez {wait_s} s, vérifiez les "
        "deux, puis recommencez : le dossier n'est pas bloqué.",
        "Too many attempts with a wrong number or PIN. Wait {wait_s} s, check both, then try "
        "again: the case is not locked.",
    ),
    "CASE_REFUSED": Phrase(
        "Aucun dossier avec ce numéro et ce code PIN. Vérifiez les deux et recommencez.",
        "No case with this number and PIN. Check both and try again.",
    ),
    "NOT_FOUND": Phrase(
        "Une de ces images n'est pas dans ce dossier. Rien n'a été retiré.",
        "One of these items is not in this case. Nothing was withdrawn.",
    ),
    "CASE_CLOSED": Phrase(
        "Ce dossier est clos. Ouvrez-en un nouveau, sans --case.",
        "This case is closed. Open a new one, without --case.",
    ),
    "KEY_REFUSED": Phrase(
        "Le service ne reconnaît pas la clé d'accès. Demandez-en une nouvelle à l'association "
        "qui vous accompagne.",
        "The service does not accept the access key. Ask the helpline for a new one.",
    ),
    "RIGHT_MISSING": Phrase(
        "Cette clé d'accès ne permet pas cela. Demandez-en une autre à l'association qui vous "
        "accompagne.",
        "This access key does not allow that. Ask the helpline for another one.",
    ),
    "LIMIT_EXCEEDED": Phrase(
        "C'est plus que ce que le service accepte en une fois ou pour un dossier. Ouvrez un "
        "nouveau dossier avec moins d'images.",
        "That is more than the service takes at once or in one case. Open a new case with "
        "fewer pictures.",
    ),
    "STORAGE_FULL": Phrase(
        "Le service ne peut rien enregistrer pour le moment. Recommencez plus tard.",
        "The service cannot store anything at the moment. Try again later.",
    ),
}
ERRORS["DEADLINE_EXCEEDED"] = ERRORS["UNAVAILABLE"]
REJECTIONS["LIMIT_EXCEEDED"] = ERRORS["LIMIT_EXCEEDED"]
ANY_ERROR = Phrase(
    "Cela n'a pas fonctionné. Recommencez plus tard.", "That did not work. Try again later."
)

# How the command was used
ERROR = Phrase("Erreur", "Error")
HELP_OPTION = Phrase("Aide", "Help")
USAGE = Phrase("Commande incomplète ou mal écrite.", "The command is incomplete or mistyped.")
NO_KEY = Phrase(
    "Il manque la clé d'accès, ou son fichier est illisible. L'association qui vous accompagne "
    "vous donne cette clé : indiquez-la par --key-file FICHIER ou par la variable DISRUPT_KEY.",
    "The access key is missing, or its file cannot be read. The helpline gives you this key: "
    "pass it by --key-file FILE or by the variable DISRUPT_KEY.",
)
NO_PIN = Phrase(
    "Il manque le code PIN, ou son fichier est illisible : indiquez-le par --pin-file FICHIER (- "
    "pour l'entrée standard) ou par la variable DISRUPT_PIN.",
    "The PIN is missing, or its file cannot be read: pass it by --pin-file FILE (- for standard "
    "input) or by the variable DISRUPT_PIN.",
)
BAD_CASE_NUMBER = Phrase(
    "Ce n'est pas un numéro de dossier : un caractère manque, est en trop ou mal tapé. "
    "Comparez-le avec celui que vous avez noté.",
    "That is not a case number: a character is missing, extra or mistyped. Compare it with the "
    "one you wrote down.",
)
BAD_PIN = Phrase(
    "Un code PIN a 8 à 16 chiffres. Vérifiez-le, puis recommencez.",
    "A PIN has 8 to 16 digits. Check it, then try again.",
)
BAD_ITEM = Phrase(
    "Une image se désigne par 32 chiffres hexadécimaux, que montre « disrupt status ».",
    "An item is named by 32 hex digits, which `disrupt status` shows.",
)
BAD_SERVER = Phrase(
    "L'adresse du service ou ses certificats ne sont pas utilisables. Vérifiez --server et "
    "--tls-ca.",
    "The address of the service or its certificates cannot be used. Check --server and --tls-ca.",
)


def explain(error: DisruptError) -> Phrase:
    """What an error means for the person."""
    wait_s = max(1, round(error.retry_after_s or 0))
    return ERRORS.get(error.reason, ANY_ERROR).format(wait_s=wait_s)

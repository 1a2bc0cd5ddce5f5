"""Phrases for a victim, French first, then English: short, calm, with what can be done.

Why a file was not registered or a call failed is in ``reasons``, the help of commands in
``commands``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from disrupt.core.cases import AgeBand, CaseStatus
from disrupt.core.media import MediaKind
from disrupt.core.registrations import Outcome


class Phrase(NamedTuple):
    """One sentence in both languages; ``{}`` fields are filled by ``format``."""

    fr: str
    en: str

    def format(self, **values: object) -> Phrase:
        """Return the phrase with its fields filled in."""
        return Phrase(self.fr.format(**values), self.en.format(**values))

    def __str__(self) -> str:
        """Return both languages on one line."""
        return f"{self.fr} · {self.en}"

    def typeset(self) -> Phrase:
        """Add the no-break spaces of French: before ``:`` or ``?``, and between number and unit."""
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
VOID_NUMBER = Phrase(
    "Le numéro affiché plus haut n'ouvre aucun dossier : oubliez-le.",
    "The number shown above opens no case: forget it.",
)
BEFORE_SENDING = Phrase(
    "Notez ce numéro et ce code dès maintenant : ils s'affichent avant tout envoi.",
    "Write down this number and this PIN now: they are shown before anything is sent.",
)
CASE_NUMBER = Phrase("Numéro de dossier", "Case number")
PIN = Phrase("Code PIN", "PIN")
KEEP_BOTH = Phrase(
    "Gardez les deux en lieu sûr : il les faut pour suivre ou retirer votre dossier. Nous ne "
    "pouvons pas retrouver le code PIN.",
    "Keep both safe: you need them to follow or withdraw your case. We cannot recover the PIN.",
)
NEVER_LEFT = Phrase(
    "Vos fichiers n'ont pas quitté cet appareil : seules leurs empreintes ont été envoyées. Une "
    "empreinte ne contient pas l'image ; on pourrait au plus en tirer une ébauche grossière. Seul "
    "ce service détient les empreintes : les plateformes n'en reçoivent aucune.",
    "Your files have not left this device: only their fingerprints were sent. A fingerprint does "
    "not contain the picture; at most a crude likeness could be drawn from it. Only this hotline "
    "holds the fingerprints: platforms get none.",
)
STAYED = Phrase(
    "Vos fichiers n'ont pas quitté cet appareil.", "Your files have not left this device."
)
TREATED_AS_MINOR = Phrase(
    "Âge non précisé : par prudence, les nouvelles images sont traitées comme celles d'une "
    "personne mineure.",
    "Age not given: to be safe, the new pictures are treated as those of a minor.",
)
NEXT = Phrase("Et ensuite, avec ce numéro et ce code", "And then, with this number and PIN")
NEXT_STATUS = Phrase("voir le dossier", "see the case")
NEXT_ADD = Phrase("ajouter une image", "add a picture")
NEXT_WITHDRAW_ONE = Phrase("retirer l'image {item}", "withdraw picture {item}")
NEXT_WITHDRAW = Phrase("retirer tout le dossier", "withdraw the whole case")
FILE = Phrase("FICHIER", "FILE")
WITHDRAWN = Phrase(
    "Le dossier est retiré : ses empreintes ne bloquent plus rien. Elles seront effacées du "
    "service sous 24 heures, et plus tard de ses sauvegardes.",
    "The case is withdrawn: its fingerprints no longer block anything. They will be erased from "
    "the service within 24 hours, and later from its backups.",
)
REALLY_WITHDRAW = Phrase(
    "Retirer le dossier {number} et toutes ses images ? Leurs empreintes ne bloqueront plus rien. "
    "Elles seront effacées du service sous 24 heures, et plus tard de ses sauvegardes. Vous "
    "pourrez enregistrer vos images à nouveau.",
    "Withdraw case {number} and all its pictures? Their fingerprints will no longer block "
    "anything. They will be erased from the service within 24 hours, and later from its backups. "
    "You can register your pictures again.",
)
REALLY_WITHDRAW_LAST = Phrase(
    "Il ne resterait aucune image : le dossier {number} serait retiré en entier. Les empreintes ne "
    "bloqueront plus rien. Elles seront effacées du service sous 24 heures, et plus tard de ses "
    "sauvegardes. Vous pourrez enregistrer vos images à nouveau, dans un nouveau dossier.",
    "No picture would be left: the whole case {number} would be withdrawn. The fingerprints will "
    "no longer block anything. They will be erased from the service within 24 hours, and later "
    "from its backups. You can register your pictures again, in a new case.",
)
TYPE_YES = Phrase("Tapez « oui » pour retirer le dossier", "Type yes to withdraw the case")
YES = {"oui", "o", "yes", "y"}
ITEMS_WITHDRAWN = Phrase(
    "Images retirées : {count}. Leurs empreintes ne bloquent plus rien. Elles seront effacées du "
    "service sous 24 heures, et plus tard de ses sauvegardes.",
    "Pictures withdrawn: {count}. Their fingerprints no longer block anything. They will be erased "
    "from the service within 24 hours, and later from its backups.",
)
NOTHING_LEFT_TO_WITHDRAW = Phrase(
    "Rien n'a changé : ces images étaient déjà retirées. Leurs empreintes ne bloquent plus rien.",
    "Nothing changed: these pictures were withdrawn already. Their fingerprints no longer block "
    "anything.",
)
BY_OLDER_ID = Phrase(
    "vous l'aviez enregistrée à nouveau : l'identifiant que vous avez donné était l'ancien",
    "you had registered it again: the item id that you gave was the older one",
)
CASE_WITHDRAWN_TOO = Phrase(
    "Il ne reste aucune image : le dossier est retiré.",
    "No picture is left: the case is withdrawn.",
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
HELP_MINOR = Phrase(
    "Tu as moins de 18 ans ? Ce n'est pas ta faute, et on peut t'aider. Parles-en à un adulte en "
    "qui tu as confiance, ou appelle : le 3018, gratuit et anonyme, 7 jours sur 7, de 9 h à 23 h ; "
    "ou le 119, gratuit, jour et nuit, qui n'apparaît pas sur la facture de téléphone. En danger : "
    "17 ou 112.",
    "Are you under 18? It is not your fault, and you can get help. Talk to an adult whom you "
    "trust, or call, in France: 3018, free and anonymous, every day from 9 am to 11 pm; or 119, "
    "free, day and night, which does not appear on the telephone bill. In danger: 17 or 112.",
)

ONLY_PART = Phrase(
    "une partie seulement : ce fichier s'arrête avant la fin, est abîmé, ou contient"
    " plusieurs vidéos",
    "only a part of it: this file ends early, is damaged, or holds several videos",
)
FIRST_FRAME_ONLY = Phrase(
    "une image seulement de ce fichier, la première qui convient : pour enregistrer toutes celles "
    "d'une animation, ajoutez le fichier au dossier avec --case et --every-frame ; pour les autres "
    "pages d'un TIFF ou images d'un HEIC, enregistrez chacune comme un fichier à part",
    "only one picture of this file, the first that is suitable: to register every frame of an "
    "animation, add the file to the case with --case and --every-frame; for the other pages of a "
    "TIFF or pictures of a HEIC file, save each as a file of its own and add it",
)
OUTCOMES = {
    Outcome.RENEWED: Phrase(
        "déjà dans votre dossier : son enregistrement est renouvelé ; elle garde son numéro et a "
        "l'identifiant ci-dessous",
        "in your case already: its registration is renewed; it keeps its number and has the item "
        "id below",
    ),
    Outcome.KEPT: Phrase(
        "déjà dans votre dossier, et bien enregistrée : il n'y a rien à refaire",
        "in your case already, and safely registered: there is nothing to do again",
    ),
}

# Lists
ITEMS = Phrase(
    "Ces images, avec leur numéro dans le dossier et leur identifiant (le nom du fichier n'est pas "
    "envoyé : notez-le avec le numéro)",
    "These pictures, with their number in the case and their item id (the file name is not sent: "
    "write it down with the number)",
)
ITEM = Phrase("Image {number}", "Picture {number}")
KINDS = {
    MediaKind.IMAGE: Phrase("image", "picture"),
    MediaKind.VIDEO: Phrase("vidéo", "video"),
    None: Phrase("image ou vidéo", "picture or video"),
}
REGISTERED_ON = Phrase("enregistrée le {day}", "registered on {day}")
WITHDRAWN_NUMBERS = Phrase("Numéros des images retirées", "Numbers of withdrawn pictures")
REJECTED = Phrase("Non enregistrés", "Not registered")
UNKNOWN = Phrase("Enregistrés ou non : on ne le sait pas", "Registered or not: that is not known")
STATUS = Phrase("État", "Status")
AGES = {
    AgeBand.ADULT: Phrase(
        "Images traitées comme celles d'une personne majeure",
        "Pictures treated as those of an adult",
    ),
    AgeBand.MINOR: Phrase(
        "Images traitées comme celles d'une personne mineure",
        "Pictures treated as those of a minor",
    ),
    None: Phrase("Images", "Pictures"),
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

# Questions
ASK_AGE = Phrase(
    "Quel âge a la personne visible sur ces nouvelles images, au moment où elles ont été prises ? "
    "majeure : 18 ans ou plus ; mineure : moins de 18 ans ; incertain : traitée comme mineure.",
    "How old was the person shown on these new pictures when they were taken? adult: 18 or older; "
    "minor: under 18; unsure: treated as a minor.",
)
TYPE_AGE = Phrase("Tapez majeure, mineure ou incertain", "Type adult, minor or unsure")
AGE_ANSWERS = {
    **dict.fromkeys(("majeure", "majeur", "adulte", "adult"), AgeBand.ADULT),
    **dict.fromkeys(("mineure", "mineur", "minor"), AgeBand.MINOR),
    **dict.fromkeys(("incertain", "incertaine", "unsure"), AgeBand.UNSURE),
}
AGE_CHANGES = Phrase(
    "Ces images sont déjà dans votre dossier, et leur âge changerait",
    "These pictures are in your case already, and their age would change",
)
AGE_NAMES = {
    AgeBand.ADULT: Phrase("majeure", "adult"),
    AgeBand.MINOR: Phrase("mineure", "minor"),
    AgeBand.UNSURE: Phrase("incertain", "unsure"),
}
CHANGE_AGES = Phrase("Tapez « oui » pour changer leur âge", "Type yes to change their age")
ASK_PIN = Phrase("Code PIN (il ne s'affiche pas)", "PIN (it is not shown)")
WORKING = Phrase("Empreintes", "Fingerprints")

# Waiting
NO_ANSWER_YET = Phrase(
    "Le service n'a pas encore répondu ({wait_s} s). Patientez.",
    "The service has not answered yet ({wait_s} s). Please wait.",
)
TRYING_AGAIN = Phrase(
    "Le service ne répond pas. Nouvel essai dans {wait_s} s.",
    "The service does not answer. Trying again in {wait_s} s.",
)
WAITING_WHILE_BUSY = Phrase(
    "Le service est très demandé. Nouvel essai dans {wait_s} s.",
    "The service is very busy. Trying again in {wait_s} s.",
)
WAITING_FOR_ATTEMPTS = Phrase(
    "Beaucoup de codes PIN sont essayés en ce moment. Votre place est gardée, et le dossier n'est "
    "pas bloqué. Nouvel essai dans {wait_s} s.",
    "Many PINs are being tried just now. Your place is kept, and the case is not locked. Trying "
    "again in {wait_s} s.",
)
WAITING_FOR_TURN = Phrase(
    "Beaucoup de codes PIN sont essayés en ce moment. Votre place est gardée, et le dossier n'est "
    "pas bloqué : la commande attend son tour, {minutes} minutes au plus.",
    "Many PINs are being tried just now. Your place is kept, and the case is not locked: the "
    "command waits for its turn, at most {minutes} minutes.",
)

# Unclear outcomes
NOT_KNOWN = Phrase(
    "On ne sait pas si ces fichiers sont enregistrés : aucune réponse claire du service n'est "
    "arrivée. Dans une minute, regardez votre dossier : disrupt status {number}",
    "It is not known whether these files are registered: no clear answer came from the service. In "
    "a minute, look at your case: disrupt status {number}",
)
NOT_KNOWN_OF_NEW = Phrase(
    "Si le service ne connaît pas ce numéro avec ce code PIN, rien n'est enregistré : recommencez. "
    "S'il le connaît, ces fichiers sont enregistrés.",
    "If the service does not know this number with this PIN, nothing is registered: start again. "
    "If it knows it, these files are registered.",
)
NOT_KNOWN_OF_ADDED = Phrase(
    "Vous pouvez aussi les ajouter à nouveau : une image n'entre pas deux fois dans un dossier.",
    "You can also add them again: a picture does not enter a case twice.",
)
WITHDRAWAL_NOT_KNOWN = Phrase(
    "On ne sait pas si le retrait a eu lieu : aucune réponse claire du service n'est arrivée. "
    "Recommencez, c'est sans danger ; ou regardez votre dossier : disrupt status {number}",
    "It is not known whether the withdrawal took effect: no clear answer came from the service. "
    "Try again, that is safe; or look at your case: disrupt status {number}",
)
NOTHING_WAS_REGISTERED = Phrase(
    "Rien n'a été enregistré. Si un nouveau numéro de dossier s'est affiché, il n'ouvre aucun "
    "dossier : oubliez-le.",
    "Nothing was registered. If a new case number was shown, it opens no case: forget it.",
)
TOO_MANY_TO_WITHDRAW = Phrase(
    "C'est plus que ce que le service accepte en une fois. Recommencez avec moins d'images, en "
    "plusieurs fois.",
    "That is more than the service takes at once. Try again with fewer pictures at a time.",
)
NOTHING_WAS_WITHDRAWN = Phrase("Rien n'a été retiré.", "Nothing was withdrawn.")
INTERRUPTED = Phrase("Interrompu.", "Interrupted.")
UNFORESEEN = Phrase(
    "Ce programme a rencontré une erreur imprévue. Recommencez ; si cela se reproduit, montrez la "
    "dernière ligne à l'association qui vous accompagne.",
    "This program met an unforeseen error. Try again; if it happens again, show the last line to "
    "the helpline.",
)
NOT_SHOWN = Phrase(
    "Le numéro de dossier et le code PIN n'ont pas pu être affichés : rien n'a donc été envoyé. "
    "Recommencez dans un terminal, ou vers un fichier où l'on peut écrire.",
    "Case number and PIN could not be shown: so nothing was sent. Try again in a terminal, or to a "
    "file that can be written.",
)
DONE_NOT_SHOWN = Phrase(
    "Des fichiers ont été envoyés, mais la suite n'a pas pu être affichée. Regardez votre "
    "dossier : disrupt status {number}",
    "Files were sent, but what became of them could not be shown. Look at your case: disrupt "
    "status {number}",
)
OTHER_NUMBER = Phrase(
    "Le service a donné un autre numéro de dossier : {number}. Notez celui-ci, et oubliez celui "
    "affiché plus haut.",
    "The service gave another case number: {number}. Write this down, and forget the one shown "
    "above.",
)
CASE_NOT_SHOWN = Phrase(
    "Le dossier n'a pas pu être affiché. Recommencez dans un terminal.",
    "The case could not be shown. Try again in a terminal.",
)
WITHDRAWN_NOT_SHOWN = Phrase(
    "Le retrait est fait, mais n'a pas pu être affiché.",
    "The withdrawal is done, but could not be shown.",
)

# How the command was used
SAY_YES = Phrase(
    "Sans terminal, nous ne pouvons pas demander si tout le dossier est vraiment à retirer. "
    "Ajoutez --yes pour le retirer sans question, ou --item pour n'en retirer que des images.",
    "Without a terminal we cannot ask whether the whole case is really to be withdrawn. Add --yes "
    "to withdraw it without a question, or --item to withdraw some pictures only.",
)
SAY_YES_TO_LAST = Phrase(
    "Il ne resterait aucune image, et le dossier serait retiré en entier. Sans terminal, nous ne "
    "pouvons pas demander si c'est voulu : rien n'a été retiré. Ajoutez --yes pour le faire.",
    "No picture would be left, and the whole case would be withdrawn. Without a terminal we cannot "
    "ask whether that is meant: nothing was withdrawn. Add --yes to do it.",
)
DETAIL = Phrase("Détail pour l'association", "Detail for the helpline")
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
LOST_PIN = Phrase(
    "Code PIN perdu ? Personne ne peut le retrouver ni le changer, pas même le service : ce "
    "dossier ne peut plus être consulté ni retiré, mais ses images restent bloquées. "
    "Enregistrez-les à nouveau, sans --case : le nouveau dossier les bloque aussi, et son code PIN "
    "est à vous.",
    "PIN lost? Nobody can recover or change it, not even the hotline: this case can no longer be "
    "seen or withdrawn, but its pictures stay blocked. Register them again, without --case: the "
    "new case blocks them too, and its PIN is yours.",
)
BAD_PIN = Phrase(
    "Un code PIN a 12 chiffres, et rien d'autre que des espaces ou des tirets. Vérifiez-le, puis "
    f"recommencez. {LOST_PIN.fr}",
    "A PIN has 12 digits, and nothing else but spaces or hyphens. Check it, then try again. "
    f"{LOST_PIN.en}",
)
BAD_ITEM = Phrase(
    "Une image se désigne par son numéro, ou par son identifiant de 32 chiffres hexadécimaux : "
    "« disrupt status » montre les deux.",
    "An item is named by its number, or by its id of 32 hex digits: `disrupt status` shows both.",
)

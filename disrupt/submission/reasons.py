"""Why something was not done, and what can be done then."""

from __future__ import annotations

from disrupt.errors import ConfigurationError, DisruptError
from disrupt.submission.results import NOT_SENT, Rejected
from disrupt.submission.texts import LOST_PIN, Phrase

# Why one file was not registered
REJECTIONS = {
    "LOW_QUALITY": Phrase(
        "Image trop unie ou trop floue pour être reconnue à coup sûr. Essayez l'original, non "
        "recadré. Si c'est l'original, signalez-la directement à la plateforme ou au 3018.",
        "Picture too plain or blurred to be recognised for certain. Try the original, not "
        "cropped. If it is the original, report it to the platform or to 3018.",
    ),
    "TOO_REGULAR": Phrase(
        "Image trop régulière (rayures, surfaces unies, une seule ligne ou un seul contour) : ses "
        "copies ne seraient pas trouvées à coup sûr. Essayez l'original, non recadré, ou une "
        "version qui montre plus de la scène. Sinon, signalez-la directement à la plateforme ou "
        "au 3018.",
        "Picture too regular (stripes, plain areas, a single line or outline): its copies would "
        "not be found for certain. Try the original, not cropped, or a version that shows more of "
        "the scene. If there is none, report it to the platform or to 3018.",
    ),
    "MISSING": Phrase(
        "Ce fichier est introuvable. Vérifiez son nom et son dossier, puis recommencez.",
        "This file is not there. Check its name and its folder, then try again.",
    ),
    "UNNAMED": Phrase(
        "Le nom de ce fichier est vide. Indiquez le nom d'un fichier, puis recommencez.",
        "The name of this file is empty. Give the name of a file, then try again.",
    ),
    "FOLDER": Phrase(
        "C'est un dossier, pas une image. Indiquez les fichiers qu'il contient, un par un.",
        "This is a folder, not a picture. Name the files in it, each of them.",
    ),
    "EMPTY": Phrase(
        "Ce fichier est vide : sa copie ou son téléchargement n'a pas abouti. Reprenez l'original.",
        "This file is empty: it was not copied or downloaded to its end. Take the original.",
    ),
    "UNREADABLE": Phrase(
        "Ce fichier existe, mais cet appareil ne nous laisse pas le lire. Copiez-le dans un autre "
        "dossier, ou demandez à qui il appartient, puis recommencez.",
        "This file is there, but this device does not let us read it. Copy it to another folder, "
        "or ask whoever owns it, then try again.",
    ),
    "DAMAGED": Phrase(
        "Cette image est incomplète ou abîmée : sa copie ou son téléchargement n'a peut-être pas "
        "abouti. Reprenez l'original, ou faites-en une capture d'écran.",
        "This picture is cut short or damaged: perhaps it was not copied or downloaded to its end. "
        "Take the original, or a screenshot of it.",
    ),
    "UNREAD_COLOURS": Phrase(
        "Les couleurs de cette image sont décrites d'une manière que les programmes n'affichent "
        "pas tous de même. Faites-en une capture d'écran, ou une copie en JPEG, et "
        "enregistrez-la.",
        "The colours of this picture are described in a way that programs do not all show alike. "
        "Register a screenshot of it, or a copy in JPEG.",
    ),
    "TOO_LARGE": Phrase(
        "Cette image est trop grande (50 mégapixels et 32 Mo au plus). Enregistrez-en une copie "
        "plus petite : elle suffit pour reconnaître l'original.",
        "This picture is too large (at most 50 megapixels and 32 MB). Register a smaller copy: "
        "that is enough to recognise the original.",
    ),
    "VIDEO_DAMAGED": Phrase(
        "Cette vidéo est incomplète ou abîmée. Reprenez l'original, ou enregistrez des captures "
        "d'écran des moments où l'on vous voit.",
        "This video is cut short or damaged. Take the original, or register screenshots of the "
        "moments that show you.",
    ),
    "VIDEO_TOO_LARGE": Phrase(
        "Cette vidéo est trop longue ou trop grande (3 heures et 4K au plus). Enregistrez les "
        "passages où l'on vous voit, ou une copie plus petite.",
        "This video is too long or too large (at most 3 hours and 4K). Register the parts that "
        "show you, or a smaller copy.",
    ),
    "NO_MEMORY": Phrase(
        "Cet appareil n'a pas assez de mémoire pour ce fichier. Fermez d'autres programmes, puis "
        "recommencez, ou enregistrez une copie plus petite.",
        "This device has not enough memory for this file. Close other programs, then try again, or "
        "register a smaller copy.",
    ),
    "INVALID_MEDIA": Phrase(
        "Ce fichier n'est pas une image que nous pouvons lire (JPEG, PNG, WebP, AVIF, GIF, TIFF ou "
        "BMP, 50 mégapixels et 32 Mo au plus). Une photo HEIC (iPhone) : exportez-la en JPEG à sa "
        "taille d'origine, puis recommencez.",
        "This file is not a picture that we can read (JPEG, PNG, WebP, AVIF, GIF, TIFF or BMP, at "
        "most 50 megapixels and 32 MB). A HEIC photo (iPhone): export it as a JPEG at its original "
        "size, then try again.",
    ),
    "TOO_MANY_FRAMES": Phrase(
        "Cette animation a trop d'images différentes pour les enregistrer toutes. Recommencez sans "
        "--every-frame : la première image qui n'est pas unie est alors enregistrée. Ou "
        "enregistrez à part, comme photos, celles qui vous montrent.",
        "This animation has too many different frames to register them all. Try again without "
        "--every-frame: its first frame that is not plain is registered then. Or register the "
        "frames that show you as pictures of their own.",
    ),
}
REJECTIONS["INVALID_VIDEO"] = Phrase(
    "Nous ne pouvons pas lire cette vidéo (MP4, MOV, WebM, MKV, AVI, MPEG, FLV, WMV ou Ogg, 3 "
    "heures et 4K au plus), ou elle est abîmée. Essayez l'original, ou enregistrez des captures "
    "d'écran des moments où l'on vous voit.",
    "We cannot read this video (MP4, MOV, WebM, MKV, AVI, MPEG, FLV, WMV or Ogg, at most 3 hours "
    "and 4K), or it is damaged. Try the original, or register screenshots of the moments that show "
    "you.",
)
REJECTIONS["NO_VIDEO_DECODER"] = Phrase(
    "Cette installation ne lit pas les vidéos. L'association qui vous accompagne peut y ajouter le "
    "module « video », ou enregistrer la vidéo avec vous.",
    "This installation does not read videos. The helpline can add its module “video”, or register "
    "the video with you.",
)
REJECTIONS["OTHER_AGE"] = Phrase(
    "Cette image est déjà dans votre dossier, avec un autre âge : elle y reste telle quelle, "
    "toujours enregistrée, et rien n'a été envoyé pour elle cette fois. Pour changer son âge, "
    "recommencez et répondez « oui », ou ajoutez --yes.",
    "This picture is in your case already, under another age: it stays as it is, registered, and "
    "nothing was sent for it this time. To change its age, try again and answer yes, or add --yes.",
)
REJECTIONS["UNREADABLE_MEDIA"] = REJECTIONS["UNREADABLE"]

# Why sending stopped before a file
STOPPED = {
    "CASE_CLOSED": Phrase(
        "Le dossier est clos : ce fichier n'est pas enregistré. Enregistrez-le dans un nouveau "
        "dossier, sans --case.",
        "The case is closed: this file is not registered. Register it in a new case, without "
        "--case.",
    ),
    "LIMIT_EXCEEDED": Phrase(
        "Le dossier est plein, ou c'est plus que ce que le service accepte en une fois : ce "
        "fichier n'est pas enregistré. Enregistrez-le dans un nouveau dossier, sans --case.",
        "The case is full, or this is more than the service takes at once: this file is not "
        "registered. Register it in a new case, without --case.",
    ),
    "CASE_REFUSED": Phrase(
        "Le service n'ouvre plus ce dossier avec ce code PIN : ce fichier n'est pas enregistré. "
        "Enregistrez-le dans un nouveau dossier, sans --case.",
        "The service no longer opens this case with this PIN: this file is not registered. "
        "Register it in a new case, without --case.",
    ),
    "KEY_REFUSED": Phrase(
        "Le service ne reconnaît plus la clé d'accès : ce fichier n'est pas enregistré. Demandez "
        "une nouvelle clé à l'association qui vous accompagne, puis ajoutez-le avec --case.",
        "The service no longer accepts the access key: this file is not registered. Ask the "
        "helpline for a new key, then add it with --case.",
    ),
    "STORAGE_FULL": Phrase(
        "Le service ne peut plus rien enregistrer pour le moment : ce fichier n'est pas "
        "enregistré. Ajoutez-le plus tard avec --case.",
        "The service cannot store anything more at the moment: this file is not registered. Add "
        "it later with --case.",
    ),
    "INTERRUPTED": Phrase(
        "Vous avez interrompu l'envoi avant ce fichier : il n'est pas enregistré. Ajoutez-le "
        "quand vous voudrez avec --case.",
        "You interrupted sending before this file: it is not registered. Add it whenever you want "
        "with --case.",
    ),
}
STOPPED["RIGHT_MISSING"] = STOPPED["KEY_REFUSED"]
STOPPED_EARLY = Phrase(
    "L'envoi s'est arrêté avant ce fichier : il n'est pas enregistré. Ajoutez-le plus tard avec "
    "--case.",
    "Sending stopped before this file: it is not registered. Add it later with --case.",
)
STOPPED_BEFORE_A_CASE = Phrase(
    "L'envoi s'est arrêté avant ce fichier : il n'est pas enregistré. Si le dossier existe, "
    "ajoutez-le avec --case ; sinon, enregistrez-le avec les autres.",
    "Sending stopped before this file: it is not registered. If the case exists, add it with "
    "--case; if not, register it with the others.",
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
        "Beaucoup de codes PIN sont essayés en ce moment. Attendez {wait_s} s, puis recommencez "
        "aussitôt : votre place est gardée une minute, et le dossier n'est pas bloqué.",
        "Many PINs are being tried just now. Wait {wait_s} s, then try again at once: your place "
        "is kept for a minute, and the case is not locked.",
    ),
    "CASE_REFUSED": Phrase(
        "Aucun dossier avec ce numéro et ce code PIN. Vérifiez les deux et recommencez. "
        f"{LOST_PIN.fr}",
        f"No case with this number and PIN. Check both and try again. {LOST_PIN.en}",
    ),
    "NOT_FOUND": Phrase(
        "Une de ces images n'est pas dans ce dossier. Vérifiez les numéros que montre "
        "« disrupt status ».",
        "One of these items is not in this case. Check the numbers that `disrupt status` shows.",
    ),
    "REQUEST_ID_REUSED": Phrase(
        "Ce numéro de dossier est déjà pris. Recommencez : vous en recevrez un autre.",
        "This case number is taken. Try again: you will get another one.",
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
BAD_SETTINGS = {
    "key": Phrase(
        "La clé d'accès est mal copiée : une clé n'a ni espace, ni saut de ligne, ni accent. "
        "Copiez-la à nouveau telle que l'association vous l'a donnée.",
        "The access key is malformed: a key has no space, line break or accent. Copy it again "
        "as the helpline gave it to you.",
    ),
    "server": Phrase(
        "L'adresse du service est mal écrite. Vérifiez --server ou la variable DISRUPT_SERVER.",
        "The address of the service is mistyped. Check --server or the variable DISRUPT_SERVER.",
    ),
    "tls_ca": Phrase(
        "Le fichier des autorités de certification n'est pas utilisable. Vérifiez --tls-ca.",
        "The file of the authorities to trust cannot be used. Check --tls-ca.",
    ),
}


def rejection(rejected: Rejected, *, has_case: bool = True) -> Phrase:
    """Return why a file was not registered, and what can be done.

    ``has_case``: there is certainly a case that the file can be added to, or none was opened.
    """
    if rejected.cause == NOT_SENT:
        if not has_case:
            return STOPPED_BEFORE_A_CASE
        return STOPPED.get(rejected.reason, STOPPED_EARLY)
    return REJECTIONS.get(rejected.cause) or REJECTIONS.get(rejected.reason) or ANY_ERROR


def explain(error: DisruptError) -> Phrase:
    """Return what an error means for the person."""
    if isinstance(error, ConfigurationError):
        return BAD_SETTINGS.get(error.metadata.get("setting", ""), ANY_ERROR)
    wait_s = max(1, round(error.retry_after_s or 0))
    return ERRORS.get(error.reason, ANY_ERROR).format(wait_s=wait_s)

"""The help of ``disrupt submit``, ``status``, ``keep`` and ``withdraw``, French first."""

EXIT_CODES = """
\b
Codes de sortie · Exit codes:
  0  tout est fait · all done
  1  échec : service injoignable, refus, affichage impossible, interruption
     failed: server unreachable, refused, nothing can be shown, interrupted
  2  commande mal écrite · the command is used wrongly
"""

SOME_REJECTED = """  3  fichiers non enregistrés · some files were not registered
"""

NOT_KNOWN = """  4  on ne sait pas si c'est fait · it is not known whether it is done
"""

SUBMIT = """Enregistrer des images et vidéos à bloquer.

Elles restent sur cet appareil : seules leurs empreintes sont envoyées. Le numéro de dossier et
le code PIN s'affichent avant l'envoi : s'ils ne peuvent pas l'être, rien n'est envoyé. Gardez les
deux : nous ne pouvons pas retrouver le code PIN.
Sans --age, les images sont traitées comme celles d'une personne mineure.

Register pictures and videos so that platforms block them. They stay on this device: only their
fingerprints are sent. Case number and PIN are shown before anything is sent: if they cannot be,
nothing is sent. Keep both: we cannot recover the PIN.
Without --age, the pictures are treated as those of a minor.

\b
Exemples · Examples:
  disrupt submit --age adult photo.jpg
  disrupt submit --case ABCD-EFGH-JKM autre.png video.mp4

\b
Avec --json · With --json:
  {"case", "pin", "items": [{"input", "item", "hashes", "outcome", "state"}],
   "rejected": [{"input", "reason", "message", "quality"}],
   "unknown": ["input"]}
"case" et "pin" d'un nouveau dossier sont écrits avant l'envoi, le reste après ;
null si rien n'a été envoyé. Sans "items" ni "unknown", ce numéro n'ouvre aucun
dossier. Avec --case, le dossier reste tel quel sans "items" ni "unknown", et
"pin" est null tant que rien n'y est ajouté.
"case" and "pin" of a new case are written before anything is sent, the rest
afterwards; null when nothing was sent. Without "items" and "unknown" this
number opens no case. With --case, the case is as it was without "items" and
"unknown", and "pin" is null unless something was added.
"""

STATUS = """Voir où en est un dossier.

Ce que les plateformes ont fait de ses images s'affiche le lendemain, sans leur nom ni leur nombre.

See where a case stands. What platforms did with its pictures shows on the next day, without their
names or number.

\b
Exemple · Example:
  disrupt status ABCD-EFGH-JKM

\b
Avec --json · With --json:
  {"case", "status", "opened_on", "closed_on",
   "items": [{"item", "kind", "hashes", "age", "outcomes", "state"}],
   "erasure": null | {"requested_on", "confirmed_on", "due_on", "erased_on"}}
"outcomes" : "blocked", au moins une plateforme en a bloqué une copie ;
"not_blocked", au moins une en a reconnu une et la laisse en ligne.
"outcomes": "blocked", at least one platform blocked a copy;
"not_blocked", at least one recognised a copy and leaves it up.
"state" : "live", les plateformes peuvent la bloquer ; "waiting", en attente de
vérification par le service ; "disabled", non recherchée en ce moment.
"state": "live", platforms can block it; "waiting", waiting for review by the
hotline; "disabled", not looked for at present.
"erasure" : quelqu'un a demandé d'effacer le dossier sans son code PIN.
"erasure": somebody asked for the case to be erased, without its PIN.
"""

KEEP = """Garder un dossier qui doit être effacé sans son code PIN.

Quelqu'un peut demander au service d'effacer un dossier, en disant qu'il a perdu le code PIN.
« disrupt status » montre une telle demande. Une fois confirmée, elle efface le dossier sept jours
plus tard ; jusque-là, qui a le code PIN peut l'empêcher. Les images sont de nouveau comme avant la
demande. Un autre dossier n'est pas changé.

Keep a case that is to be erased without its PIN. Somebody can ask the hotline to erase a case,
saying that they have lost the PIN. `disrupt status` shows such a request. Once confirmed, it erases
the case seven days later; until then whoever has the PIN can stop it. The pictures are again as
before the request. Another case is not changed.

\b
Exemple · Example:
  disrupt keep ABCD-EFGH-JKM
"""

WITHDRAW = """Retirer un dossier, ou certaines de ses images avec --item.

Les empreintes sont effacées : ces images ne seront plus bloquées. Tout un dossier n'est retiré
qu'après une question, ou avec --yes.

Withdraw a case, or some of its items with --item. The fingerprints are erased: these pictures
will no longer be blocked. A whole case is withdrawn after a question, or with --yes.

\b
Exemples · Examples:
  disrupt withdraw ABCD-EFGH-JKM
  disrupt withdraw ABCD-EFGH-JKM --item 0123456789abcdef0123456789abcdef
"""

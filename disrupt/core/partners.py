"""Partner platforms: organisations that look up, and want to be named to people affected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from disrupt.core.policy import ApiKey, Bank, Right

_HTTPS = re.compile(r"https://[\w.-]{1,253}(:[0-9]{1,5})?([/?#][!-~]{0,500})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Partner:
    """An organisation by the name that people know, and where they report to it, over https."""

    organisation: str
    name: str
    report_url: str


def is_https(address: str) -> bool:
    """Tell whether this is an https address that may be linked, without user or password."""
    return _HTTPS.fullmatch(address) is not None


def listed(
    partners: Iterable[Partner], keys: Iterable[ApiKey], banks: Iterable[Bank]
) -> Sequence[Partner]:
    """Return the partners with a valid key that looks up what people registered, by name.

    ``keys`` are the valid ones, with the banks that their organisations may see.
    """
    registered = {bank.number for bank in banks if not bank.is_fixed}
    matching = {
        key.organisation for key in keys if Right.MATCH in key.rights and key.banks & registered
    }
    chosen = (partner for partner in partners if partner.organisation in matching)
    return sorted(chosen, key=lambda partner: partner.name.casefold())

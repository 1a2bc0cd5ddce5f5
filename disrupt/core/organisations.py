"""Organisations: what each may look up over time, and which certificate it has to come with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

NO_LIMIT = math.inf
"""Rate of who may ask for as much as the server can answer."""

NAME_CHARACTERS_MAX = 100


class Kind(Enum):
    """Kind of work that a quota bounds. The value is its name in settings and in stored columns."""

    HASHES = "hashes_per_s"
    """Hashes that are looked up, those of frames of videos too."""
    PICTURES = "pictures_per_s"
    """Pictures that the server decodes."""
    VIDEO_MIB = "video_mib_per_s"
    """MiB of the files of videos that the server decodes."""


@dataclass(frozen=True, slots=True)
class Organisation:
    """Who answers for keys, with what is its own of limits.

    ``rates`` has the quotas that are not everybody's, as amounts a second above 0, NO_LIMIT for
    none. ``certificate`` is the name that a client certificate has to have to come with its keys;
    empty if none is needed.
    """

    name: str
    rates: Mapping[Kind, float] = field(default_factory=dict)
    certificate: str = ""

    def rate(self, kind: Kind, default: float) -> float:
        """Return its quota of a kind: its own, or everybody's."""
        return self.rates.get(kind, default)


def said(organisation: Organisation) -> dict[str, str]:
    """Return what an act says of an organisation: name, its own quotas, and certificate."""
    rates = {kind.value: f"{rate:g}" for kind, rate in organisation.rates.items()}
    named = {"organisation": organisation.name} | rates
    return named | ({"certificate": organisation.certificate} if organisation.certificate else {})

"""Make, list and change banks."""

from __future__ import annotations

import re
from collections.abc import Iterable

from disrupt.core.acts import Act
from disrupt.core.organisations import NAME_CHARACTERS_MAX
from disrupt.core.policy import TEST, Bank, BankPolicy
from disrupt.errors import InvalidRequestError, Violation
from disrupt.registry.contract import RegistryReader, RegistryWriter
from disrupt.services.keys import list_keys

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def create_bank(registry: RegistryWriter, name: str, policy: BankPolicy, *, act: Act) -> Bank:
    """Make a bank. No key may search it before it is given that bank.

    Raises InvalidRequestError for a name that is taken, or no lower-case identifier of at most 40
    characters, and for an organisation's name that no key can have.
    """
    if name == TEST.name or not _NAME.fullmatch(name):
        raise InvalidRequestError.of(
            Violation(
                "name",
                f"{name!r} is no name for a bank: give 1-40 lower-case letters, digits, hyphens and"
                f" underscores, a letter first; {TEST.name!r} is taken by the test bank",
            )
        )
    return registry.add_bank(name, _checked(policy), act=act)


def change_bank(registry: RegistryWriter, name: str, policy: BankPolicy, *, act: Act) -> Bank:
    """Change a bank. Raises NotFoundError if there is none of that name, and as ``create_bank``."""
    if name == TEST.name:
        raise InvalidRequestError.of(
            Violation("name", f"{TEST.name!r} is the test bank, which no command changes")
        )
    return registry.change_bank(name, _checked(policy), act=act)


def unknown_organisations(registry: RegistryReader, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of these organisations of which there is no key."""
    known = {key.organisation for key in list_keys(registry)}
    return tuple(sorted(set(names) - known))


def _checked(policy: BankPolicy) -> BankPolicy:
    for name in policy.visible_to or ():
        if not (0 < len(name) <= NAME_CHARACTERS_MAX and name.isprintable()):
            raise InvalidRequestError.of(
                Violation("visible_to", f"give 1-{NAME_CHARACTERS_MAX} printable characters")
            )
    return policy

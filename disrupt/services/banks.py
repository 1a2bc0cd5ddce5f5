"""Make and change banks, and fill the test bank."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace

from disrupt.core import media
from disrupt.core.acts import Act
from disrupt.core.cases import new_case_number
from disrupt.core.examples import EXAMPLE_IDS, EXAMPLES, QUALITY
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import Assurance, Fingerprint, MediaKind, Profile
from disrupt.core.policy import TEST_BANK, Bank, BankPolicy
from disrupt.errors import InvalidRequestError, LimitExceededError, NotFoundError, Violation
from disrupt.registry.records import NewCase, NewItem, Registration
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.services.pins import Pins

BANKS_MAX = 64
"""Most banks of a registry: a lookup names at most so many."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")

_AS_IT_IS = BankPolicy()


def create_bank(registry: RegistryWriter, name: str, policy: BankPolicy, *, act: Act) -> Bank:
    """Make a bank, whose number is the next.

    Raises InvalidRequestError for a name that is taken, or not 1-32 of a-z, 0-9, - and _ with a
    letter first, LimitExceededError for more than BANKS_MAX banks, and what ``_check`` does.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequestError.of(
            Violation("name", "give 1-32 characters of a-z, 0-9, - and _, with a letter first")
        )
    _check(registry, policy)
    if len(registry.banks()) >= BANKS_MAX:
        raise LimitExceededError(f"At most {BANKS_MAX} banks.", limit=str(BANKS_MAX))
    return registry.add_bank(policy.applied(Bank(0, name)), act=act)


def set_bank(registry: RegistryWriter, name: str, policy: BankPolicy, *, act: Act) -> Bank:
    """Change a bank, and return it; the act gets what was set as its reason.

    Raises NotFoundError if there is no bank of that name, InvalidRequestError for one that is the
    same on every server, and for a policy that is refused, see ``_check``.
    """
    bank = _bank(registry, name)
    if bank.is_fixed:
        raise _fixed(name)
    _check(registry, policy)
    changed = policy.applied(bank)
    registry.change_bank(changed, act=replace(act, reason=policy.reason))
    return changed


def create_test_bank(registry: RegistryWriter, policy: BankPolicy, *, day: str, act: Act) -> Bank:
    """Make the test bank with its examples, or complete it; idempotent.

    Nobody has the PIN of the examples' case: what is hashed is random, under a pepper that is
    forgotten. InvalidRequestError for a policy that sets anything.
    """
    if policy != _AS_IT_IS:
        raise _fixed(TEST_BANK)
    if any(bank.is_test for bank in registry.banks()):
        bank = _bank(registry, TEST_BANK)
    else:
        bank = create_bank(registry, TEST_BANK, policy, act=act)
    present = registry.living(EXAMPLE_IDS)
    items = tuple(
        NewItem(
            example.item_id,
            MediaKind.IMAGE,
            media.columns([Fingerprint(example.pdq_hash, QUALITY, Profile.PDQ_512)]),
        )
        for example in EXAMPLES
        if example.item_id not in present
    )
    if items:
        request_id, digest = secrets.token_bytes(16), secrets.token_bytes(32)
        pin_hash = Pins(secrets.token_bytes(32)).hash(secrets.token_hex(16))
        case = NewCase(new_case_number(request_id), pin_hash)
        registration = Registration(
            request_id, digest, case, bank.number, Assurance.IMPORTED, items
        )
        registry.register(registration, day=day)
    return bank


def _check(registry: RegistryReader, policy: BankPolicy) -> None:
    """Raise InvalidRequestError for a distance out of range, NotFoundError for nobody's name.

    An organisation is there if a key belongs to it.
    """
    bits = policy.max_distance_bits
    if bits is not None and not 0 <= bits <= MAX_DISTANCE_BITS:
        raise InvalidRequestError.of(
            Violation("max_distance_bits", f"{bits} is outside 0-{MAX_DISTANCE_BITS} (inclusive)")
        )
    keys = registry.keys()
    known = {key.organisation for key in keys}
    for name in sorted((policy.organisations or frozenset()) - known):
        raise NotFoundError(
            f"No key belongs to an organisation {name!r}. `disrupt keys list` shows all."
        )


def _bank(registry: RegistryReader, name: str) -> Bank:
    for bank in registry.banks():
        if bank.name == name:
            return bank
    raise NotFoundError(f"There is no bank {name!r}. `disrupt banks list` shows all.")


def _fixed(name: str) -> InvalidRequestError:
    return InvalidRequestError.of(
        Violation("name", f"the bank {name!r} is the same on every server: nothing is set")
    )

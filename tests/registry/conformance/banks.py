"""Promises of keeping banks."""

from dataclasses import replace

import pytest

from disrupt.core.acts import Action
from disrupt.core.policy import ADULTS, COMMON, FIRST_BANKS, Bank
from disrupt.errors import InvalidRequestError, NotFoundError
from disrupt.registry.registry import RegistryWriter
from rig.media.registrations import ACT
from tests.registry.conformance.opened import Opened, OpenWriter

ADDED, CHANGED = (
    replace(ACT, action=action) for action in (Action.BANK_ADDED, Action.BANK_CHANGED)
)


class BanksConformance(Opened):
    """Banks are added under the next number, changed, and never lose number or name."""

    def test_a_bank_gets_the_next_number_and_keeps_it_with_its_name(
        self, open_writer: OpenWriter
    ) -> None:
        given = Bank(1, "some", 0, goes_live=False, organisations=frozenset({"b", "a"}))
        with open_writer() as writer:
            added = writer.add_bank(given, act=ADDED)
            assert added == replace(given, number=COMMON.number + 1)
            changed = replace(added, max_distance_bits=31, organisations=frozenset({"ü"}))
            writer.change_bank(replace(changed, name="other"), act=CHANGED)
            stricter = replace(ADULTS, max_distance_bits=12)
            writer.change_bank(stricter, act=CHANGED)
        with open_writer() as writer:
            assert writer.banks() == (stricter, *FIRST_BANKS[1:], COMMON, changed)

    def test_each_change_of_a_bank_is_noted_once_and_none_that_is_refused(
        self, writer: RegistryWriter
    ) -> None:
        with pytest.raises(InvalidRequestError):
            writer.add_bank(Bank(9, ADULTS.name), act=ADDED)
        with pytest.raises(NotFoundError):
            writer.change_bank(Bank(9, "some"), act=CHANGED)
        assert (writer.banks(), list(writer.acts(9))) == ((*FIRST_BANKS, COMMON), [])
        added = writer.add_bank(Bank(0, "some"), act=ADDED)
        writer.change_bank(added, act=CHANGED)
        acts = [(record.act, record.bank) for record in reversed(writer.acts(9))]
        assert acts == [(ADDED, added.number), (CHANGED, added.number)]

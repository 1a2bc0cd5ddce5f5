"""The promises of every registry backend: subclass this, and define the two fixtures."""

from tests.registry.conformance.banks import BanksConformance
from tests.registry.conformance.bulk import BulkConformance
from tests.registry.conformance.common import CommonConformance
from tests.registry.conformance.disputes import DisputesConformance
from tests.registry.conformance.erasing import ErasingConformance
from tests.registry.conformance.feed import FeedConformance
from tests.registry.conformance.keys import KeysConformance
from tests.registry.conformance.opened import OpenReader, OpenWriter
from tests.registry.conformance.outcomes import OutcomesConformance
from tests.registry.conformance.registering import RegisteringConformance
from tests.registry.conformance.renewing import RenewingConformance
from tests.registry.conformance.reviewing import ReviewingConformance
from tests.registry.conformance.states import StatesConformance
from tests.registry.conformance.tallies import TalliesConformance
from tests.registry.conformance.turns import TurnsConformance
from tests.registry.conformance.withdrawing import WithdrawingConformance

__all__ = ["OpenReader", "OpenWriter", "RegistryConformance"]


class RegistryConformance(
    RegisteringConformance,
    RenewingConformance,
    WithdrawingConformance,
    FeedConformance,
    StatesConformance,
    ReviewingConformance,
    BulkConformance,
    CommonConformance,
    ErasingConformance,
    OutcomesConformance,
    DisputesConformance,
    TurnsConformance,
    TalliesConformance,
    KeysConformance,
    BanksConformance,
):
    """Subclasses define fixtures ``open_writer`` and ``open_reader``, on the same registry."""

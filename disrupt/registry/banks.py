"""The part of the registry's contract for banks."""

from typing import Protocol

from disrupt.core.acts import Act
from disrupt.core.policy import Bank


class BankReader(Protocol):
    """Reading of banks, as ``contract.RegistryReader`` reads."""

    def banks(self) -> tuple[Bank, ...]:
        """Return all banks, by number."""


class BankWriter(BankReader, Protocol):
    """Writing of banks, as ``contract.RegistryWriter`` writes. None is ever deleted.

    An act is noted on the bank, in the transaction of what was done.
    """

    def add_bank(self, bank: Bank, *, act: Act) -> Bank:
        """Add a bank under the next number, whatever ``bank.number`` is, and return it.

        InvalidRequestError if its name is taken.
        """

    def change_bank(self, bank: Bank, *, act: Act) -> None:
        """Change the bank of this number, all but its name.

        NotFoundError if there is none.
        """

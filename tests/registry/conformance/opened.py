"""Fixtures of the conformance suite: a writer and a reader of one registry."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from disrupt.registry.registry import RegistryReader, RegistryWriter

OpenWriter = Callable[[], AbstractContextManager[RegistryWriter]]
OpenReader = Callable[[], AbstractContextManager[RegistryReader]]


class Opened:
    """Subclasses define fixtures ``open_writer`` and ``open_reader``, on the same registry."""

    @pytest.fixture
    def chance(self) -> random.Random:
        return random.Random(20261124)

    @pytest.fixture
    def writer(self, open_writer: OpenWriter) -> Iterator[RegistryWriter]:
        with open_writer() as writer:
            yield writer

    @pytest.fixture
    def reader(self, writer: RegistryWriter, open_reader: OpenReader) -> Iterator[RegistryReader]:
        del writer  # the writer makes the registry that a reader needs
        with open_reader() as reader:
            yield reader

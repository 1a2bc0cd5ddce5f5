"""Check a data directory for everything that a server acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from disrupt.core import media
from disrupt.core.changes import Addition, Cursor
from disrupt.core.outcomes import MatchOutcome
from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError
from disrupt.registry import opening
from disrupt.registry.sqlite.integrity import integrity_problems
from disrupt.registry.walk import walk
from indexer.verify import verify
from rig.model.write import Write


def stored(data_dir: Path) -> dict[bytes, bytes]:
    """Return the fingerprints of every item in the registry, packed, by its id."""
    with opening.reading(DataDirectory(data_dir)) as reader:
        head = reader.head()
        return {
            change.item.item_id: media.pack(change.item.fingerprints)
            for change in walk(reader, Cursor(head.epoch, 0), head)
            if isinstance(change, Addition)
        }


def kept(write: Write, found: list[bytes | None]) -> Iterator[str]:
    """Yield a problem unless an acknowledged write is in the registry, unchanged."""
    gone: list[bytes | None] = [None] * len(found)
    if write.withdrawal is not None:
        if found != gone:
            yield "an acknowledged withdrawal is lost"
    elif found != write.blobs and not (write.withdrawal_sent and found == gone):
        yield "an acknowledged registration is lost, changed or withdrawn in part"


def outcomes_kept(data_dir: Path, writes: Iterable[Write]) -> Iterator[str]:
    """Yield a problem unless acknowledged outcomes, or later ones, are in the registry.

    Of outcomes of an item the last is kept, and of false positives each match.
    """
    with opening.reading(DataDirectory(data_dir)) as reader:
        disputed = {dispute.item_id for dispute in reader.disputes()}
        for write in writes:
            if write.receipt is None or write.withdrawal_sent or not write.noted:
                continue
            noted, sent = write.reports[: write.noted], write.reports[write.noted :]
            if MatchOutcome.FALSE_POSITIVE in noted and write.item_ids[0] not in disputed:
                yield "an acknowledged dispute is lost"
            outcomes = [each for each in noted if each != MatchOutcome.FALSE_POSITIVE]
            case = reader.outcomes(write.receipt.case_number, before="9999-12-31")
            reported = case.get(write.item_ids[0], {})
            if outcomes and not set(reported) & {outcomes[-1], *sent}:
                yield "an acknowledged outcome is lost"


def verified(data_dir: Path) -> Iterator[str]:
    """Run the checks of ``disrupt-index verify``, and SQLite's own where it has the registry."""
    if DataDirectory(data_dir).registry_url is None:
        yield from integrity_problems(data_dir / "registry.db")
    try:
        with opening.reading(DataDirectory(data_dir)) as reader:
            outcome = verify(reader, data_dir / "index")
        yield from (difference.problem for difference in outcome.differences)
    except DisruptError as error:
        yield error.message

"""``disrupt restore --removals``: remove what machines list that followed the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from grpc import aio

from disrupt.admin.v1 import removals_pb2_grpc
from disrupt.data_directory import JOURNAL, DataDirectory
from disrupt.errors import DataDirectoryError, DisruptError
from disrupt.registry import backup, decided, journal, opening
from disrupt.registry.journal import Contents
from disrupt.server.config import Config
from disrupt.server.edge import internal
from disrupt.wire import removals as wire

_ANSWER_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Restored:
    """Outcome of removing again what was removed after a backup.

    ``answered`` holds the addresses of machines that sent their list. ``silent`` gives the reason
    for each address that did not, and for the journal if it is damaged. ``removals`` counts all
    known removals; ``operators.restore.Restored`` explains the other counts.
    """

    answered: tuple[str, ...]
    silent: dict[str, str]
    removals: int
    renewals_undone: int
    renewed_missing: int
    erasures_stopped: tuple[str, ...] = ()
    decisions_doubt: str = ""
    decisions_lost: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Tell whether machines are named, and all lists were read whole."""
        return bool(self.answered) and not self.silent


def restore(config: Config) -> Restored:
    """Remove again, from a registry that was restored to an earlier time, what was removed since.

    Asks all ``nodes`` of the settings for their lists, adds the journal of this data directory, and
    begins a new epoch of the registry. Raises DataDirectoryError while a server runs here, or where
    there is no list at all.
    """
    directory = DataDirectory(config.data_dir)
    with directory.locked():
        lists, silent = asyncio.run(_lists(config))
        own = journal.read(directory.journal)
        if own is not None:
            lists[JOURNAL] = own
            if own.damaged_records:
                silent[JOURNAL] = _damaged(own)
        if not lists:
            raise DataDirectoryError(
                f"No machine has answered, and there is no {JOURNAL}: what was withdrawn is not"
                f" known. Nothing was changed. ({_reasons(silent)})"
            )
        together = dict.fromkeys(
            record for contents in lists.values() for record in contents.records
        )
        with opening.reading(directory) as reader:
            decisions = decided.since(reader, directory.path)
        done = backup.bring_up_to_date(directory.path, together, decisions)
        directory.followed.unlink(missing_ok=True)  # this registry is right, whatever was before
    return Restored(
        answered=tuple(name for name in lists if name != JOURNAL),
        silent=silent,
        removals=len(together),
        renewals_undone=done.renewals_undone,
        renewed_missing=done.renewed_missing,
        erasures_stopped=done.erasures_stopped,
        decisions_doubt=decisions.doubt,
        decisions_lost=done.decisions_lost,
    )


async def _lists(config: Config) -> tuple[dict[str, Contents], dict[str, str]]:
    """Return the lists of the machines that answer, and why the others do not, by address."""
    answers = await asyncio.gather(*(_list_of(address, config) for address in config.nodes))
    lists, silent = {}, {}
    for address, answer in zip(config.nodes, answers, strict=True):
        if isinstance(answer, Contents):
            lists[address] = answer
        else:
            silent[address] = answer
    return lists, silent


async def _list_of(address: str, config: Config) -> Contents | str:
    """Return a machine's list, or why it cannot be read."""
    async with internal.channel(address, internal.MATCH, config) as channel:
        stub = removals_pb2_grpc.RemovalsServiceStub(channel)
        try:
            parts = stub.ReadRemovals(
                wire.request(), timeout=_ANSWER_WITHIN_S, wait_for_ready=False
            )
            content = wire.content([part async for part in parts])
            contents = journal.parsed(content, f"The list of {address}")
        except aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        except DisruptError as error:
            return error.message
    if contents.damaged_records:
        return _damaged(contents)
    return contents


def _damaged(contents: Contents) -> str:
    return f"{contents.damaged_records} records of its list are damaged"


def text(restored: Restored) -> str:
    """Describe what was done, for operators."""
    lines = [
        f"None of the {restored.removals} known removals is in the registry. A new epoch begins.",
        f"Lists were read of {len(restored.answered)} machines, and the {JOURNAL} here.",
    ]
    if not restored.answered and not restored.silent:
        lines.append(
            "The settings name no `nodes`: machines of role `match`, if there are any, may know of"
            " more. Name them, and run this again."
        )
    if restored.silent:
        lines.append(
            "These did not answer, or not with all, and may know of more: once they do, run this"
            f" again. {_reasons(restored.silent)}"
        )
    if restored.renewals_undone:
        lines.append(f"Renewed since, and as they were before: {restored.renewals_undone} items.")
    if restored.renewed_missing:
        lines.append(
            f"Renewed since, and in no version here: {restored.renewed_missing} items. They match"
            " again once they are registered again."
        )
    if restored.erasures_stopped:
        lines.append(stopped(restored.erasures_stopped))
    lines.append(forgotten(restored.decisions_doubt, restored.decisions_lost))
    return "\n".join(filter(None, lines))


def forgotten(doubt: str, lost: Sequence[str]) -> str:
    """Describe what a restore could not do again of what was decided; empty if it is nothing."""
    if doubt:
        return (
            "What staff and operators decided since the backup is not known, and holds no more:"
            f" {doubt}. Look at states, banks and keys."
        )
    if lost:
        return "\n  ".join(["Decided since on what the backup does not have, and lost:", *lost])
    return ""


def stopped(case_tags: Sequence[str]) -> str:
    """Describe erasures that a restore has stopped."""
    named = ", ".join(filter(None, case_tags))
    of = f" Tags of these cases: {named}." if named else ""
    return (
        f"Stopped: {len(case_tags)} erasures that staff had asked for cases with a lost PIN.{of}"
        " Two people of the staff have to ask for each again: `disrupt review erase`."
    )


def _reasons(silent: dict[str, str]) -> str:
    return "; ".join(f"{address}: {reason}" for address, reason in silent.items())

"""The processes that a server consists of, by its role."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from disrupt.server.config import Config
from disrupt.server.edge.writer_pause import WriterPause
from disrupt.server.mirror import process as mirror
from disrupt.server.node import process as node
from disrupt.server.supervisor.children import Child
from disrupt.server.upkeep import maintenance
from disrupt.server.worker import process as worker
from disrupt.server.writer import process as writer

_KEEPERS = {
    "all": ("writer", writer.run),
    "match": ("node", node.run),
    "mirror": ("mirror", mirror.run),
}
"""Name and program of the keeper, by role."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The processes of a server. Where it answers no lookups, there are only the first."""

    keeper: Child
    """The process that the others need first: the writer; where other machines write, the node,
    which keeps the list of removals; or the mirror, which writes what the hotline's feed brings."""
    workers: tuple[Child, ...] = ()
    maintainer: Child | None = None

    @property
    def serving(self) -> tuple[Child, ...]:
        """Everything that serves, or is to."""
        return (self.keeper, *self.workers)

    @property
    def everything(self) -> tuple[Child, ...]:
        """All of them."""
        return (*self.serving, *((self.maintainer,) if self.maintainer else ()))


def parts(config: Config, checked_from: int | None, pause: WriterPause, row_end: str = "") -> Parts:
    """Return the processes of a server, none of which runs yet."""
    if config.role == "writer":
        return Parts(Child("writer", partial(writer.run, config), watched=True, row_end=row_end))
    name, run = _KEEPERS[config.role]
    return Parts(
        Child(name, partial(run, config), row_end=row_end),
        tuple(
            Child(
                "worker",
                partial(worker.run, config, checked_from, pause),
                number=number,
                watched=True,
                row_end=row_end,
            )
            for number in range(1, config.workers + 1)
        ),
        # It never becomes ready, so `start_s` bounds all of its time.
        Child(
            "maintenance",
            partial(maintenance.run, config),
            start_s=maintenance.LONGEST_S,
            row_end=row_end,
        ),
    )

"""Look uploads up for every HTTP route alike: count, decide, and report what is blocked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from disrupt.client.results import HashAnswer, ImageAnswer, VideoAnswer
from disrupt.core.hashes import PdqHash
from disrupt.door.bodies import Room
from disrupt.door.hotline import Hotline
from disrupt.door.metrics import Metrics
from disrupt.door.outcomes import Outcomes
from disrupt.door.policy import Action, Decision, Policy
from disrupt.door.uploads import Hashed, Uploads
from disrupt.errors import DisruptError


@dataclass(frozen=True, slots=True)
class Looked:
    """An upload, or a hash, that was looked up, and what becomes of it."""

    answer: HashAnswer | ImageAnswer | VideoAnswer
    decision: Decision


class Matching:
    """Hashes and looks up, by the operator's policy. For one event loop."""

    def __init__(
        self,
        policy: Policy,
        uploads: Uploads,
        hotline: Hotline,
        metrics: Metrics,
        outcomes: Outcomes | None,
    ) -> None:
        self.policy = policy
        self.uploads = uploads
        self.hotline = hotline
        self.metrics = metrics
        self._outcomes = outcomes
        self.room = Room()

    async def hash(
        self, route: str, chunks: AsyncIterator[bytes], *, video: bool | None = None
    ) -> Hashed:
        """Hash a file; ``video`` as of Uploads.hash."""
        with self._counting(route), self.room.place():
            return await self.uploads.hash(chunks, self.policy.effort, video=video)

    async def look_up(self, route: str, hashed: Hashed, banks: tuple[str, ...] = ()) -> Looked:
        """Look up what was hashed here. Raises as MatchClient.match_image does."""
        with self._counting(route):
            answer = await self.hotline.look_up(hashed, self.policy.effort, banks)
        return Looked(answer, self._decided(route, answer))

    async def look_up_hashes(
        self, route: str, values: list[PdqHash], banks: tuple[str, ...] = ()
    ) -> list[Looked]:
        """Look up hashes of unknown origin. Raises as MatchClient.match_hashes does."""
        with self._counting(route):
            answers = await self.hotline.hashes(values, banks)
        return [Looked(answer, self._decided(route, answer)) for answer in answers]

    def carry_out(self, route: str, decision: Decision) -> Action:
        """Count what is done to an upload, and queue the report of one that is refused."""
        self.metrics.actions.labels(route, decision.action.value).inc()
        if self._outcomes is not None and decision.action == Action.REFUSE:
            self._outcomes.add(
                match.match_id for match, action in decision.matches if action == Action.REFUSE
            )
        return decision.action

    def _decided(self, route: str, answer: HashAnswer | ImageAnswer | VideoAnswer) -> Decision:
        decision = self.policy.decide(answer)
        self.metrics.lookups.labels(route, decision.reason).inc()
        for match, action in decision.matches:
            self.metrics.matches.labels(match.bank, match.extent.value, action.value).inc()
        return decision

    @contextmanager
    def _counting(self, route: str) -> Iterator[None]:
        try:
            yield
        except DisruptError as error:
            self.metrics.lookups.labels(route, error.reason).inc()
            raise

"""After a refused file, answer each request of a process with the answer to the one before."""

from __future__ import annotations

from disrupt.isolation import picture_process as isolation_process
from disrupt.isolation import video_messages as messages
from disrupt.isolation import videos as isolation_videos
from disrupt.isolation.messages import Answer, Refused, Task

_ask = isolation_process.Process.ask
_kept: dict[int, Answer] = {}


async def _late(self: isolation_process.Process, task: Task, picture: bytes | memoryview) -> Answer:
    answer = await _ask(self, task, picture)
    if self.pid in _kept or isinstance(answer, Refused):
        answer, _kept[self.pid] = _kept.get(self.pid, answer), answer
    return answer


_answer = isolation_videos._Process.answer
_kept_of_videos: dict[int, messages.Answer] = {}


async def _late_of_video(
    self: isolation_videos._Process, timeout_s: float | None
) -> messages.Answer:
    answer = await _answer(self, timeout_s)
    if self.pid in _kept_of_videos or isinstance(answer, Refused):
        kept = _kept_of_videos.get(self.pid, answer)
        answer, _kept_of_videos[self.pid] = kept, answer
    return answer


isolation_videos._Process.answer = _late_of_video  # type: ignore[method-assign]
isolation_process.Process.ask = _late  # type: ignore[method-assign]

"""Python SDK for platforms: is this picture a registered one?

A picture is hashed here, and does not leave the process unless ``hash_locally=False`` says so::

    from disrupt.client import MatchClient

    with MatchClient("disrupt.example:50051", key=key) as client:
        answer = client.match_image("upload.jpg")
        for match in answer.matches:
            print(match.item_id, match.bank, match.assurance.name, match.distance_bits)

Hashes are looked up in batches of any size, as values, an array or packed bytes::

    import numpy as np
    from disrupt.client import MatchClient

    hashes = np.zeros((1000, 32), np.uint8)
    with MatchClient("disrupt.example:50051", key=key) as client:
        matched = [answer for answer in client.match_hashes(hashes) if answer.matches]

Hashes that keep coming are looked up in a flow, which waits for no batch to be answered::

    from disrupt.client import MatchClient

    def batches():
        for start in range(0, len(hashes), 64):
            yield hashes[start : start + 64]

    with MatchClient("disrupt.example:50051", key=key) as client:
        for answers in client.stream_hashes(batches()):
            matched += [answer for answer in answers if answer.matches]

A video is hashed here too, a frame a second, and found inside of others; matches say where::

    with MatchClient("disrupt.example:50051", key=key) as client:
        answer = client.match_video("upload.mp4")
        for match in answer.matches:
            print(match.item_id, match.stored_share_permille / 10, "% of it", match.segments)

What came of a match is reported by its match id, at once or later; another outcome corrects it::

    from disrupt.client import MatchClient, Outcome

    with MatchClient("disrupt.example:50051", key=key) as client:
        for match in client.match_image("upload.jpg").matches:
            client.report(match.match_id, Outcome.PENDING_REVIEW)
            client.report(match.match_id, Outcome.BLOCKED)

Failures are classes of ``disrupt.errors``, wrong arguments included (InvalidRequestError). None of
them means that nothing matches; docs/errors.md says what becomes of the upload. Where the server
is busy or absent, the call has been tried again by then, with jitter and within ``timeout_s``::

    from disrupt.client import MatchClient
    from disrupt.errors import DisruptError, InvalidMediaError

    with MatchClient("disrupt.example:50051", key=key, timeout_s=5) as client:
        try:
            answer = client.match_image(b"not a picture")
        except InvalidMediaError as error:
            print("refuse it:", error.violations)
        except DisruptError as error:
            print("hold it:", error.reason)

Whether all of this works is tried with published pictures, which are in no statistic::

    with MatchClient("disrupt.example:50051", key=key) as client:
        print(client.self_test().passed)

``AsyncMatchClient`` is the same for asyncio::

    import asyncio
    from disrupt.client import AsyncMatchClient

    async def look_up(files):
        async with AsyncMatchClient("disrupt.example:50051", key=key) as client:
            return await asyncio.gather(*(client.match_image(file) for file in files))

    answers = asyncio.run(look_up(["upload.jpg", "upload.jpg"]))
"""

from disrupt.client.aio import AsyncMatchClient
from disrupt.client.requests import Batch
from disrupt.client.results import (
    HashAnswer,
    ImageAnswer,
    IndexStatus,
    Match,
    VideoAnswer,
)
from disrupt.client.retries import RetryPolicy
from disrupt.client.self_test import Check, SelfTest
from disrupt.client.sync import MatchClient
from disrupt.core.hashes import PdqHash
from disrupt.core.lookups import Effort, Segment
from disrupt.core.media import Profile
from disrupt.core.outcomes import Outcome
from disrupt.core.status import Limits

__all__ = [
    "AsyncMatchClient",
    "Batch",
    "Check",
    "Effort",
    "HashAnswer",
    "ImageAnswer",
    "IndexStatus",
    "Limits",
    "Match",
    "MatchClient",
    "Outcome",
    "PdqHash",
    "Profile",
    "RetryPolicy",
    "Segment",
    "SelfTest",
    "VideoAnswer",
]

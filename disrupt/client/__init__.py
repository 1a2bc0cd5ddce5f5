"""Python SDK for platforms: is this picture a registered one?

A picture is hashed here, and does not leave the process unless ``hash_locally=False`` says so::

    from disrupt.client import MatchClient

    with MatchClient("disrupt.example:50051", key=key) as client:
        answer = client.match_image("upload.jpg")
        for match in answer.matches:
            print(match.item_id, match.bank, match.assurance.name, match.distance_bits)

Any number of hashes is looked up at once, as values, an array or packed bytes::

    import numpy as np
    from disrupt.client import MatchClient

    hashes = np.zeros((1000, 32), np.uint8)
    with MatchClient("disrupt.example:50051", key=key) as client:
        matched = [answer for answer in client.match_hashes(hashes) if answer.matches]

A video is hashed here too, a frame a second, and found inside of others; matches say where::

    with MatchClient("disrupt.example:50051", key=key) as client:
        answer = client.match_video("upload.mp4")
        for match in answer.matches:
            print(match.item_id, match.stored_share_permille / 10, "% of it", match.segments)

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

Say what came of each match; the last outcome of a match counts (docs/on-a-match.md)::

    from disrupt.client import MatchClient, MatchOutcome

    with MatchClient("disrupt.example:50051", key=key) as client:
        for match in client.match_image("upload.jpg").matches:
            client.report_outcome(match.match_id, MatchOutcome.BLOCKED)

``AsyncMatchClient`` is the same for asyncio::

    import asyncio
    from disrupt.client import AsyncMatchClient

    async def look_up(files):
        async with AsyncMatchClient("disrupt.example:50051", key=key) as client:
            return await asyncio.gather(*(client.match_image(file) for file in files))

    answers = asyncio.run(look_up(["upload.jpg", "upload.jpg"]))
"""

from disrupt.client.aio import AsyncMatchClient
from disrupt.client.results import (
    HashAnswer,
    ImageAnswer,
    IndexStatus,
    Match,
    VideoAnswer,
)
from disrupt.client.retries import RetryPolicy
from disrupt.client.statements import Automation, Ground, statement_of_reasons
from disrupt.client.sync import MatchClient
from disrupt.core.hashes import PdqHash
from disrupt.core.lookups import Effort, Extent, Segment
from disrupt.core.media import Assurance, MediaKind, Profile
from disrupt.core.outcomes import MatchOutcome
from disrupt.core.status import Limits

__all__ = [
    "Assurance",
    "AsyncMatchClient",
    "Automation",
    "Effort",
    "Extent",
    "Ground",
    "HashAnswer",
    "ImageAnswer",
    "IndexStatus",
    "Limits",
    "Match",
    "MatchClient",
    "MatchOutcome",
    "MediaKind",
    "PdqHash",
    "Profile",
    "RetryPolicy",
    "Segment",
    "VideoAnswer",
    "statement_of_reasons",
]

"""Python SDK for platforms: is this picture a registered one?

    from disrupt.client import MatchClient

    with MatchClient("disrupt.example:50051", key=key) as client:
        for match in client.match_image("upload.jpg").matches:
            print(match.item_id, match.bank, match.assurance.name, match.distance_bits)

``AsyncMatchClient`` is the same for asyncio. Both split large batches, take turns on several
connections, and try again, with jitter and within the call's deadline, where the server is busy or
away. Failures are classes of ``disrupt.errors``.
"""

from disrupt.client.aio import AsyncMatchClient
from disrupt.client.results import HashAnswer, ImageAnswer, IndexStatus, Limits, Match
from disrupt.client.retries import RetryPolicy
from disrupt.client.sync import MatchClient

__all__ = [
    "AsyncMatchClient",
    "HashAnswer",
    "ImageAnswer",
    "IndexStatus",
    "Limits",
    "Match",
    "MatchClient",
    "RetryPolicy",
]

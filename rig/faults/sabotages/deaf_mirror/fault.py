"""Let a mirror apply what comes, and nothing that goes."""

from __future__ import annotations

from dataclasses import replace

from disrupt.core.mirrors import FeedPage
from disrupt.v1 import feed_pb2
from disrupt.wire import feed

_read = feed.read_page


def _without_removals(message: feed_pb2.ListChangesResponse) -> FeedPage:
    page = _read(message)
    return replace(page, items={key: item for key, item in page.items.items() if item})


feed.read_page = _without_removals

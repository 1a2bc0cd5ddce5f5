"""Meta's ThreatExchange: PDQ hashes of a privacy group, by its threat_updates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError

from disrupt.core.lists import ListEntry, Skipped
from disrupt.core.media import MediaKind
from disrupt.lists.pages import (
    PAGES_MAX,
    Ask,
    ListReadError,
    Page,
    Reader,
    moved,
    picture,
    withdrawn,
)

_FIELDS = "id,indicator,type,last_updated,should_delete,status"
_LIVE, _GONE = {"MALICIOUS", "SUSPICIOUS", "UNKNOWN"}, {"NON_MALICIOUS"}


class _Paging(BaseModel):
    next: str = ""


class _Answer(BaseModel):
    data: list[JsonValue]
    paging: _Paging = _Paging()


class _Update(BaseModel):
    id: str = Field(min_length=1, max_length=100)
    type: str
    last_updated: int = Field(ge=0, lt=2**63)
    should_delete: bool
    indicator: str = ""
    status: str = "UNKNOWN"


_UPDATE = TypeAdapter(_Update)


def _pages(
    source: Mapping[str, Any], secrets: Mapping[str, str], ask: Ask, checkpoint: str, now_s: int
) -> Iterator[Page]:
    since_s = newest_s = int(checkpoint or 0)
    query = {"access_token": secrets["access_token"], "fields": _FIELDS, "types": "HASH_PDQ"}
    if since_s:
        query["start_time"] = str(since_s)
    base = f"{source['url']}/{source['group']}/threat_updates"
    url, known = f"{base}?{urlencode(query)}", set[str]()
    while url:
        # the token stands in it: to this host alone
        if not url.startswith((f"{base}?", f"{base}/?")) or url in known or len(known) >= PAGES_MAX:
            raise ListReadError("malformed", "A page names a next one that it cannot be.")
        known.add(url)
        try:
            answer = _Answer.model_validate_json(ask("GET", url, {}))
        except ValidationError as error:
            raise ListReadError("malformed", "A page is not what threat_updates is.") from error
        page = Page()
        for raw in answer.data:
            newest_s = max(newest_s, _add(page, raw, since_s))
        url = answer.paging.next
        if not url:
            page.checkpoint = moved(checkpoint, newest_s, now_s)
        yield page


def _add(page: Page, raw: JsonValue, since_s: int) -> int:
    """Add an update; return when it was made."""
    try:
        update = _UPDATE.validate_python(raw)
    except ValidationError:
        page.skipped[Skipped.MALFORMED] += 1
        return 0
    source_id, changed_s = update.id.encode(), update.last_updated
    if update.type != "HASH_PDQ":
        page.skipped[Skipped.UNSUPPORTED] += 1
    elif changed_s < since_s:
        page.skipped[Skipped.STALE] += 1
    elif update.should_delete or update.status in _GONE:
        page.entries.append(withdrawn(source_id, changed_s))
    elif update.status not in _LIVE:
        page.skipped[Skipped.UNKNOWN_STATUS] += 1
    elif (fingerprints := picture(update.indicator)) is None:
        page.skipped[Skipped.MALFORMED] += 1
    else:
        page.entries.append(ListEntry(source_id, changed_s, MediaKind.IMAGE, fingerprints))
    return changed_s


THREATEXCHANGE = Reader(
    _pages,
    "https://graph.facebook.com/v20.0",
    secrets=("access_token",),
    options=("group",),
)

"""StopNCII.org: hashes that people affected registered there, by FetchHashes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from disrupt.core.lists import ListEntry, ListFeedback, Skipped
from disrupt.core.media import MediaKind
from disrupt.core.outcomes import MatchOutcome
from disrupt.lists.pages import (
    PAGES_MAX,
    Ask,
    ListReadError,
    Page,
    Reader,
    digest,
    moved,
    picture,
    withdrawn,
)

_PAGE_RECORDS = 800
_FIRST_S = 10
"""What the source's own clients ask first for; it refuses 0."""
_LIVE, _GONE = {"Received", "Active"}, {"Withdrawn", "Deleted"}
_VALUES = {
    MatchOutcome.BLOCKED: "Blocked",
    MatchOutcome.NOT_BLOCKED: "NotBlocked",
    MatchOutcome.PENDING_REVIEW: "PendingReview",
}


class _Answer(BaseModel):
    count: int
    nextPageToken: str | None = None  # noqa: N815 the source's names
    nextSetTimestamp: int  # noqa: N815
    hasMoreRecords: bool  # noqa: N815
    hashRecords: list[JsonValue]  # noqa: N815


class _Record(BaseModel):
    lastModtimestamp: int  # noqa: N815
    signalType: str  # noqa: N815
    hashValue: str  # noqa: N815
    hashStatus: str  # noqa: N815


_RECORD = TypeAdapter(_Record)


def _pages(
    source: Mapping[str, Any], secrets: Mapping[str, str], ask: Ask, checkpoint: str, now_s: int
) -> Iterator[Page]:
    since_s = int(checkpoint or _FIRST_S)
    token: str | None = None
    for _ in range(PAGES_MAX):
        query: dict[str, object] = {"startTimestamp": since_s, "pageSize": _PAGE_RECORDS}
        if token:
            query["nextPageToken"] = token
        url = f"{source['url']}/FetchHashes?{urlencode(query)}"
        answer = _parsed(ask("GET", url, _headers(secrets, "fetch_key")))
        page = Page()
        for record in answer.hashRecords:
            _add(page, record, since_s)
        if not answer.hasMoreRecords:
            page.checkpoint = moved(checkpoint, answer.nextSetTimestamp, now_s)
            yield page
            return
        if not answer.nextPageToken or answer.nextPageToken == token:
            raise ListReadError("malformed", "A page names no next one, and says there is one.")
        token = answer.nextPageToken
        yield page
    raise ListReadError("malformed", "The pages have no end.")


def _headers(secrets: Mapping[str, str], key: str) -> dict[str, str]:
    return {
        "x-functions-key": secrets[key],
        "Ocp-Apim-Subscription-Key": secrets["subscription_key"],
    }


def _parsed(body: bytes) -> _Answer:
    try:
        answer = _Answer.model_validate_json(body)
    except ValidationError as error:  # whose text has what was sent
        raise ListReadError("malformed", "A page is not what FetchHashes answers.") from error
    if answer.count != len(answer.hashRecords):
        raise ListReadError("malformed", "A page does not have as many records as it says.")
    return answer


def _add(page: Page, raw: JsonValue, since_s: int) -> None:
    try:
        record = _RECORD.validate_python(raw)
    except ValidationError:
        page.skipped[Skipped.MALFORMED] += 1
        return
    if record.signalType != "ImagePDQ":
        page.skipped[Skipped.UNSUPPORTED] += 1
        return
    fingerprints, changed_s = picture(record.hashValue), record.lastModtimestamp
    if fingerprints is None or not 0 <= changed_s < 2**63:
        page.skipped[Skipped.MALFORMED] += 1
    elif changed_s < since_s:
        page.skipped[Skipped.STALE] += 1
    elif record.hashStatus in _GONE:
        page.entries.append(withdrawn(digest(record.hashValue.lower()), changed_s))
    elif record.hashStatus in _LIVE:
        source_id = digest(record.hashValue.lower())
        page.entries.append(ListEntry(source_id, changed_s, MediaKind.IMAGE, fingerprints))
    else:
        page.skipped[Skipped.UNKNOWN_STATUS] += 1


def _tell(
    source: Mapping[str, Any], secrets: Mapping[str, str], ask: Ask, feedback: list[ListFeedback]
) -> None:
    told = [
        {"hashValue": one.hash.hex(), "feedbackValue": _VALUES[one.outcome], "tags": []}
        for one in feedback
    ]
    body = json.dumps({"count": len(told), "hashFeedbacks": told}).encode()
    headers = {**_headers(secrets, "feedback_key"), "Content-Type": "application/json"}
    ask("POST", f"{source['url']}/SubmitFeedback", headers, body)


STOPNCII = Reader(
    _pages,
    "https://api.stopncii.org/v1",
    secrets=("subscription_key", "fetch_key"),
    tell=_tell,
)

"""NCMEC's hash sharing API, version 2: entries of members, in XML."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from disrupt.core.lists import ListEntry, ListFeedback, Skipped
from disrupt.core.media import MediaKind
from disrupt.core.outcomes import MatchOutcome
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

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_FIRST_S = 1_388_534_400
"""2014-01-01: before the first entry."""
_WINDOW_S = 30 * 86_400
"""Entries of a window come in no order: only a window that was read to its end moves the
checkpoint."""
_OVERLAP_S = 60
"""What an entry may come late behind its own time."""
_NAMESPACE = "https://hashsharing.ncmec.org/hashsharing/v2"


def _pages(
    source: Mapping[str, Any], secrets: Mapping[str, str], ask: Ask, checkpoint: str, now_s: int
) -> Iterator[Page]:
    begin_s = int(checkpoint or _FIRST_S)
    moved(checkpoint, max(begin_s, now_s), now_s)
    while begin_s < now_s:
        end_s = min(begin_s + _WINDOW_S, now_s)
        yield from _window(source["url"], secrets, ask, begin_s - _OVERLAP_S, end_s)
        yield Page(checkpoint=str(end_s))
        begin_s = end_s


def _window(
    url: str, secrets: Mapping[str, str], ask: Ask, begin_s: int, end_s: int
) -> Iterator[Page]:
    times = {"from": _written(begin_s), "to": _written(end_s)}
    path, known = f"/v2/entries?{urlencode(times)}", set[str]()
    while path:
        if path in known or len(known) >= PAGES_MAX or not path.startswith("/v2/entries?"):
            raise ListReadError("malformed", "A page names a next one that it cannot be.")
        known.add(path)
        root = _parsed(ask("GET", url + path, _headers(secrets)))
        page = Page()
        for group in ("images", "videos"):
            for element in root.iterfind(f"{{*}}{group}/*"):
                _add(page, element)
        yield page
        path = (root.findtext("{*}paging/{*}next") or "").strip()


def _headers(secrets: Mapping[str, str]) -> dict[str, str]:
    pair = f"{secrets['user']}:{secrets['password']}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _parsed(body: bytes) -> Element:
    """Parse a page, in which no entity is declared."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise ListReadError("malformed", "A page is no XML, or declares entities.") from error
    if root.tag.rpartition("}")[2] != "queryResult":
        raise ListReadError("malformed", "A page is not what /v2/entries answers.")
    return root


def _add(page: Page, element: Element) -> None:
    tag = element.tag.rpartition("}")[2]
    member, number = element.find("{*}member"), element.findtext("{*}id") or ""
    changed_s = _read(element.findtext("{*}timestamp") or "")
    if tag not in {"image", "deletedImage"}:
        known = tag in {"video", "deletedVideo"}
        page.skipped[Skipped.UNSUPPORTED if known else Skipped.UNKNOWN_STATUS] += 1
        return
    if member is None or not number or not (member.get("id") or "").isdigit() or changed_s is None:
        page.skipped[Skipped.MALFORMED] += 1
        return
    source_id = f"{member.get('id')}/{number}".encode()
    hexadecimal = element.findtext("{*}fingerprints/{*}pdq")
    if tag == "deletedImage":
        page.entries.append(withdrawn(source_id, changed_s))
    elif hexadecimal is None:  # it may have had one before
        page.skipped[Skipped.UNSUPPORTED] += 1
        page.entries.append(withdrawn(source_id, changed_s))
    elif (fingerprints := picture(hexadecimal.strip())) is None:
        page.skipped[Skipped.MALFORMED] += 1
    else:
        page.entries.append(ListEntry(source_id, changed_s, MediaKind.IMAGE, fingerprints))


def _written(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime(_FORMAT)


def _read(text: str) -> int | None:
    try:
        return max(int(datetime.strptime(text.strip(), _FORMAT).replace(tzinfo=UTC).timestamp()), 0)
    except (ValueError, OverflowError):
        return None


def _tell(
    source: Mapping[str, Any], secrets: Mapping[str, str], ask: Ask, feedback: list[ListFeedback]
) -> None:
    """Vote for what was blocked; a vote against needs a reason, which outcomes do not have."""
    body = f'<feedbackSubmission xmlns="{_NAMESPACE}"><affirmative/></feedbackSubmission>'.encode()
    headers = {**_headers(secrets), "Content-Type": "application/xml; charset=utf-8"}
    for one in feedback:
        if one.outcome == MatchOutcome.BLOCKED:
            member, _, number = one.source_id.decode().partition("/")
            path = f"/v2/entries/{quote(member, '')}/{quote(number, '')}/PDQ/feedback"
            ask("PUT", source["url"] + path, headers, body)


NCMEC = Reader(
    _pages,
    "https://report.cybertip.org/hashsharing",
    secrets=("user", "password"),
    tell=_tell,
)

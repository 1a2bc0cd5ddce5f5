"""A partner's list that goes wrong: in the shapes of all kinds of sources, with faults."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from disrupt.lists.pages import ListReadError

SHAPES = ("stopncii", "ncmec", "threatexchange", "csv", "jsonl")
FILES = ("csv", "jsonl")
"""Shapes that are files, of which each run reads the whole."""
FAULTS = ("none", "down", "half", "garbage", "twice", "earlier", "wrong", "bomb")
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_PAGE = 3


@dataclass
class ListSource:
    """A source whose entries change; ``entries`` is the naive model of what is listed.

    Each has the time of its last change and its hash, None once it was withdrawn. One of ``FAULTS``
    befalls the next run. ``path`` is where a list that is a file is written.
    """

    shape: str
    chance: random.Random
    path: Path = Path("unwritten")
    clock_s: int = 1_388_600_000
    entries: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    fault: str = "none"
    deliveries: int = 0
    _older: list[list[object]] = field(default_factory=list)
    _answers: int = 0
    _written: set[str] = field(default_factory=set)

    @property
    def listed(self) -> set[str]:
        """The hashes that are listed now; a file that was cut lists what is left of it."""
        if self.shape in FILES:
            return self._written
        return {value for _, value in self.entries.values() if value is not None}

    def change(self, name: str, value: str | None) -> None:
        """List an entry with a hash, or withdraw it."""
        self.clock_s += self.chance.randrange(1, 100_000)
        self.entries[name] = (self.clock_s, value)

    def begin(self, fault: str) -> None:
        """Let a fault befall the next run."""
        self.fault, self._answers = fault, 0
        if self.shape in FILES:
            self._write()

    def ask(
        self, _method: str, url: str, _headers: Mapping[str, str], _content: bytes = b""
    ) -> bytes:
        """Answer a call."""
        self.deliveries += 1
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        match self.shape:
            case "stopncii":
                body = self._stopncii(query)
            case "ncmec":
                body = self._ncmec(url, query)
            case _:
                body = self._threatexchange(url, query)
        self._answers += 1
        if self._answers == self.chance.randrange(1, 3):
            body = self._spoilt(body)
        return body

    def _spoilt(self, body: bytes) -> bytes:
        if self.fault == "down":
            raise ListReadError("unreachable", "The source answers 500.")
        if self.fault == "half":
            return body[: self.chance.randrange(len(body))]
        if self.fault == "garbage":
            return self.chance.choice((b"", b"{", b"<", b"[" * 100_000, b"\xff" * 10))
        if self.fault == "bomb":
            return b'<!DOCTYPE a [<!ENTITY b "c">]>' + body
        return body

    def _stopncii(self, query: Mapping[str, str]) -> bytes:
        since_s, at = int(query["startTimestamp"]), int(query.get("nextPageToken", "0"))
        rows = sorted(
            (changed_s, name)
            for name, (changed_s, _) in self.entries.items()
            if changed_s >= since_s
        )
        page = rows[at : at + _PAGE]
        records: list[object] = [self._record(name) for _, name in page]
        if self.fault == "twice":
            records += records
        if self.fault == "wrong":
            records += [None, {}, {**self._record_of("0" * 63, 9**20), "hashStatus": []}]
            records += [self._record_of("0" * 64, self.clock_s, "Lost")]
            records += [self._record_of("0" * 63, self.clock_s)]
        if self.fault == "earlier" and self._older:
            records += self.chance.choice(self._older)
        self._older.append([self._record(name) for _, name in page])
        is_end = at + _PAGE >= len(rows)
        return json.dumps(
            {
                "count": len(records),
                "nextPageToken": None if is_end else str(at + _PAGE),
                "nextSetTimestamp": 5 if self.fault == "earlier" and is_end else self.clock_s,
                "hasMoreRecords": not is_end,
                "hashRecords": records,
            }
        ).encode()

    def _record(self, name: str) -> dict[str, object]:
        changed_s, value = self.entries[name]
        status = self.chance.choice(("Withdrawn", "Deleted") if value is None else ("Active",))
        return self._record_of(name, changed_s, status)

    def _record_of(self, name: str, changed_s: int, status: str = "Active") -> dict[str, object]:
        return {
            "lastModtimestamp": changed_s,
            "signalType": "ImagePDQ",
            "hashValue": name,
            "hashStatus": status,
            "caseNumbers": {},
        }

    def _ncmec(self, url: str, query: Mapping[str, str]) -> bytes:
        begin_s, end_s = (
            int(datetime.strptime(query[name], _FORMAT).replace(tzinfo=UTC).timestamp())
            for name in ("from", "to")
        )
        at = int(query.get("start", "0"))
        rows = [
            name for name, (changed_s, _) in self.entries.items() if begin_s <= changed_s <= end_s
        ]
        page = rows[at : at + _PAGE]
        elements = [self._element(name) for name in page]
        if self.fault == "twice":
            elements += elements
        if self.fault == "wrong":
            elements += ["<image/>", "<strange/>", self._element_of("x", self.clock_s, "0" * 63)]
        following = ""
        if at + _PAGE < len(rows):
            path = urlsplit(url)._replace(scheme="", netloc="").geturl().split("&start=")[0]
            escaped = f"{path}&start={at + _PAGE}".replace("&", "&amp;")
            following = f"<paging><next>{escaped}</next></paging>"
        return (
            '<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2"><images>'
            f"{''.join(elements)}</images><videos/>{following}</queryResult>"
        ).encode()

    def _element(self, name: str) -> str:
        changed_s, value = self.entries[name]
        return self._element_of(name, changed_s, value)

    def _element_of(self, name: str, changed_s: int, value: str | None) -> str:
        tag = "deletedImage" if value is None else "image"
        written = datetime.fromtimestamp(changed_s, UTC).strftime(_FORMAT)
        return (
            f'<{tag}><member id="42">M</member><timestamp>{written}</timestamp><id>{name}</id>'
            f"<fingerprints>{f'<pdq>{value}</pdq>' if value else ''}</fingerprints></{tag}>"
        )

    def _threatexchange(self, url: str, query: Mapping[str, str]) -> bytes:
        since_s, at = int(query.get("start_time", "0")), int(query.get("after", "0"))
        rows = sorted(
            (changed_s, name)
            for name, (changed_s, _) in self.entries.items()
            if changed_s >= since_s
        )
        page = rows[at : at + _PAGE]
        updates: list[object] = [self._update(name) for _, name in page]
        if self.fault == "twice":
            updates += updates
        if self.fault == "wrong":
            updates += [None, {}, {"id": [], "type": 9**20}]
            updates += [self._update_of("x", self.clock_s, "0" * 63)]
            updates += [{**self._update_of("x", self.clock_s, "0" * 64), "status": "LOST"}]
        if self.fault == "earlier" and self._older:
            updates += self.chance.choice(self._older)
        self._older.append([self._update(name) for _, name in page])
        answer: dict[str, object] = {"data": updates}
        if at + _PAGE < len(rows):
            asked = urlencode({**query, "after": at + _PAGE})
            answer["paging"] = {"next": urlsplit(url)._replace(query=asked).geturl()}
        return json.dumps(answer).encode()

    def _update(self, name: str) -> dict[str, object]:
        changed_s, value = self.entries[name]
        return self._update_of(name, changed_s, value)

    def _update_of(self, name: str, changed_s: int, value: str | None) -> dict[str, object]:
        update: dict[str, object] = {"id": name, "type": "HASH_PDQ", "last_updated": changed_s}
        if value is not None:
            return {**update, "indicator": value, "should_delete": False, "status": "MALICIOUS"}
        if self.chance.randrange(2):
            return {**update, "should_delete": True}
        return {**update, "should_delete": False, "status": "NON_MALICIOUS"}

    def _write(self) -> None:
        """Write the file of a list, as a fault has it."""
        self.deliveries += 1
        self.path.unlink(missing_ok=True)
        if self.fault == "down":
            return
        rows = [(name, value) for name, (_, value) in self.entries.items() if value is not None]
        if self.fault == "half":
            rows = rows[: self.chance.randrange(len(rows) + 1)]
        self._written = {value for _, value in rows}
        rows *= 1 + (self.fault == "twice")
        rows += [("x", "0" * 63), ("x", "")] * (self.fault == "wrong")
        if self.shape == "csv":
            lines = ["hash,id", *(f"{value},{name}" for name, value in rows)]
        else:
            lines = [json.dumps({"hash": value, "id": name}) for name, value in rows]
        content = "".join(f"{line}\n" for line in lines).encode()
        if self.fault == "wrong":
            content += b"[" * 5_000 + b"\n"
        self.path.write_bytes(b"\xff" + content if self.fault == "garbage" else content)

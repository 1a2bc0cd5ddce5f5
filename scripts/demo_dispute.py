"""The part of the demo in which platforms dispute an item, and staff decide."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import skimage
from PIL import Image

from rig.servers.deployment import Deployment, run

DISPUTED = Path(skimage.__file__).parent / "data" / "text.png"
GIVE_UP_AFTER_S = 60.0


@dataclass(frozen=True)
class Dispute:
    """Two platforms that look one copy up, and staff."""

    server: str
    copy: Path
    platforms: tuple[str, str]
    staff: str

    @classmethod
    def between(cls, server: Deployment, into: Path) -> Dispute:
        """Make keys of two organisations and of staff, and a copy that is not very near."""
        with Image.open(DISPUTED) as opened:
            width, height = opened.size
            cropped = opened.crop(
                (width * 7 // 100, height * 3 // 100, width * 98 // 100, height * 98 // 100)
            )
        copy = into / "text-cropped.jpg"
        cropped.convert("RGB").save(copy, quality=70)
        platforms = server.make_key("first", "match"), server.make_key("second", "match")
        return cls(server.address, copy, platforms, server.make_key("staff", "review"))

    def matches(self, key: str, file: Path | None = None) -> list[dict[str, Any]]:
        """Return the matches of the copy, or of another file."""
        options = ("--json", "--server", self.server)
        matches: list[dict[str, Any]] = json.loads(
            run("disrupt", "match", *options, file or self.copy, DISRUPT_KEY=key)
        )["matches"]
        return matches

    def bits(self) -> str:
        """Return the distance of the nearest match, or nothing."""
        matches = self.matches(self.platforms[0])
        return str(matches[0]["distance"]) if matches else ""

    def report(self) -> None:
        """Report every match of the copy as a false positive by both platforms, until none is left.

        A match id names some of the versions that are near; what is left then has further ones.
        """
        until_s = time.monotonic() + GIVE_UP_AFTER_S
        while time.monotonic() < until_s:
            found = [
                (key, match["match_id"])
                for key in self.platforms
                for match in self.matches(key)
                if not match.get("disputed")
            ]
            if not found:
                return
            for key, match_id in found:
                arguments = (match_id, "false_positive", "--server", self.server)
                run("disrupt", "report", *arguments, DISRUPT_KEY=key)

    def review(self, *arguments: str) -> list[dict[str, Any]]:
        """Give a command of staff; return the rows that it prints."""
        options = ("--json", "--server", self.server)
        printed = run("disrupt", "review", *arguments, *options, DISRUPT_KEY=self.staff)
        return [json.loads(line) for line in printed.splitlines()]

    def wait(self, *, matched: bool) -> str:
        """Wait until the copy matches, or no more; say which it is."""
        until_s = time.monotonic() + GIVE_UP_AFTER_S
        while bool(self.matches(self.platforms[0])) != matched and time.monotonic() < until_s:
            pass
        return "match" if self.matches(self.platforms[0]) else "no match"

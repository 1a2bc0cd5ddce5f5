"""Drive Debian's Firefox by Marionette, its own protocol; Playwright drives another Firefox."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rig.waiting import eventually


class Firefox:
    """A running browser. Calls are commands of Marionette."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rwb")
        self._receive()
        self._sent = 0
        # The event ``load`` waits for modules, also for those that do not come.
        self("WebDriver:NewSession", pageLoadStrategy="eager", acceptInsecureCerts=True)

    def __call__(self, command: str, **parameters: Any) -> Any:
        """Call, and return the answer."""
        self._sent += 1
        message = json.dumps([0, self._sent, command, parameters]).encode()
        self._stream.write(b"%d:%s" % (len(message), message))
        self._stream.flush()
        _, _, error, result = self._receive()
        assert error is None, error
        return result

    def _receive(self) -> Any:
        digits = b""
        while (digit := self._stream.read(1)) != b":":
            digits += digit
        return json.loads(self._stream.read(int(digits)))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a function's body in the page, and return what it returns."""
        return self("WebDriver:ExecuteScript", script=script, args=arguments)["value"]

    def reads(self, words: str, where: str = "main") -> None:
        """Wait until an element says words; spaces of any kind are alike."""
        script = "return document.querySelector(arguments[0])?.innerText.replace(/\\s+/g, ' ')"
        eventually(lambda: words in (self.run(script, where) or ""))

    def clicks(self, label: str) -> None:
        """Click the button whose label begins so, once it can be clicked."""
        script = """
            const found = [...document.querySelectorAll('button:not([aria-disabled=true])')]
                .find((each) => each.innerText.startsWith(arguments[0]));
            found?.click();
            return Boolean(found);
        """
        eventually(lambda: bool(self.run(script, label)))

    def chooses(self, *files: Path) -> None:
        """Choose files."""
        self.fills("#files", "\n".join(map(str, files)))

    def fills(self, selector: str, text: str) -> None:
        """Type into a field."""
        answer = self("WebDriver:FindElement", using="css selector", value=selector)["value"]
        (element,) = answer.values()
        self("WebDriver:ElementSendKeys", id=element, text=text)


@contextmanager
def firefox(profile: Path, port: int) -> Iterator[Firefox]:
    """Start the browser; skip the test where there is none, but in CI fail."""
    program = shutil.which("firefox-esr")
    if program is None and not os.environ.get("CI"):
        pytest.skip("there is no firefox-esr: scripts/system-packages installs it")
    lines = (
        f'user_pref("marionette.port", {port});',
        'user_pref("app.normandy.enabled", false);',
        'user_pref("intl.accept_languages", "fr-FR");',
        'user_pref("security.webauth.webauthn_enable_softtoken", true);',  # virtual passkeys
        'user_pref("security.webauth.webauthn_enable_usbtoken", false);',
        'user_pref("security.webauthn.allow_with_certificate_override", true);',
    )
    (profile / "user.js").write_text("\n".join(lines))
    options = ("--headless", "--no-remote", "--marionette", "--profile", str(profile))
    command = [program or "firefox-esr", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: _listens(port))
            with socket.create_connection(("127.0.0.1", port)) as connection:
                yield Firefox(connection)
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""Serve the modules of the page, and those of its tests, with the headers of the gateway."""

from __future__ import annotations

import contextlib
import http
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

from disrupt.web.headers import HEADERS

ROOT = Path(__file__).parents[2]
_SERVED = ("/disrupt/web/page/", "/tests/web/", "/files/")
EMPTY_PAGE = "/tests/web/empty.html"


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Gives files of the repository; gives and takes those of ``files`` under /files/."""

    files = ROOT

    def translate_path(self, path: str) -> str:
        if not path.startswith(_SERVED):
            return str(ROOT / "nothing")
        if path.startswith("/files/"):
            return str(self.files / Path(path).name)
        return f"{ROOT}{path}"

    def do_PUT(self) -> None:
        """Keep what a page sends under /files/."""
        if not self.path.startswith("/files/"):
            self.send_error(http.HTTPStatus.METHOD_NOT_ALLOWED)
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Path(self.translate_path(self.path)).write_bytes(body)
        self.send_response(http.HTTPStatus.NO_CONTENT)
        self.end_headers()

    def end_headers(self) -> None:
        for name, value in HEADERS:
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def serving(files: Path) -> Iterator[str]:
    """Serve the repository, and ``files`` under /files/; yield the origin."""
    handler = type("Handler", (_Handler,), {"files": files})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()

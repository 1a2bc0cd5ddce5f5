"""The partner platforms, as the server behind the gateway names them."""

from __future__ import annotations

import asyncio
import time

from disrupt.v1 import registration_pb2
from disrupt.web.files import File, json_file
from disrupt.web.upstream import Upstream

_KEPT_S = 60.0
"""How long an answer is kept: a platform whose last key was revoked is named no longer."""


class Partners:
    """Ask the server for the partners, once for all visitors of a minute. For one event loop."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._asking: asyncio.Task[File] | None = None
        self._asked_s = 0.0

    async def file(self) -> File:
        """Return the list, JSON. Raises DisruptError where the server does not say."""
        kept = self._asking
        is_over = kept is not None and kept.done()
        if kept is None or (
            is_over and (kept.exception() or time.monotonic() - self._asked_s > _KEPT_S)
        ):
            self._asked_s = time.monotonic()
            kept = self._asking = asyncio.create_task(self._ask())
        # A visitor who leaves does not end what others wait for.
        return await asyncio.shield(kept)

    async def _ask(self) -> File:
        request = registration_pb2.ListPartnersRequest().SerializeToString()
        answer = registration_pb2.ListPartnersResponse.FromString(
            await self._upstream.call("/disrupt.v1.RegistrationService/ListPartners", request)
        )
        partners = [
            {"name": partner.name, "reportUrl": partner.report_url} for partner in answer.partners
        ]
        return json_file({"day": answer.day, "partners": partners})

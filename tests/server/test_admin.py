"""While a server runs, its writer manages the keys, and the commands ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner
from grpc import aio

from disrupt.admin.v1 import admin_pb2_grpc
from disrupt.cli import main
from disrupt.data_directory import DataDirectory
from disrupt.registry.sqlite.sql import SqlRegistry
from disrupt.server.admin import DirectAdmin
from disrupt.server.admission.pool import Pool
from disrupt.server.calls.admin import AdminServicer

_T = TypeVar("_T")


async def beside_a_writer(data_dir: Path, function: Callable[[], _T]) -> _T:
    """Run a function in a thread, while the calls of AdminService are answered."""
    directory = DataDirectory(data_dir)
    with directory.locked(), SqlRegistry.open_writer(directory.registry) as registry:
        server = aio.server()
        servicer = AdminServicer(DirectAdmin(registry), Pool("writer", threads=1, queued=1))
        admin_pb2_grpc.add_AdminServiceServicer_to_server(servicer, server)
        server.add_insecure_port(directory.socket_address)
        await server.start()
        try:
            return await asyncio.to_thread(function)
        finally:
            await server.stop(None)


def test_keys_are_made_listed_and_revoked_by_the_writer_that_runs(tmp_path: Path) -> None:
    def keys(*words: str) -> Any:
        done = CliRunner().invoke(main, ["keys", *words, "--json", "--data-dir", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def manage() -> None:
        made = keys("create", "platform", "--right", "match", "--bank", "adults")
        assert (made["rights"], made["banks"]) == (["match"], ["adults"])
        other = keys("create", "other", "--right", "feed")
        revoked = keys("revoke", made["key_id"])
        assert revoked["key_id"] == made["key_id"]
        listed = {key["key_id"]: bool(key["revoked_on"]) for key in keys("list")["keys"]}
        assert listed == {made["key_id"]: True, other["key_id"]: False}

    asyncio.run(beside_a_writer(tmp_path, manage))


@pytest.mark.parametrize(
    "words",
    [
        ("revoke", "\udcff"),
        ("create", "a\udcff", "--right", "match"),
        ("create", "a", "--right", "match", "--bank", "\udcff"),
    ],
)
def test_what_is_not_utf8_is_refused_in_a_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, ["keys", *words, "--data-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert done.output.endswith(": not UTF-8\n")

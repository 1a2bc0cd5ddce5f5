"""Ordinary mistakes of a platform's engineer raise one documented class each, with a remedy."""

from __future__ import annotations

import asyncio
import errno
import inspect
import io
import math
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from disrupt.client import AsyncMatchClient, MatchClient, PdqHash, RetryPolicy, media
from disrupt.client.videos import CHUNK_BYTES, Sent
from disrupt.core.hashes import HASH_BYTES
from disrupt.errors import (
    ConfigurationError,
    DisruptError,
    InvalidMediaError,
    InvalidRequestError,
    UnavailableError,
    UnreadableMediaError,
)
from disrupt.extras import install
from disrupt.hashing.decoding.pictures import DEFAULT_LIMITS
from disrupt.server.config import Config
from disrupt.v1 import match_pb2
from rig.callers.sdk import NEVER, Call, in_loop, in_thread
from rig.media.videos import encode, footage
from rig.servers.scripted import scripted

HASH = bytes(HASH_BYTES)


def refuse(call: Call, *arguments: object, **named: object) -> DisruptError:
    with pytest.raises(DisruptError) as raised:
        call(*arguments, **named)
    return raised.value


WRONG_NUMBERS: list[object] = [None, "31", 3.5, math.nan, -1, True, [], 10**30]
WRONG_OPTIONS: dict[str, tuple[str, list[object]]] = {
    "max_distance_bits": ("options.max_distance_bits", [*WRONG_NUMBERS[1:], 64]),
    "max_matches": ("options.max_matches", [*WRONG_NUMBERS, 0, 1001]),
    "banks": ("options.banks", [None, "adults", b"adults", 5, [1], [None], ["\ud800"]]),
    "leave_out_common": ("options.leave_out_common", [None, 1, "true"]),
    "timeout_s": ("timeout_s", ["5", 0, -1, math.nan, math.inf, True, 10**400]),
}
WRONG_FILE_OPTIONS: dict[str, tuple[str, list[object]]] = {
    "hash_locally": ("hash_locally", [None, 0, "false"]),
    "effort": ("options.effort", [None, 1, "FAST"]),
    "whole_only": ("options.whole_only", [None, 1, "true"]),
    **WRONG_OPTIONS,
}
WRONG: Mapping[str, tuple[tuple[object, ...], dict[str, tuple[str, list[object]]]]] = {
    "match_hashes": (
        (HASH,),
        {
            "profile": ("profile", [None, 1, "PDQ_512"]),
            "uploads": ("uploads", [*WRONG_NUMBERS[1:], 0, 2, 2**32]),
            "qualities": ("qualities", [5, "9", [101], [-1], [None], [0.5], [50, 50], [10**30]]),
            "since": ("since", [0, 5, b"cursor", ["cursor"], "\ud800"]),
            **WRONG_OPTIONS,
        },
    ),
    "match_image": (
        (b"not a picture",),
        {
            **WRONG_FILE_OPTIONS,
        },
    ),
    "match_file": ((b"not a picture",), WRONG_FILE_OPTIONS),
    "match_video": (
        (b"not a video",),
        {
            **WRONG_FILE_OPTIONS,
            "interval_ms": ("options.sample_interval_ms", [*WRONG_NUMBERS, 0, 39, 60_001]),
            "min_query_share_permille": (
                "options.min_query_share_permille",
                [*WRONG_NUMBERS, 1001],
            ),
            "min_stored_share_permille": (
                "options.min_stored_share_permille",
                [*WRONG_NUMBERS, 1001],
            ),
            "answer_early": ("options.answer_early", [None, 1]),
            "watched": ("watched", [None, 5]),
        },
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_refused_by_its_name_before_anything_is_asked(
    call: Call, name: str
) -> None:
    right, arguments = WRONG[name]
    parameters = set(inspect.signature(getattr(MatchClient, name)).parameters)
    assert parameters == set(inspect.signature(getattr(AsyncMatchClient, name)).parameters)
    assert len(parameters - {"self"}) == 1 + len(arguments)
    for argument, (field, values) in arguments.items():
        for value in values:
            refused = refuse(call, name, *right, **{argument: value})
            assert type(refused) is InvalidRequestError, (argument, value, refused)
            assert [violation.field for violation in refused.violations] == [field]
            assert field in refused.message


@pytest.mark.parametrize(
    "batch",
    [None, 5, 0.5, "00" * 32, bytes(31), ["00" * 32], [HASH], [PdqHash(HASH), None], PdqHash(HASH),
     HASH.hex().encode() * 3, np.frombuffer(HASH.hex().encode(), np.uint8).reshape(2, 32),
     [[0] * 32], np.zeros(32, np.uint8), np.zeros((1, 32)), np.array(["00" * 32]), {"a": 1}],
    ids=repr,
)  # fmt: skip
def test_what_is_no_batch_is_refused(call: Call, batch: object) -> None:
    refused = refuse(call, "match_hashes", batch)
    assert type(refused) is InvalidRequestError
    assert refused.violations[0].field == "hashes"


def test_packed_hashes_of_any_buffer_and_hashes_of_any_iterable_will_do(call: Call) -> None:
    answer = match_pb2.MatchHashesResponse()
    with scripted(answer) as server:
        for batch in (bytearray(HASH), memoryview(HASH), iter([PdqHash(HASH)]), {PdqHash(HASH)}):
            assert len(call("match_hashes", batch, address=server.address)) == 1


class NumberPath(os.PathLike[str]):
    """A path that is a number."""

    def __fspath__(self) -> Any:
        return 5


def released() -> memoryview:
    view = memoryview(bytearray(HASH))
    view.release()
    return view


NO_MEDIA = [None, 5, ["a.jpg"], io.BytesIO(b"x"), np.zeros((2, 2, 3), np.uint8), NumberPath()]


@pytest.mark.parametrize("media", [*NO_MEDIA, released()], ids=lambda media: type(media).__name__)
def test_what_is_neither_bytes_nor_a_path_is_refused(call: Call, media: object) -> None:
    for name, fields in (("match_image", {"image"}), ("match_video", {"video", "frames"})):
        for locally in (True, False):
            refused = refuse(call, name, media, hash_locally=locally)
            assert type(refused) is InvalidRequestError
            assert refused.violations[0].field in fields
    refused = refuse(call, "match_hashes", released())
    assert refused.violations[0].field == "hashes"


_WITHOUT_DECODERS = """
import sys
sys.modules["pillow_heif"] = sys.modules["av"] = None
from disrupt.client import MatchClient
from disrupt.errors import UnimplementedError
with MatchClient("127.0.0.1:1", key="key") as client:
    for path in sys.argv[1:]:
        try:
            client.match_file(path)
        except UnimplementedError as error:
            print(error.metadata["cause"], error.message)
"""


def test_heic_and_videos_without_their_extras_are_held_with_what_to_do(tmp_path: Path) -> None:
    photograph, video = tmp_path / "a.heic", tmp_path / "a.mp4"
    Image.new("RGB", (64, 64)).save(photograph, "HEIF")
    video.write_bytes(encode(list(footage(23, seconds=1))))
    printed = subprocess.check_output(
        [sys.executable, "-c", _WITHOUT_DECODERS, photograph, video], text=True
    ).splitlines()
    for line, cause, package in zip(
        printed,
        ("NO_HEIC_DECODER", "NO_VIDEO_DECODER"),
        ("pillow-heif>=1.8.1", "av>=18"),
        strict=True,
    ):
        assert line.startswith(f"{cause} ")
        assert shlex.split(install(package))[-1] == package
        for words in ("hold the upload", install(package), "hash_locally=False"):
            assert words in line


@pytest.mark.parametrize("cursor", [5, ["a"], "\ud800", b"\xff"])
def test_what_is_no_cursor_is_refused(call: Call, cursor: object) -> None:
    refused = refuse(call, "index_status", cursor)
    assert type(refused) is InvalidRequestError
    assert refused.violations[0].field == "cursor"


def unreadable(directory: Path) -> Iterator[Path]:
    yield directory
    yield directory / "missing.jpg"
    yield directory / "bad\0name.jpg"
    yield directory / "bad\ud800name.jpg"
    yield directory / ("long" * 100)
    loop = directory / "loop.jpg"
    loop.symlink_to(loop)
    yield loop
    fifo = directory / "fifo.jpg"
    os.mkfifo(fifo)
    yield fifo
    yield Path("/dev/null")
    yield Path("/proc/self/mem")  # a regular file, whose first read is an I/O error


@contextmanager
def receiving() -> Iterator[str]:
    """Yield the address of a server that takes all that is sent, then answers no matches."""

    class Receiving(grpc.GenericRpcHandler):
        def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
            return grpc.stream_unary_rpc_method_handler(
                lambda requests, _: b"".join(b"" for _ in requests)
            )

    server = grpc.server(ThreadPoolExecutor(8), handlers=[Receiving()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize("name", ["match_image", "match_video"])
@pytest.mark.parametrize("locally", [True, False])
def test_a_file_that_cannot_be_read_is_not_taken_for_broken_media(
    call: Call, tmp_path: Path, name: str, *, locally: bool
) -> None:
    with receiving() as address:
        for path in unreadable(tmp_path):
            for given in (path, str(path)):
                refused = refuse(call, name, given, address=address, hash_locally=locally)
                assert type(refused) is UnreadableMediaError, path
                assert not isinstance(refused, InvalidRequestError)
                assert "could not be read" in refused.message
                assert str(path) not in refused.message


@pytest.mark.parametrize("name", ["match_image", "match_video"])
def test_an_empty_file_was_read_and_shows_nothing(call: Call, tmp_path: Path, name: str) -> None:
    file = tmp_path / "empty.jpg"
    file.touch()
    assert isinstance(refuse(call, name, file), InvalidMediaError)


def test_an_error_of_the_disk_in_the_middle_of_a_video_is_no_end_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "video.mp4"
    file.write_bytes(encode(list(footage(23, seconds=4))))

    class Disk(io.FileIO):
        reads = 0

        def readinto(self, buffer: Any, /) -> int:
            self.reads += 1
            if self.reads > 2:
                raise OSError(errno.EIO, "Input/output error")
            return super().readinto(memoryview(buffer)[:1000])

    class Failing(media._RegularFile, Disk):  # type: ignore[misc]  # both read into any buffer
        pass

    monkeypatch.setattr(media, "_RegularFile", Failing)
    with pytest.raises(UnreadableMediaError, match="Input/output error"):
        in_thread("match_video", file)


@pytest.mark.parametrize("end", [asyncio.CancelledError, KeyboardInterrupt])
def test_what_ends_a_call_from_outside_is_not_taken_for_an_unreadable_file(
    end: type[BaseException],
) -> None:
    def unreadable() -> Iterator[match_pb2.MatchVideoRequest]:
        yield match_pb2.MatchVideoRequest()
        raise UnreadableMediaError("Gone.")

    sent = Sent(unreadable, incomplete=False)
    assert len(list(sent())) == 1
    with pytest.raises(end), sent.reading():
        raise end
    with pytest.raises(UnreadableMediaError), sent.reading():
        raise UnavailableError("Away.")
    with pytest.raises(UnreadableMediaError), sent.reading():
        pass


def test_no_more_is_read_of_a_picture_file_than_a_server_takes(tmp_path: Path) -> None:
    most = DEFAULT_LIMITS.max_bytes
    file = io.BytesIO(bytes(most + 100))
    with pytest.raises(InvalidMediaError, match=r"at most \d+ megapixels and 32 MiB") as caught:
        media.read_whole(file)
    assert caught.value.metadata["cause"] == "TOO_LARGE"
    assert file.tell() == most + 1
    assert len(media.read_whole(io.BytesIO(bytes(most)))) == most
    assert most < Config(data_dir=tmp_path).max_message_bytes


def test_a_video_to_send_is_read_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "video.mp4"
    file.write_bytes(bytes(3 * CHUNK_BYTES))
    threads = []
    began = threading.Event()

    class Watched(media._RegularFile):
        def readinto(self, buffer: Any, /) -> int | None:
            threads.append(threading.current_thread())
            began.set()
            return super().readinto(buffer)

    monkeypatch.setattr(media, "_RegularFile", Watched)

    def answer(_: bytes) -> match_pb2.MatchVideoResponse:
        began.wait(60)  # the server sees the first message before the file is read
        return match_pb2.MatchVideoResponse(frames_hashed=1)

    with scripted(answer) as server:
        in_loop("match_video", file, address=server.address, hash_locally=False)
    assert threads
    assert threading.main_thread() not in threads


class TestConstructor:
    """Mistakes made where a client is constructed."""

    @pytest.fixture(params=["threads", "asyncio"])
    def make(self, request: pytest.FixtureRequest) -> Call:
        if request.param == "threads":
            return MatchClient

        def in_a_loop(*arguments: object, **named: object) -> None:
            async def make() -> None:
                AsyncMatchClient(*arguments, **named)  # type: ignore[arg-type]  # the mistake

            asyncio.run(make())

        return in_a_loop

    @pytest.mark.parametrize(
        ("argument", "values"),
        [
            ("server", [None, 5, b"localhost:1", "", "http://host:1", "host:", "host:x", "a b"]),
            ("key", [None, 5, b"key", "", " ", "two\nlines", "clé", "key\n"]),
            ("tls_ca", [5, [], "/nowhere.pem", "/", "\0", b"", b"-----BEGIN CERTIFICATE-----"]),
            ("connections", [None, "4", 0, -1, 1.5, math.nan, True, 10**9]),
            ("timeout_s", [None, "5", 0, -1, math.nan, math.inf, True, [], 10**400]),
            ("retries", [5, "3", {}]),
        ],
    )
    def test_a_wrong_setting_is_refused(
        self, make: Call, argument: str, values: list[object]
    ) -> None:
        for value in values:
            with pytest.raises(ConfigurationError) as refused:
                make(**({"server": NEVER, "key": "key"} | {argument: value}))
            assert len(refused.value.message) > 20, value
            if argument == "key" and isinstance(value, str) and value.strip():
                assert value not in refused.value.message

    @pytest.mark.parametrize(
        "settings",
        [{"attempts": 0}, {"attempts": "3"}, {"attempts": 1.5}, {"first_pause_s": -1},
         {"first_pause_s": math.nan}, {"longest_pause_s": None}, {"longest_pause_s": 0}],
        ids=repr,
    )  # fmt: skip
    def test_retries_that_cannot_be_are_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match=next(iter(settings))):
            RetryPolicy(**settings)

"""Video files to frames sampled by time, by FFmpeg (PyAV): what is accepted, what is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, cast

from disrupt.errors import (
    DisruptError,
    InvalidMediaError,
    OverloadedError,
    UnimplementedError,
)
from disrupt.hashing.decoding import pictures
from disrupt.hashing.decoding.skipping import shown_for_ms
from disrupt.hashing.decoding.sniffing import SNIFFED_BYTES, is_animation, video_format
from disrupt.hashing.decoding.video_luma import Luma, luma_of_frame, luma_of_picture

with contextlib.suppress(ImportError):  # the extra "video" need not be installed
    import av
    import av.error
    import av.logging

    # FFmpeg's complaints, which could quote a file, would go to standard error
    av.logging.set_level(None)

refused = partial(pictures.refused, field="video")
"""Make the error for a video that is not hashed, for this reason; ``cause`` is for programs."""

FORMATS = (
    *("MP4", "QuickTime", "WebM", "Matroska", "AVI", "MPEG", "FLV", "WMV", "Ogg"),
    *("GIF", "WebP", "PNG"),
)
"""Names of the formats, for messages to people."""

_CODECS = (
    *("h264", "hevc", "libdav1d", "vp8", "vp9", "mpeg1video", "mpeg2video", "mpeg4", "h263", "flv"),
    *("msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "wmv3", "vc1", "mjpeg", "theora"),
)
"""Decoders that may run, by FFmpeg's names: no others, no sound, no subtitles."""

_CODEC_NAMES = "H.264, HEVC, AV1, VP8, VP9, MPEG-1, MPEG-2, MPEG-4, H.263, WMV, VC-1, MJPEG, Theora"

_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that read the alpha of WebM files, which FFmpeg's own pass over."""

NO_VIDEO_DECODER = "NO_VIDEO_DECODER"
"""Cause of the error for a video where the extra "video" is not installed."""

SHORT_MS = 2000
SHORT_INTERVAL_MS = 250
"""A video shorter than SHORT_MS is sampled at this interval: the usual one gives few frames."""

_SUBSTITUTE_MS = 125
"""Time between frames that may stand in for one without detail; at most a quarter interval."""

_READ_BYTES = 1 << 18
_USUAL_FPS = 25
_BRIEF_MS = 1000 / 12
"""Longest time on screen of a frame that may be skipped, beside a quarter of the interval.

Only frames to which no other frame refers are skipped.
"""
_UNSEEN_MS = 1000
"""Longest time without a decoded frame: after it, the next frame is not skipped."""
_MISSING_MS, _MISSING_SHARE = 2000, 0.05
"""Most of the declared duration that may be missing at the end of a complete file.

The larger of the two counts; the share is of the declared duration.
"""
_HIDDEN_MS = 250
"""Least duration of the frames that an edit list hides from which they are read, too.

Encoders hide fewer: they need some frames before the first that is shown.
"""
_ERRORS_MAX = 200
"""Most packets that may fail to be decoded before the rest of the file is given up."""


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """Limits of a video, inclusive.

    ``max_pixels``: width x height of a frame; ``max_bytes`` of the file; ``max_duration_s``.
    """

    max_pixels: int = 4096 * 2304
    max_bytes: int = 1 << 30
    max_duration_s: int = 3 * 3600


DEFAULT_LIMITS = VideoLimits()


@dataclass(frozen=True, slots=True)
class Sample:
    """A frame and when it is shown, in ms from the first one.

    Call ``luma`` before you ask for the next sample. Two kinds of samples lie between those of the
    interval: one ``for_short_video`` counts only if the video ends within SHORT_MS, and a
    ``substitute`` only if the sample before it shows no detail.
    """

    time_ms: int
    luma: Callable[[], Luma]
    for_short_video: bool = False
    substitute: bool = False


class Video:
    """A video file that is being read. For one thread.

    ``declared_ms`` is the duration that the file declares, 0 without one. Once ``samples`` is
    through, ``end_ms`` is the end of the last frame, and ``incomplete`` tells whether the file is
    damaged, ends early, or holds another video, too: the one that FFmpeg prefers is read.
    """

    def __init__(
        self,
        file: BinaryIO,
        limits: VideoLimits = DEFAULT_LIMITS,
        *,
        threads: int = 1,
        unedited: bool = False,
    ) -> None:
        """Open a file, which is read and sought in, and stays open.

        ``threads`` 0: as many as are of use. ``unedited``: where the edit list of a file hides
        frames, all frames are read again after its end, since some browsers play them.

        InvalidMediaError for what is no video within the limits, OverloadedError without memory.
        """
        self.declared_ms = 0
        self.end_ms = 0
        self.incomplete = False
        self._file = file
        self._limits = limits
        self._threads = threads
        self._unedited = unedited
        head = _read(file, SNIFFED_BYTES)
        file.seek(0)
        if not head:
            raise refused("the file is empty")
        self._animated = is_animation(head)
        if not self._animated:
            with _refusing():
                self._open(_sniffed(head))

    def samples(self, interval_ms: int) -> Iterator[Sample]:
        """Yield the first frame, then the first one at or after each multiple of ``interval_ms``.

        If that is longer than SHORT_INTERVAL_MS, the first SHORT_MS also have samples
        ``for_short_video``, at or after each multiple of SHORT_INTERVAL_MS. Other frames are
        ``substitute``, at most eight a second, or four an interval. InvalidMediaError if there is
        no frame, or one is over the limits.
        """
        denser = interval_ms > SHORT_INTERVAL_MS
        substitute_ms = min(_SUBSTITUTE_MS, interval_ms / 4)
        last_ms = last_due_ms = last_substitute_ms = -1
        for sample in self._animation() if self._animated else self._readings(interval_ms):
            if sample.time_ms > self._limits.max_duration_s * 1000:
                raise self._too_long()
            if sample.time_ms // interval_ms > last_due_ms // interval_ms:
                last_ms = last_due_ms = last_substitute_ms = sample.time_ms
                yield sample
            elif (
                denser
                and sample.time_ms < SHORT_MS
                and sample.time_ms // SHORT_INTERVAL_MS > last_ms // SHORT_INTERVAL_MS
            ):
                last_ms = sample.time_ms
                yield replace(sample, for_short_video=True)
            elif sample.time_ms - last_substitute_ms >= substitute_ms:
                last_substitute_ms = sample.time_ms
                yield replace(sample, substitute=True)
        if last_ms < 0:
            raise refused(
                "no frame of this video can be decoded: it is damaged, or ends early",
                cause="DAMAGED",
            )
        missing_ms = self.declared_ms - self.end_ms
        if missing_ms > max(_MISSING_MS, _MISSING_SHARE * self.declared_ms):
            self.incomplete = True

    def _open(self, kind: str, **options: str) -> None:
        limit = str(self._limits.max_pixels)
        container = av.open(
            self._file,
            "r",
            format=kind,
            buffer_size=_READ_BYTES,
            metadata_errors="replace",
            options={"codec_whitelist": ",".join(_CODECS), **options},
        )
        streams = [stream for stream in container.streams.video if not _is_cover(stream)]
        if not streams:
            raise refused("this file has no video in it, only sound or other data")
        # Players differ in which video they show.
        self.incomplete |= len(streams) > 1
        best = container.streams.best("video")
        stream = next((each for each in streams if each is best), streams[0])
        context: av.VideoCodecContext | None = stream.codec_context  # None: FFmpeg knows no decoder
        if context is None or context.codec.name not in _CODECS:
            raise refused(f"its codec is not supported; send one of {_CODEC_NAMES}")
        self._check_size(context.width, context.height)
        context = self._with_alpha(stream, context)
        context.options = {"max_pixels": limit}
        context.thread_count = self._threads
        context.thread_type = "SLICE" if self._threads == 1 else "AUTO"
        if stream.duration and stream.time_base:
            self.declared_ms = max(round(stream.duration * stream.time_base * 1000), 0)
        else:
            self.declared_ms = max((container.duration or 0) // 1000, 0)
        if self.declared_ms > self._limits.max_duration_s * 1000:
            raise self._too_long()
        self._container, self._stream, self._context = container, stream, context
        self._rate = float(stream.average_rate or _USUAL_FPS)

    def _with_alpha(
        self, stream: av.VideoStream, context: av.VideoCodecContext
    ) -> av.VideoCodecContext:
        """Return a decoder of the same codec that gives alpha, where the stream has some."""
        alpha = {name.lower(): value for name, value in stream.metadata.items()}.get("alpha_mode")
        if alpha is None or context.codec.name not in _WITH_ALPHA:
            return context
        self.incomplete |= alpha != "1"  # Browsers differ in whether they show it.
        try:
            reader = av.CodecContext.create(_WITH_ALPHA[context.codec.name], "r")
        except av.codec.codec.UnknownCodecError:
            self.incomplete = True
            return context
        return cast("av.VideoCodecContext", reader)

    def _readings(self, interval_ms: int) -> Iterator[Sample]:
        """Yield the frames as an edit list has them, then all, if it hides some."""
        yield from self._decoded(interval_ms)
        if not self._unedited or self._hidden_ms() <= _HIDDEN_MS:
            return
        declared_ms, start_ms = self.declared_ms, self.end_ms
        self._file.seek(0)
        try:
            with _refusing():
                self._open("mov", ignore_editlist="1")
            for sample in self._decoded(interval_ms, start_ms):
                if sample.time_ms > self._limits.max_duration_s * 1000:
                    self.incomplete = True
                    return
                yield sample
        except InvalidMediaError:
            self.incomplete = True
        finally:
            self.declared_ms = declared_ms

    def _hidden_ms(self) -> float:
        """Return how long the frames last that the edit list of an MP4 file hides."""
        if "mov" not in self._container.format.name:
            return 0
        shown = {entry.pos for entry in self._stream.index_entries if not entry.is_discard}
        return (self._stream.frames - len(shown)) * 1000 / max(self._rate, 1)

    def _decoded(self, interval_ms: int, start_ms: int = 0) -> Iterator[Sample]:
        """Yield all frames but those skipped, with steady times from ``start_ms`` on."""
        context, period_ms = self._context, 1000 / max(self._rate, 1)
        brief_ms = min(interval_ms / 4, _BRIEF_MS)
        times = _FrameTimes(period_ms)
        seen_ms: float | None = None
        errors = 0
        for packet, shown_ms in shown_for_ms((each, _time_ms(each)) for each in self._packets()):
            self.incomplete |= packet.is_corrupt
            with _refusing():
                # dav1d keeps to what it is told with its first packet, which is to skip nothing.
                is_due = seen_ms is None or (_time_ms(packet) or seen_ms) > seen_ms + _UNSEEN_MS
                is_brief = (period_ms if shown_ms is None else shown_ms) <= brief_ms
                context.skip_frame = "NONREF" if is_brief and not is_due else "DEFAULT"
                try:
                    frames = context.decode(packet)
                except av.error.FFmpegError as error:
                    if isinstance(error, MemoryError):
                        raise
                    self.incomplete, errors = True, errors + 1
                    if errors > _ERRORS_MAX:
                        break
                    continue
            for frame in frames:
                stated_ms = None if frame.pts is None else frame.time * 1000
                seen_ms = seen_ms if stated_ms is None else stated_ms
                time_ms = times.of_next(stated_ms)
                self.end_ms = start_ms + round(time_ms + period_ms)
                self.incomplete |= frame.is_corrupt
                self._check_size(frame.width, frame.height)
                yield Sample(start_ms + round(time_ms), partial(_luma, frame))

    def _packets(self) -> Iterator[av.Packet[av.VideoStream]]:
        with _refusing():
            try:
                yield from self._container.demux(self._stream)
            except av.error.FFmpegError:
                self.incomplete = True

    def _animation(self) -> Iterator[Sample]:
        """Yield the frames of an animation, as a lookup by picture sees them."""
        data = _read(self._file, pictures.DEFAULT_LIMITS.max_bytes + 1)
        for picture in pictures.decode_frames(data):
            yield Sample(self.end_ms, partial(luma_of_picture, picture))
            self.end_ms += picture.duration_ms

    def _check_size(self, width_px: int, height_px: int) -> None:
        if width_px * height_px > self._limits.max_pixels:
            raise refused(
                f"its frames have {width_px} x {height_px} pixels; at most"
                f" {self._limits.max_pixels / 1e6:.3g} megapixels are accepted: send a smaller"
                " version",
                cause="TOO_LARGE",
            )

    def _too_long(self) -> InvalidMediaError:
        minutes = self._limits.max_duration_s / 60
        return refused(
            f"it lasts longer than {minutes:g} minutes; send it in parts", cause="TOO_LARGE"
        )


class _FrameTimes:
    """Times of successive frames, in ms from the first one, that never go back."""

    def __init__(self, period_ms: float) -> None:
        self._period_ms = period_ms
        self._first_ms: float | None = None
        self._last_ms = 0.0

    def of_next(self, stated_ms: float | None) -> float:
        """Return the time of the next frame, of which its file states ``stated_ms`` or nothing.

        A time that is missing, or before the last one, is a period after that; stated times are
        counted from there on.
        """
        if self._first_ms is None:
            self._first_ms = stated_ms or 0.0
        elif stated_ms is None or stated_ms - self._first_ms < self._last_ms:
            self._last_ms += self._period_ms
            if stated_ms is not None:
                self._first_ms = stated_ms - self._last_ms
        else:
            self._last_ms = stated_ms - self._first_ms
        return self._last_ms


def _read(file: BinaryIO, size_bytes: int) -> bytes:
    """Read so many bytes, or to the end: a file that is still arriving returns fewer at a time."""
    data = bytearray()
    while len(data) < size_bytes and (part := file.read(size_bytes - len(data))):
        data += part
    return bytes(data)


def _time_ms(packet: av.Packet[av.VideoStream]) -> float | None:
    """Return the time in ms at which a packet is shown; None where its file states none."""
    time = packet.dts if packet.pts is None else packet.pts
    return None if time is None else float(time * packet.time_base * 1000)


def _luma(frame: av.VideoFrame) -> Luma:
    with _refusing():
        return luma_of_frame(frame)


def _is_cover(stream: av.VideoStream) -> bool:
    """Tell whether players show a stream as a cover; one of chapters may be the video itself."""
    kinds = av.stream.Disposition
    return bool(stream.disposition & kinds.attached_pic) and not (
        stream.disposition & kinds.timed_thumbnails
    )


def _sniffed(head: bytes) -> str:
    kind = video_format(head)
    if kind is None:
        raise refused(f"this is no video file; send one of {', '.join(FORMATS)}")
    if "av" not in globals():
        raise UnimplementedError(
            'Videos need the extra "video", which is not installed here.',
            cause=NO_VIDEO_DECODER,
        )
    return kind


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except DisruptError:
        raise
    except MemoryError as error:
        raise OverloadedError(
            "Not enough memory to decode this video now; try again.", retry_after_s=1
        ) from error
    except (av.error.FFmpegError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise refused(
            "this video is damaged, ends early, or is of a rare kind that is not supported",
            cause="DAMAGED",
        ) from error

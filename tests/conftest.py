"""Settings and fixtures for tests of several rooms; none depends on the machine's speed."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from benchmarks.harness.deployment import Deployment

# pytest rewrites the assertions of these modules too.
pytest.register_assert_rewrite(
    "tests.cli.shell",
    "tests.hashing.videos",
    *(f"tests.index.{name}" for name in ("conformance", "examples")),
    *(f"tests.registry.{name}" for name in ("conformance", "machine")),
)

settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# Shell scripts start background jobs with SIGINT ignored, and programs inherit that.
# Tests that interrupt a program need it to handle SIGINT.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SLOW = (
    *("benchmarks", "cli", "clients", "deploy", "fuzz", "packaging", "proofs", "test_demo.py"),
    "test_documents.py",
    *("test_readme.py", "test_site.py", "client/test_against_server.py"),
    *("feed/test_compaction.py", "feed/test_erasure.py", "feed/test_passing_errors.py"),
    *("feed/test_refusals.py", "hashing/test_formats.py", "hashing/test_heif.py"),
    "hashing/test_crops.py::test_a_crop_of_a_reduced_picture_hashes_as_the_cropped_picture",
    "hashing/test_animations.py::test_an_animation_is_looked_up_by_its_distinct_frames_and_registered_by_its_first",
    "hashing/test_images.py::test_copies_of_every_size_are_within_10_bits",
    "hashing/test_animations.py::test_every_distinct_frame_is_registered_with_its_interval_when_asked",
    "hashing/test_images.py::test_hashing_from_several_threads_gives_the_same_answers",
    "hashing/test_luma.py",
    "hashing/test_videos.py::test_a_frame_is_also_hashed_without_what_surrounds_the_video",
    "hashing/test_videos.py::test_a_picture_shown_for_seconds_is_hashed_whatever_the_average_rate",
    "hashing/test_videos.py::test_a_thousand_frames_a_second_are_sampled_as_others_are",
    "hashing/test_videos.py::test_animations_are_videos",
    "hashing/test_videos.py::test_bars_are_told_from_what_is_plain_in_the_video",
    "hashing/test_videos.py::test_what_a_still_camera_shows_is_found_in_a_recorded_screen",
    "index/test_multi_index.py::test_answers_are_exact_on_skewed_codes_numbered_beyond_16_bits",
    "indexer/test_indexer.py::test_what_cannot_be_printed_was_done_all_the_same",
    *("indexer/test_kill.py", "isolation/test_sandbox.py"),
    "isolation/test_pictures.py::test_a_picture_that_needs_too_much_time_ends_its_process_alone",
    "isolation/test_pictures.py::test_a_process_that_hangs_is_killed_in_time_and_replaced",
    "isolation/test_pictures.py::test_the_largest_picture_of_four_channels_is_hashed_within_the_default_limits",
    "isolation/test_pictures.py::test_whatever_keeps_a_picture_from_a_process_pictures_are_hashed_afterwards",
    "isolation/test_pictures.py::test_without_a_process_pictures_are_refused_at_once_and_it_is_told",
    "isolation/test_videos.py::test_a_long_video_ends_once_another_caller_waits",
    "isolation/test_videos.py::test_a_video_that_takes_too_much_time_is_refused_and_the_limit_named",
    "isolation/test_videos.py::test_an_animation_of_many_parts_is_hashed_whole",
    *("registry/test_erasure.py", "registry/test_processes.py", "registry/test_reconciliation.py"),
    "registry/test_migrations.py::test_wheel_brings_its_migrations_along",
    "server/admission/test_large_messages.py",
    "server/calls/test_cancellation.py",
    "server/calls/test_crowded_batches.py",
    "server/calls/test_errors.py",
    "server/calls/test_feed.py::test_a_page_of_the_largest_items_takes_memory_for_few_of_them",
    "server/calls/test_quota.py",
    "server/calls/test_videos.py",
    "server/processes/test_full_disk.py",
    "server/processes/test_hanging.py",
    "server/processes/test_history.py",
    "server/processes/test_housekeeping.py",
    "server/processes/test_processes.py",
    "server/processes/test_staleness.py",
    "server/test_supervision.py",
    "server/upkeep/test_ownership.py::test_the_server_does_not_start_as_another_user_than_the_owner",
    "server/upkeep/test_restore.py",
    "services/test_video_bounds.py",
    "services/test_throttle.py::test_under_a_flood_of_tokens_an_owner_waits_a_minute_at_most",
    "services/test_throttle.py::test_whose_number_is_guessed_on_by_5000_tokens_waits_half_an_hour_at_most",
    "submission/test_nothing_leaks.py",
)
"""Folders, files and tests that ``--quick`` leaves out, because they take long."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--quick`` and ``--proofs``."""
    parser.addoption("--quick", action="store_true", help="leave out what takes long")
    parser.addoption("--proofs", action="store_true", help="run tests/proofs whole, with figures")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of proofs that ran whole."""
    if not terminalreporter.config.getoption("--proofs"):
        return
    for report in terminalreporter.getreports("passed"):
        for name, line in report.user_properties:
            if name == "figures":
                proof = Path(report.location[0]).stem.removeprefix("test_")
                terminalreporter.write_line(f"{proof}: {line}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out _SLOW for ``--quick``."""
    if not config.getoption("--quick"):
        return
    slow = {str(Path(__file__).parent / name) for name in _SLOW}

    def is_slow(item: pytest.Item) -> bool:
        function = f"{item.path}::{item.name.partition('[')[0]}"
        return not slow.isdisjoint([function, *map(str, (item.path, *item.path.parents))])

    config.hook.pytest_deselected(items=[item for item in items if is_slow(item)])
    items[:] = [item for item in items if not is_slow(item)]


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run a server with one worker, for all tests that change nothing but cases of their own."""
    from benchmarks.harness.deployment import FEW_DECODERS, Deployment

    directory = tmp_path_factory.mktemp("deployment") / "data"
    server = Deployment.start(directory, workers=1, settings=FEW_DECODERS)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port

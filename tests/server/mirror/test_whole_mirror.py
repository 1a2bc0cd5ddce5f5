"""A mirror beside its hotline: it answers without it, passes outcomes on, and refuses the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from disrupt.data_directory import DataDirectory
from disrupt.registry import opening
from disrupt.v1 import feed_pb2, match_pb2, registration_pb2
from rig.callers.acts import found, match_id, registered, report
from rig.callers.caller import Caller, calling, distinctive, refusal
from rig.callers.shell import typed
from rig.ports import free_port
from rig.processes.metrics import counted
from rig.servers.deployment import FEW_DECODERS, Deployment
from rig.waiting import eventually


class Pair:
    """A hotline, and a mirror with its one platform."""

    def __init__(self, work: Path) -> None:
        self.work, self.listen = work, f"127.0.0.1:{free_port()}"
        self.hotline = self.start_hotline()
        self.helpline_key = self.hotline.make_key("helpline", "register")
        self.staff_key = self.hotline.make_key("staff", "review")
        key = work / "feed.key"
        key.write_text(self.hotline.make_key("mirror", "feed", banks=("adults",)))
        self.mirror = Deployment.start(
            *(work / "mirror", "--role", "mirror"),
            workers=1,
            settings=f'{FEW_DECODERS}hotline = "{self.listen}"\nhotline_key = "{key}"\n',
        )
        self.platform_key = self.mirror.make_key("platform", "match")

    def start_hotline(self) -> Deployment:
        """Start the hotline, for the first time or again."""
        settings = FEW_DECODERS
        return Deployment.start(
            self.work / "hotline", listen=self.listen, workers=1, settings=settings
        )

    def outcomes(self) -> list[object]:
        """Return what the hotline was told."""
        with opening.reading(DataDirectory(self.work / "hotline")) as registry:
            return [each.organisation for each in registry.disputes()]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"))
    yield made
    made.mirror.kill()
    made.hotline.kill()


@pytest.fixture
def platform(pair: Pair) -> Iterator[Caller]:
    with calling(pair.mirror.address, pair.platform_key) as caller:
        yield caller


@pytest.fixture
def helpline(pair: Pair) -> Iterator[Caller]:
    with calling(pair.hotline.address, pair.helpline_key) as caller:
        yield caller


def test_it_has_the_banks_of_its_key_alone(pair: Pair, platform: Caller, helpline: Caller) -> None:
    shown, hidden = distinctive(), distinctive()
    registered(helpline, hidden, minor=True)
    registered(helpline, shown)
    eventually(lambda: found(platform, shown))
    assert found(platform, hidden) == []
    refused = refusal(lambda: found(platform, shown, banks=["minors"]))
    assert refused.code == grpc.StatusCode.PERMISSION_DENIED
    del pair


def test_it_answers_while_the_hotline_is_away_and_keeps_outcomes_for_it(
    pair: Pair, platform: Caller, helpline: Caller
) -> None:
    value = distinctive()
    registered(helpline, value)
    token = match_id(platform, value)
    pair.hotline.kill()
    assert found(platform, value)
    report(platform, token, match_pb2.OUTCOME_FALSE_POSITIVE)
    metrics = pair.mirror.metrics_address()
    eventually(lambda: counted(metrics, "disrupt_mirror_outcomes_waiting") == 1)
    pair.hotline = pair.start_hotline()
    eventually(lambda: pair.outcomes() == ["mirror"])


@pytest.mark.parametrize(
    ("call", "request_type"),
    [
        ("ListChanges", feed_pb2.ListChangesRequest),
        ("GetCase", registration_pb2.GetCaseRequest),
    ],
)
def test_it_answers_lookups_alone(pair: Pair, call: str, request_type: Callable[[], Any]) -> None:
    keys = {"ListChanges": "feed", "GetCase": "register"}
    made = typed(
        *("keys", "create", "x", "--right", keys[call], "--data-dir", pair.mirror.data_dir)
    )
    assert made.code
    with calling(pair.mirror.address, pair.platform_key) as caller:
        refused = refusal(lambda: caller(call, request_type()))
    assert refused.code in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED}


def test_its_banks_are_the_hotlines(pair: Pair) -> None:
    for words in ("create", "mine"), ("set", "adults", "--max-distance", "8"):
        assert typed("banks", *words, "--data-dir", pair.mirror.data_dir).code


def test_staff_see_how_late_it_is(pair: Pair) -> None:
    def row() -> Any:
        words = ("review", "mirrors", "--json", "--server", pair.hotline.address)
        done = typed(*words, DISRUPT_KEY=pair.staff_key)
        return done.json if done.out else None

    eventually(lambda: (row() or {}).get("reported_at"))
    assert row()["organisation"] == "mirror"
    assert not row()["has_ended"]

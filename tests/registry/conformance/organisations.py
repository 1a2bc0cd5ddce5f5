"""What keeping quotas and certificates of organisations promises."""

import json
from dataclasses import replace

import pytest

from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.organisations import NO_LIMIT, Kind, Organisation
from disrupt.core.policy import ADULTS, ApiKey, Right
from disrupt.errors import NotFoundError
from disrupt.registry.contract import RegistryReader, RegistryWriter
from tests.registry.conformance.opened import Opened, OpenWriter
from tests.registry.examples import ACT, DAY

CHANGED = Act(OPERATOR, Action.ORGANISATION_CHANGED, 0)
KEY = ApiKey(
    "aa",
    "uploads",
    bytes(32),
    frozenset({Right.MATCH}),
    frozenset({ADULTS.number}),
    DAY,
    organisation="platform",
)
OWN = Organisation("platform", {Kind.HASHES: 0.5, Kind.VIDEO_MIB: NO_LIMIT}, "platform.example")


class OrganisationsConformance(Opened):
    """What is an organisation's own is kept, replaced as a whole, and recorded."""

    def test_what_an_organisation_has_of_its_own_is_kept_and_replaced(
        self, open_writer: OpenWriter
    ) -> None:
        other = replace(KEY, key_id="bb", organisation="another")
        with open_writer() as writer:
            assert writer.organisations() == ()
            for key in (KEY, other):
                writer.add_key(key, act=ACT)
            writer.set_organisation(OWN, act=CHANGED)
            writer.set_organisation(Organisation("another", {Kind.PICTURES: 3.0}), act=CHANGED)
        with open_writer() as writer:
            assert writer.organisations() == (Organisation("another", {Kind.PICTURES: 3.0}), OWN)
            less = Organisation("platform", certificate="cn")
            writer.set_organisation(less, act=CHANGED)
            writer.set_organisation(Organisation("another"), act=CHANGED)
            assert writer.organisations() == (less,)

    def test_an_organisation_that_has_no_key_is_refused(self, writer: RegistryWriter) -> None:
        writer.add_key(KEY, act=ACT)
        for name in ("Platform", "uploads"):
            with pytest.raises(NotFoundError):
                writer.set_organisation(replace(OWN, name=name), act=CHANGED)
        assert writer.organisations() == ()
        assert len(writer.acts(0, 9)) == 1

    def test_a_change_of_an_organisation_is_an_act_and_the_same_again_is_none(
        self, writer: RegistryWriter, reader: RegistryReader
    ) -> None:
        writer.add_key(KEY, act=ACT)
        for own in (OWN, OWN, Organisation("platform"), Organisation("platform")):
            writer.set_organisation(own, act=CHANGED)
        subjects = [json.loads(record.subject) for record in reader.acts(1, 9)]
        assert subjects == [
            {
                "organisation": "platform",
                "hashes_per_s": "0.5",
                "video_mib_per_s": "inf",
                "certificate": "platform.example",
            },
            {"organisation": "platform"},
        ]

    def test_a_key_that_is_given_another_organisation_is_an_act(
        self, writer: RegistryWriter, reader: RegistryReader
    ) -> None:
        writer.add_key(KEY, act=ACT)
        changed = Act(OPERATOR, Action.KEY_CHANGED, 0)
        for _ in range(2):
            key = writer.change_key("aa", organisation="other", act=changed)
            assert key == replace(KEY, organisation="other")
        (record,) = reader.acts(1, 9)
        assert json.loads(record.subject)["organisation"] == "other"

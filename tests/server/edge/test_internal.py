"""The writer's internal listener: who may call what there, and whose key id is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from disrupt.admin.v1 import admin_pb2
from disrupt.admin.v1.admin_pb2_grpc import AdminServiceStub
from disrupt.errors import ConfigurationError
from disrupt.server.config import Config
from disrupt.server.desk import open_desk
from disrupt.server.edge.interceptors import CALLER_KEY
from disrupt.v1 import feed_pb2, match_pb2, registration_pb2, review_pb2
from disrupt.v1.feed_pb2_grpc import FeedServiceStub
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub
from disrupt.v1.review_pb2_grpc import ReviewServiceStub
from rig.callers.caller import TIMEOUT_S, access, calling, distinctive, outcome, register
from rig.ports import free_port
from rig.processes.metrics import samples
from rig.servers.authority import Authority
from rig.servers.deployment import FEW_DECODERS, Deployment

_OK, _DENIED = grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED
_UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
_UNIMPLEMENTED, _UNAVAILABLE = grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE


@dataclass(frozen=True)
class Site:
    """A server that listens internally, on ``port``, and ids and secrets of its keys by right."""

    server: Deployment
    port: int
    authority: Authority
    keys: dict[str, tuple[str, str]]

    def call(self, name: str | None, stub: Any, method: str, request: Any, key: str = "") -> Any:
        """Make a call with the certificate of a machine, for a key."""
        metadata = ((CALLER_KEY, self.keys[key][0]),) if key else ()
        with self.authority.channel(self.port, name) as channel:
            return getattr(stub(channel), method)(request, metadata=metadata, timeout=TIMEOUT_S)

    def outcome(self, *call: Any) -> grpc.StatusCode:
        """Return the code with which a call ends."""
        return outcome(lambda: self.call(*call))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start a server with an internal listener, and machines of either role, and of a stranger."""
    directory = tmp_path_factory.mktemp("internal")
    authority = Authority(directory / "machines")
    authority.certify("here", "writer")
    authority.certify("node", "match")
    port = free_port()
    settings = FEW_DECODERS + authority.settings("here", f"127.0.0.1:{port}")
    with Deployment.start(directory / "data", workers=1, settings=settings) as server:
        rights = ("register", "review", "staff")
        secrets = {right: server.make_key(right, right) for right in rights}
        with open_desk(server.data_dir) as desk:
            ids = {key.name: key.key_id for key in desk.ListKeys(admin_pb2.ListKeysRequest()).keys}
        keys = {right: (ids[right], secret) for right, secret in secrets.items()}
        keys["unknown"] = ("a2345678", "")
        yield Site(server, port, authority, keys)


def test_a_match_machine_registers_and_reviews_for_keys_that_it_names(site: Site) -> None:
    sent = register(distinctive())
    registered = site.call("node", RegistrationServiceStub, "RegisterHashes", sent, "register")
    case = registered.receipt.case_number
    shown = registration_pb2.GetCaseRequest(access=access(case))
    assert site.outcome("node", RegistrationServiceStub, "GetCase", shown, "register") is _OK
    listed = review_pb2.ListItemsRequest(conditions=review_pb2.ItemConditions(banks=["adults"]))
    assert site.call("node", ReviewServiceStub, "ListItems", listed, "review").items
    noted = admin_pb2.NoteKeyUsesRequest()
    assert site.outcome("node", AdminServiceStub, "NoteKeyUses", noted) is _OK


_SENT = register(distinctive())
_ITEMS = review_pb2.ListItemsRequest(conditions=review_pb2.ItemConditions(banks=["adults"]))
_OUTCOME = admin_pb2.RecordOutcomeRequest()


@pytest.mark.parametrize(
    ("machine", "key", "stub", "method", "request_", "code"),
    [
        *(
            ("node", key, stub, method, request, _UNAUTHENTICATED)
            for key in ("", "unknown")
            for stub, method, request in (
                (RegistrationServiceStub, "RegisterHashes", _SENT),
                (ReviewServiceStub, "ListItems", _ITEMS),
                (AdminServiceStub, "RecordOutcome", _OUTCOME),
            )
        ),
        ("node", "review", RegistrationServiceStub, "RegisterHashes", _SENT, _DENIED),
        ("node", "register", ReviewServiceStub, "ListItems", _ITEMS, _DENIED),
        ("node", "register", AdminServiceStub, "RecordOutcome", _OUTCOME, _DENIED),
        ("here", "register", RegistrationServiceStub, "RegisterHashes", _SENT, _DENIED),
        ("here", "review", ReviewServiceStub, "ListItems", _ITEMS, _DENIED),
        *(
            ("node", "review", stub, method, request, _UNIMPLEMENTED)
            for stub, method, request in (
                (AdminServiceStub, "CreateKey", admin_pb2.CreateKeyRequest()),
                (AdminServiceStub, "ListKeys", admin_pb2.ListKeysRequest()),
                (AdminServiceStub, "SetBank", admin_pb2.SetBankRequest()),
                (AdminServiceStub, "Checkpoint", admin_pb2.CheckpointRequest()),
                (MatchServiceStub, "MatchHashes", match_pb2.MatchHashesRequest()),
                (FeedServiceStub, "ListChanges", feed_pb2.ListChangesRequest()),
            )
        ),
    ],
)
def test_what_a_machine_may_not_ask_for_a_key_is_refused(
    site: Site,
    machine: str,
    key: str,
    stub: Any,
    method: str,
    request_: Any,
    code: grpc.StatusCode,
) -> None:
    assert site.outcome(machine, stub, method, request_, key) is code


def test_a_key_that_was_just_made_is_known(site: Site) -> None:
    sent = register(distinctive())
    site.call("node", RegistrationServiceStub, "RegisterHashes", sent, "register")
    site.server.make_key("new", "register")
    with open_desk(site.server.data_dir) as desk:
        site.keys["new"] = next(
            (key.key_id, "")
            for key in desk.ListKeys(admin_pb2.ListKeysRequest()).keys
            if key.name == "new"
        )
    site.call("node", RegistrationServiceStub, "RegisterHashes", register(distinctive()), "new")


def test_a_key_of_staff_registers_what_was_hashed_and_withdraws_nothing(site: Site) -> None:
    sent = register(distinctive())
    registered = site.call("node", RegistrationServiceStub, "RegisterHashes", sent, "staff")
    case = access(registered.receipt.case_number)
    shown = registration_pb2.GetCaseRequest(access=case)
    assert site.outcome("node", RegistrationServiceStub, "GetCase", shown, "staff") is _OK
    gone = registration_pb2.WithdrawCaseRequest(access=case)
    assert site.outcome("node", RegistrationServiceStub, "WithdrawCase", gone, "staff") is _DENIED


def test_a_machine_without_a_certificate_of_this_authority_does_not_connect(site: Site) -> None:
    listed = review_pb2.ListItemsRequest(conditions=review_pb2.ItemConditions(banks=["adults"]))
    assert site.outcome(None, ReviewServiceStub, "ListItems", listed, "review") is _UNAVAILABLE
    stranger = Authority(site.authority.directory.with_name("strangers"))
    stranger.certify("node", "match")
    ca = (site.authority.directory / "ca.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(ca, stranger.read("node-key"), stranger.read("node"))
    options = [("grpc.ssl_target_name_override", "writer")]
    with grpc.secure_channel(f"127.0.0.1:{site.port}", credentials, options) as channel:
        call: Callable[..., Any] = ReviewServiceStub(channel).ListItems
        assert outcome(lambda: call(listed, timeout=TIMEOUT_S)) is _UNAVAILABLE


def test_a_key_id_that_a_public_caller_names_is_ignored(site: Site) -> None:
    named = ((CALLER_KEY, site.keys["review"][0]),)
    listed = review_pb2.ListItemsRequest(conditions=review_pb2.ItemConditions(banks=["adults"]))
    with calling(site.server.address, None) as caller:
        call: Callable[..., Any] = ReviewServiceStub(caller.channel).ListItems
        own = ("authorization", f"Bearer {site.keys['register'][1]}")
        assert outcome(lambda: call(listed, metadata=named)) is _UNAUTHENTICATED
        assert outcome(lambda: call(listed, metadata=(*named, own))) is _DENIED


def test_metrics_say_until_when_its_certificate_is_valid(site: Site) -> None:
    name = "disrupt_certificate_expiry_timestamp_seconds"
    assert samples(site.server.metrics_address(), name, process="writer")


def test_its_settings_belong_together() -> None:
    for setting in ("internal_listen", "internal_cert", "internal_key", "internal_ca"):
        with pytest.raises(ConfigurationError, match="belong together"):
            Config.load(None, data_dir="data", **{setting: "127.0.0.1:1"})

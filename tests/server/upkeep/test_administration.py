"""While a server runs, its writer manages the keys, and the commands ask it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result
from grpc import aio

from disrupt.admin.v1 import admin_pb2, admin_pb2_grpc
from disrupt.cli import main
from disrupt.core.acts import OPERATOR, Action
from disrupt.core.media import ItemState
from disrupt.core.policy import ApiKey, Right
from disrupt.data_directory import DataDirectory
from disrupt.errors import InvalidRequestError
from disrupt.registry.sql import SqlRegistry
from disrupt.server.admission.limits import MessageLimits
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.receiving import Receiver
from disrupt.server.calls.administration import AdminServicer
from disrupt.server.calls.interceptors import Errors
from disrupt.server.config import Config
from disrupt.server.days import today
from disrupt.server.upkeep.administration import InRegistry, administration
from disrupt.services.keys import KeyRing
from tests.registry.examples import ACT, new_item, registration

_T = TypeVar("_T")

DAY, LATER = "2026-01-01", "9999-12-31"


async def beside_a_writer(data_dir: Path, function: Callable[[], _T]) -> _T:
    """Run a function in a thread, while the calls of AdminService are answered."""
    directory = DataDirectory(data_dir)
    with directory.locked(), SqlRegistry.open_writer(directory.registry) as registry:
        config = Config(data_dir=data_dir)
        receiver = Receiver(MessageLimits.of(config), {})
        server = aio.server(
            interceptors=[Errors(receiver, config.max_call_s, config.max_video_call_s)]
        )
        servicer = AdminServicer(InRegistry(registry), Pool("writer", threads=1, queued=1))
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


def test_banks_are_made_listed_and_changed_by_the_writer_that_runs(tmp_path: Path) -> None:
    def banks(*words: str) -> Any:
        done = CliRunner().invoke(main, ["banks", *words, "--json", "--data-dir", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def manage() -> None:
        made = banks("create", "partners", "--waiting", "--distance", "0", "--visible-to", "chat")
        assert made.pop("unknown_organisations") == ["chat"]
        assert (made["waiting"], made["max_distance_bits"]) == (True, 0)
        assert (made["visible_to"], made["share_percent"]) == (["chat"], 100)
        changed = banks("set", "partners", "--live", "--share", "1", "--visible-to-all")
        assert changed.pop("unknown_organisations") == []
        assert changed == made | {"waiting": False, "share_percent": 1, "visible_to": []}
        listed = banks("list")["banks"]
        assert [bank["name"] for bank in listed] == ["adults", "minors", "partners"]
        assert listed[-1] == changed

    asyncio.run(beside_a_writer(tmp_path, manage))
    with SqlRegistry.open_writer(DataDirectory(tmp_path).registry) as registry:
        actions = [(record.actor, record.action) for record in registry.acts(0, 9)]
    assert actions == [(OPERATOR, Action.BANK_CREATED), (OPERATOR, Action.BANK_CHANGED)]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("create", "adults"), 1, "there is a bank 'adults'"),
        (("create", "test"), 1, "taken by the test bank"),
        (("create", "Partners"), 1, "lower-case"),
        (("create", "x" * 41), 1, "Error: Invalid value for 'NAME': 'xxxx"),
        (("create", "partners", "--visible-to", " "), 0, "Warning"),
        (("create", "partners", "--visible-to", "x" * 101), 1, "'--visible-to': give 1-100"),
        (("create", "partners", "--distance", "32"), 2, "0<=x<=31"),
        (("set", "adults", "--share", "0"), 2, "1<=x<=100"),
        (("set", "adults", "--share", "101"), 2, "1<=x<=100"),
        (("set", "nobody", "--live"), 1, "There is no bank 'nobody'"),
        (("set", "test", "--live"), 1, "no command changes"),
        (("set", "adults"), 2, "Name what to change"),
        (("set", "adults", "--visible-to", "a", "--visible-to-all"), 2, "not both"),
        (("set", "adults", "--waiting", "--live"), 2, "Give --waiting or --live, not both."),
    ],
)
def test_what_no_bank_may_be_is_refused_in_words(
    tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = CliRunner().invoke(main, ["banks", *words, "--data-dir", str(tmp_path)])
    assert done.exit_code == code, done.output
    assert said in done.output


@pytest.mark.parametrize(
    ("policy", "field"),
    [({"max_distance_bits": 32}, "max_distance_bits"), ({"share_percent": 0}, "share_percent")],
)
def test_a_policy_out_of_range_is_refused_whoever_sends_it(
    tmp_path: Path, policy: dict[str, Any], field: str
) -> None:
    with administration(tmp_path) as admin:
        request = admin_pb2.SetBankRequest(name="adults", policy=admin_pb2.BankPolicy(**policy))
        with pytest.raises(InvalidRequestError, match=field):
            admin.change_bank(request)


def test_keys_are_changed_and_rotated_by_the_writer_that_runs(tmp_path: Path) -> None:
    def keys(*words: str) -> Any:
        done = CliRunner().invoke(main, ["keys", *words, "--json", "--data-dir", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def manage() -> None:
        words = ("--right", "match", "--organisation", "platform", "--expires-on", LATER)
        made = keys("create", "uploads", *words)
        secret = made.pop("secret")
        assert (made["organisation"], made["expires_on"]) == ("platform", LATER)
        changed = keys("set", made["key_id"], "--right", "review", "--bank", "minors")
        assert changed == made | {"rights": ["review"], "banks": ["minors"]}
        endless = keys("set", made["key_id"], "--expires-on", "never")
        assert endless == changed | {"expires_on": ""}
        moved = keys("set", made["key_id"], "--organisation", "other")
        assert moved == endless | {"organisation": "other"}
        assert keys("set", made["key_id"], "--organisation", "platform") == endless
        rotated = keys("rotate", made["key_id"], "--overlap-days", "0", "--expires-on", LATER)
        old = rotated.pop("replaced")
        assert old == endless | {"expires_on": today()}
        assert rotated.pop("secret") != secret
        assert rotated == endless | {"key_id": rotated["key_id"], "expires_on": LATER}
        assert keys("list")["keys"] == [old, rotated]

    asyncio.run(beside_a_writer(tmp_path, manage))


def test_keys_are_listed_with_state_last_use_and_organisation(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.secrets()
    key = ApiKey(
        "", "name", b"", frozenset([Right.MATCH]), frozenset([1, 2]), DAY, organisation="platform"
    )
    with SqlRegistry.open_writer(directory.registry) as registry:
        for listed in (
            replace(key, key_id="00000000"),
            replace(key, key_id="11111111", expires_on=LATER),
            replace(key, key_id="22222222", expires_on=DAY, used_on=DAY),
            replace(key, key_id="33333333", expires_on=LATER, revoked_on=DAY),
        ):
            registry.add_key(listed, act=ACT)
    done = CliRunner().invoke(main, ["keys", "list", "--data-dir", str(tmp_path)])
    assert done.output.splitlines() == [
        "key       state               used        rights  banks          organisation  name",
        "00000000  valid               never       match   adults,minors  platform      name",
        "11111111  until 9999-12-31    never       match   adults,minors  platform      name",
        "22222222  expired 2026-01-01  2026-01-01  match   adults,minors  platform      name",
        "33333333  revoked 2026-01-01  never       match   adults,minors  platform      name",
    ]


def test_a_rotation_says_until_when_the_old_key_works_and_hands_the_secret_to_the_file(
    tmp_path: Path,
) -> None:
    def run(*words: str | Path) -> str:
        done = CliRunner().invoke(main, ["keys", *map(str, words), "--data-dir", str(data_dir)])
        assert done.exit_code == 0, done.output
        return done.output

    data_dir, file = tmp_path / "data", tmp_path / "new.key"
    data_dir.mkdir()
    made = json.loads(run("create", "platform", "--right", "match", "--json"))
    last = ("--expires-on", LATER)
    said = run("rotate", made["key_id"], "--overlap-days", "0", *last, "--secret-file", file)
    (_, new) = json.loads(run("list", "--json"))["keys"]
    assert said.splitlines() == [
        (
            f"Made the key {new['key_id']} for platform, of the organisation platform."
            f" It is valid up to and including {LATER}."
        ),
        f"The last day of the key {made['key_id']}, which it replaces, is {today()}.",
        f"Its secret is in {file}.",
    ]
    secret = file.read_text().strip()
    with SqlRegistry.open_reader(DataDirectory(data_dir).registry) as registry:
        ring = KeyRing(registry.keys(), registry.banks(), day=LATER)
        assert ring.authenticate(secret).key_id == new["key_id"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("set", "KEY"), 2, "--bank, --expires-on or --organisation."),
        (("set", "KEY", "--expires-on", DAY), 1, f"'--expires-on': {DAY} is past, today is"),
        (("set", "KEY", "--expires-on", "soon"), 1, "'--expires-on': 'soon' is no day"),
        (("set", "KEY", "--expires-on", ""), 2, "'--expires-on': it is empty: write a day"),
        (("rotate", "KEY", "--expires-on", ""), 2, "'--expires-on': it is empty: write a day"),
        (("create", "x", "--right", "match", "--expires-on", " "), 2, "it is empty: write a day"),
        (("create", "x", "--right", "match", "--expires-on", DAY), 1, "(UTC): give a later day"),
        (("set", "KEY", "--organisation", ""), 2, "'--organisation': it is empty: write the name"),
        (("set", "KEY", "--organisation", "a\nb"), 1, "'--organisation': give 1-100 printable"),
        (("set", "KEY", "--bank", "x"), 1, "'--bank': no bank is named 'x'; there are: adults, m"),
        (("set", "ffffffff1", "--right", "match"), 1, "There is no key of this id."),
        (("rotate", "KEY", "--overlap-days", "367"), 2, "367 is not in the range 0<=x<=366"),
        (("rotate", "KEY", "--expires-on", DAY), 1, f"'--expires-on': {DAY} is past, today is"),
        (("rotate", "REVOKED"), 1, "'KEY_ID': this key was revoked, for good"),
        (
            ("set", "REVOKED", "--expires-on", "never"),
            1,
            "'KEY_ID': this key was revoked, for good",
        ),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_in_words_and_changes_nothing(
    tmp_path: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    def keys(*words: str) -> Result:
        return CliRunner().invoke(main, ["keys", *words, "--data-dir", str(tmp_path)])

    ids = {
        name: json.loads(keys("create", "p", "--right", "match", "--json").stdout)["key_id"]
        for name in ("KEY", "REVOKED")
    }
    keys("revoke", ids["REVOKED"])
    before = keys("list", "--json").stdout
    done = keys(*(ids.get(word, word) for word in words))
    assert done.exit_code == code
    assert message in done.output
    assert keys("list", "--json").stdout == before


def items(data_dir: Path, *words: str) -> Any:
    done = CliRunner().invoke(main, ["items", *words, "--json", "--data-dir", str(data_dir)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["items"]


@pytest.mark.parametrize("runs", [True, False])
def test_items_are_switched_off_and_on_with_a_writer_that_runs_or_without(
    tmp_path: Path, *, runs: bool
) -> None:
    first, second = (item.hex() for item in registered(tmp_path, 2))
    off = {"item_id": first, "bank": "adults", "state": "disabled", "changed_on": today()}
    on = off | {"state": "live"}
    untouched = {"item_id": second, "bank": "adults", "state": "live", "changed_on": ""}

    def switch() -> None:
        for _ in range(2):
            assert items(tmp_path, "disable", first.upper()) == [off]
        assert items(tmp_path, "show", second, first) == [off, untouched]
        for _ in range(2):
            assert items(tmp_path, "enable", first, first) == [on]

    if runs:
        asyncio.run(beside_a_writer(tmp_path, switch))
    else:
        switch()


def test_what_operators_do_is_written_to_the_log_of_acts(tmp_path: Path) -> None:
    DataDirectory(tmp_path).secrets()
    path = tmp_path / "registry.db"
    request = registration(random.Random(1))
    with SqlRegistry.open_writer(path) as registry:
        registry.register(request, day=DAY)
    began_s = int(time.time())

    def disrupt(*words: str) -> Any:
        done = CliRunner().invoke(main, [*words, "--json", "--data-dir", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    made = disrupt("keys", "create", "platform", "--right", "match")["key_id"]
    disrupt("keys", "set", made, "--right", "feed")
    disrupt("keys", "rotate", made, "--overlap-days", "0")
    item_id = request.items[0].item_id.hex()
    for command in ("disable", "disable", "enable"):
        disrupt("items", command, item_id)
    disrupt("keys", "revoke", made)
    with SqlRegistry.open_reader(path) as reader:
        acts = reader.acts(0, 100)
    assert [Action(act.action) for act in acts] == [
        Action.KEY_CREATED,
        Action.KEY_CHANGED,
        Action.KEY_ROTATED,
        Action.ITEMS_DISABLED,
        Action.ITEMS_ENABLED,
        Action.KEY_REVOKED,
    ]
    assert {act.actor for act in acts} == {OPERATOR}
    assert all(began_s <= act.at_s <= time.time() for act in acts)
    assert "platform" not in "".join(act.subject for act in acts)


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize("act", ["disable", "enable", "show"])
def test_an_unknown_item_is_named_and_none_is_changed(
    tmp_path: Path, act: str, *, runs: bool
) -> None:
    (known,) = registered(tmp_path, 1)
    unknown = "00112233445566778899aabbccddeeff"

    def refused() -> None:
        words = ["items", act, known.hex(), unknown, "--data-dir", str(tmp_path)]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 1
        assert done.output.startswith(f"Error: There is no item {unknown}")
        assert ("None was changed" in done.output) == (act != "show")
        assert [item["changed_on"] for item in items(tmp_path, "show", known.hex())] == [""]

    if runs:
        asyncio.run(beside_a_writer(tmp_path, refused))
    else:
        refused()


def test_a_change_that_the_writer_did_not_live_to_answer_is_told_as_such(tmp_path: Path) -> None:
    class Ending(admin_pb2_grpc.AdminServiceServicer):
        server: aio.Server

        async def CreateKey(self, _request: Any, _context: Any) -> Any:  # noqa: N802 gRPC's name
            await self.server.stop(None)

    async def ending_writer() -> Result:
        directory = DataDirectory(tmp_path)
        with directory.locked():
            servicer, server = Ending(), aio.server()  # type: ignore[abstract]
            servicer.server = server
            admin_pb2_grpc.add_AdminServiceServicer_to_server(servicer, server)
            server.add_insecure_port(directory.socket_address)
            await server.start()
            words = ["keys", "create", "x", "--right", "match", "--data-dir", str(tmp_path)]
            return await asyncio.to_thread(CliRunner().invoke, main, words)

    done = asyncio.run(ending_writer())
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith(
        "Error: The writer ended before it answered, so that a change may have been made, or not."
    )


@pytest.mark.parametrize("word", ["", "0011", "zz" * 16, "00" * 17, "é" * 32])
def test_what_is_no_id_of_an_item_is_wrong_usage(tmp_path: Path, word: str) -> None:
    done = CliRunner().invoke(main, ["items", "disable", word, "--data-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "32 hexadecimal digits" in done.output


@pytest.mark.parametrize(
    ("item_ids", "state", "field"),
    [
        ([], ItemState.LIVE, "item_ids"),
        ([bytes(16)] * 1001, ItemState.LIVE, "item_ids"),
        ([bytes(15)], ItemState.LIVE, "item_ids"),
        ([bytes(16)], 0, "state"),
        ([bytes(16)], 4, "state"),
    ],
)
def test_a_malformed_request_for_states_is_refused(
    tmp_path: Path, item_ids: list[bytes], state: int, field: str
) -> None:
    with SqlRegistry.open_writer(tmp_path / "registry.db") as registry:
        admin = InRegistry(registry)
        message: Any = admin_pb2.SetItemStatesRequest(item_ids=item_ids, state=state)  # type: ignore[arg-type]
        with pytest.raises(InvalidRequestError) as error:
            admin.set_states(message)
        assert [violation.field for violation in error.value.violations] == [field]


def registered(data_dir: Path, count: int) -> list[bytes]:
    """Register so many items in a new data directory; return their ids."""
    chance = random.Random(1)
    with administration(data_dir) as admin:
        assert isinstance(admin, InRegistry)
        added = [new_item(chance) for _ in range(count)]
        admin.registry.register(registration(chance, None, *added), day="2026-01-01")
    return [item.item_id for item in added]


@pytest.mark.parametrize(
    "words",
    [
        ("revoke", "\udcff"),
        ("create", "a\udcff", "--right", "match"),
        ("create", "a", "--right", "match", "--bank", "\udcff"),
        ("create", "a", "--right", "match", "--organisation", "\udcff"),
        ("set", "0a1b2c3d", "--expires-on", "\udcff"),
        ("rotate", "\udcff"),
    ],
)
def test_what_is_not_utf8_is_refused_in_a_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, ["keys", *words, "--data-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert done.output.endswith(": not UTF-8\n")


@pytest.mark.parametrize("runs", [True, False])
def test_quotas_and_certificates_are_set_and_listed_with_a_writer_that_runs_or_without(
    tmp_path: Path, *, runs: bool
) -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(main, [*words, "--data-dir", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.stdout

    def manage() -> None:
        for name, organisation in (("uploads", "platform"), ("stock", "platform"), ("other", "")):
            words = ("--right", "match", "--expires-on", "never", "--organisation", organisation)
            run("keys", "create", name, *words)
        given = ("--hashes-per-s", "0.5", "--pictures-per-s", "Unlimited")
        run("organisations", "set", "platform", *given, "--certificate", "cn")
        said = run("organisations", "set", "platform", "--hashes-per-s", "default")
        assert said == (
            "Changed platform: hashes_per_s default; pictures_per_s unlimited; video_mib_per_s"
            " default; certificate cn.\n"
        )
        run("organisations", "set", "other", "--video-mib-per-s", "3", "--certificate", "any")
        assert run("organisations", "list").splitlines() == [
            "organisation  hashes_per_s  pictures_per_s  video_mib_per_s  certificate",
            "platform      default       unlimited       default          cn",
            "other         default       default         3.0              any",
        ]
        rows = json.loads(run("organisations", "list", "--json"))["organisations"]
        assert rows[1] == {
            "name": "other",
            "hashes_per_s": "default",
            "pictures_per_s": "default",
            "video_mib_per_s": 3.0,
            "certificate": "",
        }

    DataDirectory(tmp_path).secrets()
    asyncio.run(beside_a_writer(tmp_path, manage)) if runs else manage()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("platform",), 2, "Name what to change"),
        (("platform", "--hashes-per-s", "0"), 2, "'0' is no number above 0, unlimited or default"),
        (("platform", "--hashes-per-s", "nan"), 2, "'nan' is no number above 0"),
        (("platform", "--pictures-per-s", "inf"), 2, "'inf' is no number above 0"),
        (("platform", "--certificate", " "), 2, "it is empty: write a name, or any"),
        (("platform", "--certificate", "a\nb"), 1, "'--certificate': give 1-100 printable"),
        (("uploads", "--hashes-per-s", "1"), 1, "No key belongs to an organisation 'uploads'"),
    ],
)
def test_a_quota_that_makes_no_sense_is_refused_and_changes_nothing(
    tmp_path: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    def run(*words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--data-dir", str(tmp_path)])

    run("keys", "create", "uploads", "--right", "match", "--organisation", "platform")
    done = run("organisations", "set", *words)
    assert done.exit_code == code
    assert message in done.output
    (row,) = json.loads(run("organisations", "list", "--json").stdout)["organisations"]
    assert (row["hashes_per_s"], row["certificate"]) == ("default", "")

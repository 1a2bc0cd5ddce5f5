"""The calls of the desk's page: what staff can do by them, and what comes too late."""

from __future__ import annotations

from pathlib import Path

import pytest

from disrupt.client.retries import RetryPolicy
from disrupt.client.review import ReviewClient
from disrupt.core.policy import Right
from disrupt.desk.calls import CALLS, PAGE
from disrupt.server.desk import open_desk
from disrupt.wire import admin as wire
from rig.callers.passkeys import Authenticator
from rig.servers.deployment import Deployment
from rig.servers.desk import ORIGIN, Browser, Running, running
from rig.waiting import eventually
from tests.desk.staff import People, named, rows, signed_in, tags, told

CHANGED = (400, "ITEMS_CHANGED")


@pytest.mark.parametrize("call", CALLS)
def test_no_call_is_answered_without_a_session_its_token_and_its_origin(
    desk: Running, analyst: Browser, call: str
) -> None:
    path = f"/api/{call}"
    assert told(Browser(desk).ask(path)) == (401, "SIGNED_OUT")
    for changed in ({"Origin": "https://evil.example"}, {"X_Desk_Token": "x"}):
        assert told(analyst.ask(path, **changed)) == (403, "FOREIGN_REQUEST")
    assert Browser(desk, analyst.cookies).ask(path, method="GET").status == 404


ASKED = {
    "item": {"name": "00" * 16},
    "set_states": {"items": {"00" * 16: ""}, "state": "enabled"},
    "set_all": {"state": "enabled", "expected": 1, "conditions": {"case": "00" * 8}},
    "undo": {"act": 1},
    "move": {"items": {"00" * 16: ""}, "bank": "minors"},
    "confirm": {"items": {"00" * 16: ""}},
    "settle": {"items": {"00" * 16: ""}, "settlement": "widened"},
    "remove_common": {"items": {"00" * 16: ""}},
    "erase": {"case": "ABCD-EFGH-JKM"},
    "tally": {"tally": "cases_opened", "first_day": "2026-01-01", "last_day": "2026-01-31"},
}
"""What the server is asked for: a key decides before what is named is looked for."""


def test_every_call_is_refused_to_a_key_that_was_revoked(
    deployment: Deployment, desk: Running
) -> None:
    with open_desk(deployment.data_dir) as operators:
        made = operators.CreateKey(wire.create_request("leaver", (Right.REVIEW,), ()))
        signed = {call: signed_in(desk, made.secret) for call in CALLS}
        operators.RevokeKey(wire.revoke_request(made.key.key_id))
    for call, browser in signed.items():
        path, asked = f"/api/{call}", ASKED.get(call, {})
        eventually(lambda: browser.ask(path, asked).status == 401)
        assert told(browser.ask(path, asked)) == (401, "SIGNED_OUT")


def test_a_key_of_one_bank_sees_and_changes_that_alone(
    deployment: Deployment, desk: Running, analyst: Browser, people: People
) -> None:
    (write,) = people.register()
    row = tags(analyst, write)
    of_minors = signed_in(desk, deployment.make_key("of minors", "review", banks=("minors",)))
    assert told(of_minors.ask("/api/item", {"name": row["item"]})) == (404, "NOT_FOUND")
    assert row["item"] not in named(rows(of_minors))
    assert told(of_minors.ask("/api/items", {"conditions": {"banks": ["adults"]}}))[0] == 403
    asked = {"items": named([row]), "state": "disabled"}
    assert told(of_minors.ask("/api/set_states", asked)) == CHANGED
    by_case = {"conditions": {"case": row["case"]}}
    assert of_minors.ask("/api/preview", by_case).json["items"] == 0
    case = write.receipt.case_number if write.receipt else ""
    assert told(of_minors.ask("/api/erase", {"case": case})) == (404, "NOT_FOUND")
    service = of_minors.ask("/api/service").json
    assert (service["own_key"]["name"], service["keys"], service["banks"]) == ("of minors", [], [])
    days = {"first_day": "2026-01-01", "last_day": "2026-01-31"}
    assert told(of_minors.ask("/api/tally", {"tally": "outcomes", **days})) == (
        403,
        "RIGHT_MISSING",
    )
    assert tags(analyst, write)["state"] == "live"


def test_two_of_staff_decide_on_one_item_and_the_second_is_told(
    deployment: Deployment, desk: Running, analyst: Browser, people: People
) -> None:
    other = signed_in(desk, deployment.make_key("second analyst", "review"))
    row = tags(analyst, people.register()[0])
    asked = {"items": named([row]), "reason": "spam"}
    assert told(analyst.ask("/api/set_states", {**asked, "state": "rejected"})) == (200, "")
    for path, more in (
        ("/api/set_states", {"state": "enabled"}),
        ("/api/move", {"bank": "minors"}),
        ("/api/confirm", {}),
        ("/api/settle", {"settlement": "widened"}),
    ):
        assert told(other.ask(path, {**asked, **more})) == CHANGED
        assert told(analyst.ask(path, {**asked, **more})) == CHANGED
    (now,) = [each for each in rows(analyst, case=row["case"]) if each["item"] == row["item"]]
    assert (now["state"], now["bank"], now["assurance"]) == ("rejected", "adults", "self_reported")
    (act,) = [act for act in analyst.ask("/api/acts").json["rows"] if act["item"] == row["item"]]
    assert (act["action"], act["reason"]) == ("reject", "spam")


def test_a_flood_is_seen_hidden_as_one_act_and_undone(analyst: Browser, people: People) -> None:
    (write,) = people.register(items=7)
    case = tags(analyst, write)["case"]
    floods = analyst.ask("/api/floods").json["rows"]
    assert {"by": "case", "tag": case, "items": 7, "hashes": 14} in floods
    by_case = {"conditions": {"case": case}}
    assert analyst.ask("/api/preview", by_case).json["items"] == 7
    asked = {**by_case, "state": "rejected", "reason": "flood"}
    assert told(analyst.ask("/api/set_all", {**asked, "expected": 6})) == CHANGED
    done = analyst.ask("/api/set_all", {**asked, "expected": 7}).json
    assert done["items"] == 7
    assert {row["state"] for row in rows(analyst, case=case)} == {"rejected"}
    assert analyst.ask("/api/undo", {"act": done["act"]}).json["items"] == 7
    assert analyst.ask("/api/undo", {"act": done["act"]}).json["items"] == 0
    assert {row["state"] for row in rows(analyst, case=case)} == {"live"}

    chosen = rows(analyst, case=case)[:3]
    asked = {"items": named(chosen), "state": "disabled"}
    done = analyst.ask("/api/set_states", asked).json
    assert done["items"] == 3
    assert told(analyst.ask("/api/set_states", asked)) == CHANGED
    assert analyst.ask("/api/undo", {"act": done["act"]}).json["items"] == 3
    everything = {"conditions": {"banks": ["adults"]}, "state": "rejected", "expected": 7}
    assert told(analyst.ask("/api/set_all", everything)) == (400, "INVALID_REQUEST")


def test_a_dispute_is_shown_and_settled_as_the_page_saw_it(
    analyst: Browser, people: People
) -> None:
    (write,) = people.register()
    people.dispute(write)
    row = tags(analyst, write)
    assert row["disputes"]["needs_staff"] == ["within_floor"]
    assert row["item"] in named(rows(analyst, needs_staff=True))
    (first, _) = row["reports"]
    assert (first["outcome"], first["versions"][0]["shows"]) == ("false_positive", "le tout")
    people.dispute(write)
    asked = {"items": named([row]), "settlement": "widened"}
    assert told(analyst.ask("/api/settle", asked)) == CHANGED
    asked["items"] = named([tags(analyst, write)])
    assert analyst.ask("/api/settle", asked).json == {"items": 1}
    assert row["item"] not in named(rows(analyst, disputed=True))


def test_a_lost_pin_takes_two_people(
    deployment: Deployment, desk: Running, analyst: Browser, people: People
) -> None:
    (write,) = people.register()
    case = {"case": write.receipt.case_number if write.receipt else ""}
    asked = analyst.ask("/api/erase", case).json
    assert asked["erased_on"] is None
    # The same person again, in another session.
    assert analyst.ask("/api/erase", case).json["erased_on"] is None
    other = signed_in(desk, deployment.make_key("second of two", "review"))
    waiting = {row["case"]: row for row in other.ask("/api/erasures").json["rows"]}
    assert waiting[asked["case"]]["items"] == 1
    assert other.ask("/api/erase", case).json["erased_on"]
    assert tags(analyst, write)["state"] == "live"


def test_a_wrong_bank_is_put_right_and_an_item_confirmed(analyst: Browser, people: People) -> None:
    (write,) = people.register()
    moved = {"items": named([tags(analyst, write)]), "bank": "minors"}
    assert told(analyst.ask("/api/move", {**moved, "bank": "test"})) == (400, "INVALID_REQUEST")
    assert analyst.ask("/api/move", moved).json == {"items": 1}
    assert analyst.ask("/api/confirm", {"items": named([tags(analyst, write)])}).status == 200
    row = tags(analyst, write)
    assert (row["bank"], row["assurance"]) == ("minors", "reviewed")


def test_lists_come_in_pages_that_lead_on(analyst: Browser, people: People) -> None:
    writes = people.register(cases=3, items=50)
    seen, page = set[str](), 0
    while True:
        answer = analyst.ask("/api/items", {"page": page}).json
        assert len(answer["rows"]) <= PAGE
        assert not seen & named(answer["rows"]).keys()
        seen |= named(answer["rows"]).keys()
        page = answer["next"]
        if not page:
            break
    assert {item_id.hex() for write in writes for item_id in write.item_ids} <= seen
    acts = analyst.ask("/api/acts", {"actions": ["key_added"]}).json["rows"]
    assert {act["action"] for act in acts} == {"key_added"}
    assert analyst.ask("/api/acts", {"last_day": "2026-01-01"}).json["rows"] == []


def test_what_operators_set_and_what_was_counted_is_read(analyst: Browser, people: People) -> None:
    people.register()
    service = analyst.ask("/api/service").json
    assert service["own_key"]["name"] == "analyst"
    assert {"adults", "minors"} <= {bank["bank"] for bank in service["banks"]}
    assert {"analyst"} <= {key["name"] for key in service["keys"]}
    assert service["oldest_withdrawn_s"] <= service["erase_within_s"]
    assert str(service).find("disrupt_") == -1
    day = tags(analyst, people.register()[0])["registered_on"]
    asked = {"tally": "items_registered", "by": "age", "first_day": day, "last_day": day}
    points = analyst.ask("/api/tally", asked).json["points"]
    assert {point["day"] for point in points} == {day}
    assert {point["label"]: point["count"] for point in points}["adults"] >= 2
    for wrong in (
        {"by": "organisation"},
        {"tally": "none"},
        {"first_day": "2020-01-01"},
        {"last_day": "never"},
    ):
        assert told(analyst.ask("/api/tally", asked | wrong)) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        ("items", {"conditions": []}),
        ("items", {"conditions": {"states": ["gone"]}}),
        ("items", {"conditions": {"states": "live"}}),
        ("items", {"conditions": {"case": "zz"}}),
        ("items", {"conditions": {"case": "00"}}),
        ("items", {"conditions": {"hashes": -1}}),
        ("items", {"page": True}),
        ("items", {"page": 2**40}),
        ("item", {"name": 5}),
        ("set_states", {"items": {}, "state": "live"}),
        ("set_states", {"items": [], "state": "enabled"}),
        ("set_states", {"items": {f"{at:032x}": "" for at in range(501)}, "state": "enabled"}),
        ("set_all", {"conditions": {"case": "00" * 8}, "state": "waiting"}),
        ("settle", {"items": {"00" * 16: "x"}, "settlement": "so"}),
    ],
    ids=str,
)
def test_what_no_page_asks_is_refused(
    analyst: Browser, call: str, asked: dict[str, object]
) -> None:
    answer = analyst.ask(f"/api/{call}", asked)
    assert answer.status == 400, answer.body
    assert told(analyst.ask("/api/floods")) == (200, "")


def test_an_act_while_the_server_is_away_is_not_tried_again(
    deployment: Deployment, review_key: str, tmp_path: Path, free_port: int
) -> None:
    address = [deployment.address]

    def client(secret: str) -> ReviewClient:
        return ReviewClient(address[0], key=secret, retries=RetryPolicy(attempts=1))

    with running(deployment.address, tmp_path / "desk", client=client) as desk:
        browser, device = Browser(desk), Authenticator(ORIGIN)
        options = browser.ask("/enrol/begin", {"secret": review_key}).json
        address[0] = f"127.0.0.1:{free_port}"
        browser.ask("/enrol/finish", {"credential": device.make(options)})
        assert told(browser.ask("/api/undo", {"act": 1})) == (503, "UNAVAILABLE")
        assert told(browser.ask("/passkeys")) == (200, "")

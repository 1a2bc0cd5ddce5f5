"""Who is let in, for how long, and what a session that is taken over, or forged, can do."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from disrupt.core.policy import Right
from disrupt.desk.passkeys import Passkeys
from disrupt.desk.sessions import CHALLENGE_S, IDLE_S, LONGEST_S
from disrupt.errors import ConfigurationError
from disrupt.server.desk import open_desk
from disrupt.wire import admin as wire
from rig.callers.passkeys import Authenticator
from rig.servers.deployment import Deployment
from rig.servers.desk import ORIGIN, Answer, Browser, Running, running
from rig.waiting import eventually
from tests.desk.staff import told

REFUSED = (401, "PASSKEY_REFUSED")
SIGNED_OUT = (401, "SIGNED_OUT")
FOREIGN = (403, "FOREIGN_REQUEST")
IN, LISTED = (200, ""), (200, "")


def signs_in(browser: Browser, authenticator: Authenticator, **changed: Any) -> Answer:
    """Sign in by the newest passkey; what the browser says of itself may be changed."""
    options = browser.ask("/sign-in/begin").json
    return browser.ask("/sign-in/finish", {"credential": authenticator.sign(options, **changed)})


def is_in(browser: Browser) -> tuple[int, str]:
    return told(browser.ask("/passkeys"))


def test_who_has_enrolled_signs_in_again_after_the_desk_started_anew(
    deployment: Deployment, state_dir: Path, review_key: str, authenticator: Authenticator
) -> None:
    with running(deployment.address, state_dir) as desk:
        browser = Browser(desk)
        options = browser.ask("/enrol/begin", {"secret": review_key}).json
        assert told(browser.ask("/enrol/finish", {"credential": authenticator.make(options)})) == IN
        assert is_in(browser) == LISTED
    with running(deployment.address, state_dir) as desk:
        browser.desk = desk
        assert is_in(browser) == SIGNED_OUT
        assert signs_in(browser, authenticator).json["name"] == "analyst"
        assert is_in(browser) == LISTED


def test_the_cookie_is_for_this_origin_alone_and_no_script_reads_it(analyst: Browser) -> None:
    challenge = analyst.ask("/sign-in/begin").headers.get_all("Set-Cookie", [])
    session = analyst.ask("/sign-out").headers.get_all("Set-Cookie", [])
    for cookie in challenge + session:
        name, *attributes = cookie.lower().split("; ")
        assert name.startswith("__host-desk")
        assert {"path=/", "secure", "httponly", "samesite=strict"} <= set(attributes)
        assert not any(attribute.startswith("domain") for attribute in attributes)


def test_a_session_ends_when_it_is_idle_or_a_day_old_or_signed_out(
    desk: Running, analyst: Browser, authenticator: Authenticator
) -> None:
    desk.clock.ahead_s += IDLE_S - 60
    assert is_in(analyst) == LISTED
    desk.clock.ahead_s += IDLE_S - 60
    assert is_in(analyst) == LISTED
    desk.clock.ahead_s += IDLE_S
    assert is_in(analyst) == SIGNED_OUT
    assert told(signs_in(analyst, authenticator)) == IN
    for _ in range(LONGEST_S // (IDLE_S - 60)):
        assert is_in(analyst) == LISTED
        desk.clock.ahead_s += IDLE_S - 60
    desk.clock.ahead_s += IDLE_S - 61
    assert is_in(analyst) == SIGNED_OUT
    assert told(signs_in(analyst, authenticator)) == IN
    kept = Browser(desk, dict(analyst.cookies), analyst.token)
    assert analyst.ask("/sign-out").status == 200
    assert is_in(kept) == SIGNED_OUT


def test_a_cookie_that_somebody_planted_becomes_no_session(
    analyst: Browser, desk: Running, authenticator: Authenticator
) -> None:
    planted = "A" * 43
    victim = Browser(desk, {"__Host-desk": planted})
    assert told(signs_in(victim, authenticator)) == IN
    assert victim.cookies["__Host-desk"] != planted
    assert is_in(Browser(desk, {"__Host-desk": planted}, victim.token)) == SIGNED_OUT
    before = dict(analyst.cookies)
    assert told(signs_in(analyst, authenticator)) == IN
    assert is_in(Browser(desk, before, analyst.token)) == SIGNED_OUT


def test_an_assertion_counts_once_in_its_own_browser_and_in_time(
    desk: Running, analyst: Browser, authenticator: Authenticator
) -> None:
    browser = Browser(desk)
    options = browser.ask("/sign-in/begin").json
    signed = {"credential": authenticator.sign(options)}
    cookies = dict(browser.cookies)
    other = Browser(desk)
    other.ask("/sign-in/begin")
    assert told(other.ask("/sign-in/finish", signed)) == REFUSED
    assert told(browser.ask("/sign-in/finish", signed)) == IN
    assert told(Browser(desk, cookies).ask("/sign-in/finish", signed)) == REFUSED

    options = browser.ask("/sign-in/begin").json
    desk.clock.ahead_s += CHALLENGE_S
    late = {"credential": authenticator.sign(options)}
    assert told(browser.ask("/sign-in/finish", late)) == REFUSED
    assert analyst.ask("/passkeys").json["passkeys"][0]["name"] == "analyst"


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://desk.example.org.evil.example"},
        {"origin": "http://desk.example.org"},
        {"type": "webauthn.create"},
        {"challenge": "AAAA"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("analyst")
def test_what_was_signed_for_somebody_else_is_refused(
    desk: Running, authenticator: Authenticator, changed: dict[str, str]
) -> None:
    assert told(signs_in(Browser(desk), authenticator, **changed)) == REFUSED


def test_a_passkey_has_to_verify_the_person_and_not_be_a_copy(
    desk: Running, analyst: Browser, authenticator: Authenticator
) -> None:
    authenticator.verifies = False
    assert told(signs_in(Browser(desk), authenticator)) == REFUSED
    authenticator.verifies = True
    assert told(signs_in(Browser(desk), authenticator)) == IN
    authenticator.signed = 0  # as in a copy of the device, made before it signed
    assert told(signs_in(Browser(desk), authenticator)) == REFUSED
    assert is_in(analyst) == LISTED


@pytest.mark.parametrize(
    "credential", [{}, {"rawId": 3}, {"rawId": "AA", "response": []}, "a", None]
)
def test_what_is_no_answer_of_a_passkey_is_refused(
    desk: Running, review_key: str, credential: Any
) -> None:
    browser = Browser(desk)
    for path, asked in (
        ("/sign-in", {}),
        ("/enrol", {"secret": review_key}),
    ):
        assert browser.ask(f"{path}/begin", asked).status == 200
        answer = browser.ask(f"{path}/finish", {"credential": credential})
        assert told(answer) in {REFUSED, (400, "INVALID_REQUEST")}
    assert is_in(browser) == SIGNED_OUT


def test_only_a_key_that_may_review_is_enrolled(
    deployment: Deployment, desk: Running, authenticator: Authenticator
) -> None:
    browser = Browser(desk)
    matching = deployment.make_key("platform", "match")
    for secret, refused in (
        (matching, (403, "RIGHT_MISSING")),
        ("disrupt_" + "A" * 43, (401, "KEY_REFUSED")),
    ):
        assert told(browser.ask("/enrol/begin", {"secret": secret})) == refused
    assert browser.ask("/enrol/begin", {"secret": ""}).status == 400
    # What was made for a sign-in enrols nobody.
    options = browser.ask("/sign-in/begin").json
    made = authenticator.make({"rp": {"id": options["rpId"]}, "challenge": options["challenge"]})
    assert told(browser.ask("/enrol/finish", {"credential": made})) == REFUSED


def test_a_revoked_key_ends_what_its_passkey_can_do(
    deployment: Deployment, desk: Running, authenticator: Authenticator
) -> None:
    with open_desk(deployment.data_dir) as operators:
        made = operators.CreateKey(wire.create_request("leaver", (Right.REVIEW,), ()))
        browser = Browser(desk)
        options = browser.ask("/enrol/begin", {"secret": made.secret}).json
        assert told(browser.ask("/enrol/finish", {"credential": authenticator.make(options)})) == IN
        operators.RevokeKey(wire.revoke_request(made.key.key_id))
    eventually(lambda: told(signs_in(browser, authenticator)) == (401, "KEY_REFUSED"))


@pytest.mark.parametrize(
    "changed",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": ORIGIN.upper()},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": ""},
        {"X_Desk_Token": ""},
        {"X_Desk_Token": "A" * 43},
    ],
    ids=str,
)
def test_a_request_of_another_site_is_refused(analyst: Browser, changed: dict[str, str]) -> None:
    assert told(analyst.ask("/passkeys", **changed)) == FOREIGN
    assert is_in(analyst) == LISTED


def test_a_form_of_another_site_begins_no_session(desk: Running) -> None:
    for path in ("/sign-in/begin", "/sign-in/finish", "/enrol/begin", "/enrol/finish", "/session"):
        answer = Browser(desk).ask(path, Origin="https://evil.example")
        assert (told(answer), answer.headers.get("Set-Cookie")) == (FOREIGN, None)
        assert Browser(desk).ask(path, method="GET").status == 404


def test_a_passkey_is_removed_by_who_has_its_key(
    deployment: Deployment, desk: Running, analyst: Browser, authenticator: Authenticator
) -> None:
    (row,) = analyst.ask("/passkeys").json["passkeys"]
    other, device = Browser(desk), Authenticator(ORIGIN)
    secret = deployment.make_key("other analyst", "review")
    options = other.ask("/enrol/begin", {"secret": secret}).json
    other.ask("/enrol/finish", {"credential": device.make(options)})
    other.ask("/passkeys/remove", {"id": row["id"]})
    assert told(signs_in(analyst, authenticator)) == IN
    assert analyst.ask("/passkeys/remove", {"id": row["id"]}).json == {"passkeys": []}
    assert told(signs_in(analyst, authenticator)) == REFUSED


def test_secrets_are_in_a_folder_that_others_cannot_enter(
    analyst: Browser, state_dir: Path, tmp_path: Path, review_key: str
) -> None:
    assert is_in(analyst) == LISTED
    for path in state_dir.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert review_key not in str(analyst.ask("/session").body)
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(ConfigurationError, match="others may enter"):
        Passkeys(tmp_path / "open")


def test_every_answer_forbids_frames_and_copies_and_foreign_scripts(desk: Running) -> None:
    for answer in (Browser(desk).ask("/", method="GET"), Browser(desk).ask("/session")):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers.get("Access-Control-Allow-Origin") is None
    assert Browser(desk).ask("/../passkeys.sqlite", method="GET").status == 404

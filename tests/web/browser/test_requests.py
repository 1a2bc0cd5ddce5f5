"""Registrations go in requests whose place the service keeps, and the page claims no more."""

from __future__ import annotations

from google.rpc import code_pb2, error_details_pb2
from playwright.sync_api import Page, Route, expect

from disrupt.v1 import registration_pb2
from tests.web.browser.person import Person, photograph
from tests.web.browser.site import Site
from tests.web.browser.test_trouble import REGISTER, refusal, refuse
from tests.web.running import headers_for

KEPT = "Votre place est gardée"
_SESSION = """
  const { Session } = await import('/flow/session.js');
  const session = new Session();
  const fingerprint = (ordinal) => ({
    hash: new Uint8Array(32), quality: 100, profile: 1, plan: 1, ordinal, startMs: 0, endMs: 0,
  });
  session.items = counts.map((length) => ({
    step: 'READY',
    result: { kind: 'IMAGE', fingerprints: Array.from({ length }, (_, at) => fingerprint(at)) },
  }));
  await session.drawCase();
"""
_SEND = f"""async (counts) => {{
  {_SESSION}
  await session.sending.run();
  return session.items.map(({{ step }}) => step);
}}"""
"""Send files with so many fingerprints each; return where they stand."""
_FORGET = f"""async (counts) => {{
  {_SESSION}
  const {{ sending }} = session;
  const run = sending.run();
  session.forgetItems();
  await run;
  return sending.failure?.reason;
}}"""
"""Forget the files while they are sent; return how the sending ended."""


def _answer(route: Route, sizes: list[list[int]]) -> None:
    """Register everything, and note the fingerprints of each item."""
    body = route.request.post_data_buffer or b""
    request = registration_pb2.RegisterHashesRequest.FromString(body)
    sizes.append([len(item.fingerprints.hashes) // 32 for item in request.items])
    context = request.context
    response = registration_pb2.RegisterHashesResponse()
    response.receipt.case_number = context.new_case_number or context.access.case_number
    for index in range(len(request.items)):
        response.receipt.items.add(index=index, item_id=bytes(16))
    answer = response.SerializeToString()
    route.fulfill(status=200, body=answer, headers=headers_for(answer))


def test_a_request_has_few_files_and_few_fingerprints(tab: Page, site: Site) -> None:
    sizes: list[list[int]] = []
    tab.route(REGISTER, lambda route: _answer(route, sizes))
    Person(tab, site.url).comes()
    counts = [100, 150, 50, 1, 400, 299, 2, *[10] * 9]
    steps = tab.evaluate(_SEND, counts)
    assert set(steps) == {"REGISTERED"}
    assert sizes == [[100, 150, 50], [1], [400], [299], [2, *[10] * 7], [10, 10]]


def test_a_place_is_said_to_be_kept_only_where_a_ticket_keeps_it(person: Person) -> None:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromSeconds(300)
    busy = refusal("OVERLOADED", code_pb2.RESOURCE_EXHAUSTED, retry)
    person.page.route(REGISTER, lambda route: refuse(route, 429, busy))
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send().clicks("Envoyer")
    person.reads("Le service est très demandé")
    expect(person.page.get_by_text(KEPT)).to_have_count(0)
    person.clicks("Arrêter").sees("send")
    person.page.route(REGISTER, lambda route: refuse(route, 429, busy, **{"Waiting-Ticket": "a"}))
    person.clicks("Reprendre l'envoi").reads(KEPT)


def test_files_that_are_forgotten_are_sent_no_longer(tab: Page, site: Site) -> None:
    tab.route(REGISTER, lambda _route: None)
    Person(tab, site.url).comes()
    assert tab.evaluate(_FORGET, [10]) == "STOPPED"

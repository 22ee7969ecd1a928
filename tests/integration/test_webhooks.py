"""The processor's webhook: signed news reach the inbox once, everything else reaches nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.inbox import EventCursor, InboxEvent
from connector.sandbox.stripe.webhooks import signature
from connector.use_cases.collection.read_news import NewsReport, handle_events
from tests.support.patient_browser import WEBHOOK_SECRET, Browser, browsing
from tests.support.practice import Practice

PATH = "/stripe/webhook"
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "payment_intent.succeeded",
    "created": 1_788_217_200,
    "livemode": False,
    "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
}


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """The patients' application, which has the webhook too."""
    with browsing(practice) as running:
        yield running


def event(browser: Browser, kind: str = "checkout.session.completed") -> bytes:
    """The newest event of that kind, as the processor would send it."""
    (found,) = (row for row in browser.practice.stripe_listed("events") if row["type"] == kind)
    return json.dumps(found).encode()


def signed(browser: Browser, payload: bytes, *, seconds: int = 0, secret: str = WEBHOOK_SECRET) -> dict[bytes, bytes]:
    at = int(browser.practice.clock.now().timestamp()) + seconds
    return {b"Stripe-Signature": signature(payload.decode(errors="replace"), secret, at).encode()}


def test_a_signed_event_is_stored_once_and_acted_on(browser: Browser) -> None:
    """The answer is given before anything is done; a replay is the same event; polling knows it already."""
    practice = browser.practice
    person = practice.enrol(None)
    path = browser.path(person.contract_id)
    browser.give(browser.sign(path))
    payload = event(browser)

    answers = [browser.http.post(PATH, content=payload, headers=signed(browser, payload)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len(practice.all(InboxEvent)) == 1
    assert browser.news == ["new"]
    assert practice.all(Contract)[0].status is AgreementStatus.PENDING
    handle_events(browser.context, NewsReport())
    assert practice.all(Contract)[0].status is AgreementStatus.ACTIVE
    assert browser.get(path).status_code == 404
    browser.hear()
    practice.charge()
    practice.assert_exactly_once()


def test_a_webhook_does_not_move_the_feed_past_what_was_never_polled(browser: Browser) -> None:
    """What happened before it, while the daemon was away, is still read."""
    practice = browser.practice
    first, second = practice.enrol(None), practice.enrol(None)
    browser.hear()
    cursor = [row.read_until for row in practice.all(EventCursor)]
    browser.give(browser.sign(browser.path(first.contract_id)))
    practice.advance(hours=3)
    browser.give(browser.sign(browser.path(second.contract_id)))
    newest = practice.stripe_listed("events")[-1]
    payload = json.dumps(newest).encode()

    assert browser.http.post(PATH, content=payload, headers=signed(browser, payload)).status_code == 200

    assert [row.read_until for row in practice.all(EventCursor)] == cursor
    browser.hear()
    assert {contract.status for contract in practice.all(Contract)} == {AgreementStatus.ACTIVE}


def test_what_the_processor_did_not_sign_is_refused_and_leaves_no_trace(browser: Browser) -> None:
    """Wrong secret, changed body, old or future time stamp, no signature, no event, too much: nothing is stored."""
    practice = browser.practice
    browser.give(browser.sign(browser.path(practice.enrol(None).contract_id)))
    payload = event(browser)
    good = signed(browser, payload)
    no_event = b'{"object": "nothing"}'
    nested = b'{"object": "event", "data": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    tried: list[tuple[bytes, dict[bytes, bytes]]] = [
        (payload, {}),
        (payload, {b"Stripe-Signature": b""}),
        (payload, {b"Stripe-Signature": "t=1,v1=\u00e9".encode()}),
        (payload, signed(browser, payload, secret="whsec_other")),
        (payload, signed(browser, payload, seconds=-301)),
        (payload, signed(browser, payload, seconds=301)),
        (payload + b" ", good),
        (b"", good),
        (no_event, signed(browser, no_event)),
        (nested, signed(browser, nested)),
        (b"\xff\xfe", good),
    ]

    statuses = [browser.http.post(PATH, content=body, headers=dict(headers)).status_code for body, headers in tried]

    assert statuses == [400] * len(tried)
    assert browser.http.post(PATH, content=b"x" * 600_000, headers=good).status_code == 413
    assert browser.get(PATH).status_code == 405
    assert practice.all(InboxEvent) == []
    assert browser.news == []


def each(name: str, *values: object) -> list[dict[str, object]]:
    """A changed event for each of these values."""
    return [{name: value} for value in values]


@pytest.mark.parametrize(
    "changes",
    [
        *each("id", 5, None, ["evt_a"], {}, "", "evt_", "pi_1", "evt_\0", "evt_\ud800", "evt_ä", "evt_" + "a" * 300),
        *each("type", 5, None, [], {}, "", "a b", "\0", "a" * 300),
        *each("created", "x", None, 10**25, -(10**12), float("nan"), []),
        *each("data", None, [], {}, {"object": None}, {"object": []}),
        *each("data", {"object": {"id": ["pi_1"]}}, {"object": {"id": "pi_\0"}}),
    ],
    ids=ascii,
)
def test_what_is_signed_but_malformed_is_refused_and_leaves_no_trace(
    browser: Browser, changes: dict[str, object]
) -> None:
    """The sender reads that the request is not accepted, never that something went wrong here."""
    payload = json.dumps({**EVENT, **changes}).encode()

    answer = browser.http.post(PATH, content=payload, headers=signed(browser, payload))

    assert (answer.status_code, answer.text) == (400, "This request is not accepted.")
    assert browser.practice.all(InboxEvent) == []
    assert browser.news == []


def test_an_event_that_is_about_nothing_with_an_id_is_accepted(browser: Browser) -> None:
    """Stripe tells of the balance like that, and would send it again and again."""
    changes = {"type": "balance.available", "data": {"object": {"object": "balance"}}}
    payload = json.dumps({**EVENT, **changes}).encode()

    assert browser.http.post(PATH, content=payload, headers=signed(browser, payload)).status_code == 200
    assert [row.type for row in browser.practice.all(InboxEvent)] == ["balance.available"]

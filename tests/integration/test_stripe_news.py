"""What the port learns from Stripe: signed webhooks, sweeps over lists, methods, mandates and the account."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe as library
from pydantic import SecretStr, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector.billing.collecting.charges import ReturnKind
from connector.billing.members import MethodKind
from connector.billing.processor import AccountReport, AuthorisedMethod, EventKind
from connector.billing.stripe import StripeProcessor, news
from connector.billing.stripe.mapping import EVENT_KINDS
from connector.errors import AccessDenied, DomainError, Rejected, UnexpectedResponse
from connector.sandbox.stripe.world import ACCOUNT_ID
from connector.settings import StripeSettings
from tests.support.stripe_account import BACK, PRICE, WatchedStripe, watched_stripe
from tests.support.stripe_sandbox import KEY, serving

SECRET, OLD_SECRET = "whsec_new", "whsec_old"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "payment_intent.succeeded",
    "created": int(NOW.timestamp()),
    "account": None,
    "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
}


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedStripe]:
    with watched_stripe(tmp_path_factory.mktemp("stripe")) as running:
        yield running


@pytest.fixture(scope="module")
def listener(stripe: WatchedStripe) -> StripeProcessor:
    """A processor that knows two webhook secrets, as while one is being changed."""
    return stripe.connected(webhook_secret=SecretStr(f"{SECRET}, {OLD_SECRET}"))


def signed(payload: str, secret: str = SECRET, at: datetime = NOW) -> str:
    """The header with which Stripe would send it."""
    header: str = library.WebhookSignature.generate_signature_header(payload, secret, int(at.timestamp()))
    return header


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
@pytest.mark.parametrize("off", [timedelta(seconds=-300), timedelta(0), timedelta(seconds=300)])
def test_a_webhook_signed_with_a_secret_of_ours_about_now_is_news(
    listener: StripeProcessor, secret: str, off: timedelta
) -> None:
    """It is the same hint that the event feed would give."""
    payload = json.dumps(EVENT)

    event = listener.verify_webhook(payload.encode(), signed(payload, secret, NOW + off), NOW)

    assert (event.id, event.kind, event.object_id, event.created) == ("evt_1", EventKind.CHARGE, "pi_1", NOW)


@pytest.mark.parametrize(
    ("payload", "header", "words"),
    [
        (json.dumps(EVENT) + " ", signed(json.dumps(EVENT)), "not signed by Stripe"),
        (json.dumps(EVENT), signed(json.dumps(EVENT), "whsec_other"), "not signed by Stripe"),
        (json.dumps(EVENT), "", "not signed by Stripe"),
        (json.dumps(EVENT), "t=now,v1=0", "not signed by Stripe"),
        (json.dumps(EVENT), f"t={int(NOW.timestamp())}", "not signed by Stripe"),
        (json.dumps(EVENT), f"t={int(NOW.timestamp())},v1=é", "not signed by Stripe"),
        (json.dumps(EVENT), signed(json.dumps(EVENT)).replace("v1=", "v0="), "not signed by Stripe"),
        (json.dumps(EVENT), signed(json.dumps(EVENT), at=NOW - timedelta(seconds=301)), "not of this time"),
        (json.dumps(EVENT), signed(json.dumps(EVENT), at=NOW + timedelta(seconds=301)), "not of this time"),
    ],
    ids=["changed", "foreign", "none", "no time", "no signature", "no ASCII", "old scheme", "old", "future"],
)
def test_a_webhook_that_stripe_did_not_send_now_is_refused(
    listener: StripeProcessor, payload: str, header: str, words: str
) -> None:
    """Whoever knows the address can post anything there."""
    with pytest.raises(DomainError, match=words):
        listener.verify_webhook(payload.encode(), header, NOW)


def test_bytes_that_are_no_text_are_not_signed(listener: StripeProcessor) -> None:
    """The library would stumble over them."""
    with pytest.raises(DomainError, match="not signed by Stripe"):
        listener.verify_webhook(b"\xff\xfe", signed("{}"), NOW)


@pytest.mark.parametrize("payload", ["{}", "[]", "no JSON", '{"object": "event", "id": "evt_1"}'])
def test_a_signed_body_that_is_no_event_is_not_understood(listener: StripeProcessor, payload: str) -> None:
    """It came from Stripe, and yet nothing can be done with it."""
    with pytest.raises(UnexpectedResponse):
        listener.verify_webhook(payload.encode(), signed(payload), NOW)


def test_without_a_secret_no_webhook_is_believed(stripe: WatchedStripe) -> None:
    """An empty secret would be one that everybody knows."""
    payload = json.dumps(EVENT)

    with pytest.raises(AccessDenied, match="CONNECTOR_STRIPE__WEBHOOK_SECRET"):
        stripe.processor.verify_webhook(payload.encode(), signed(payload, " "), NOW)


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        (ACCOUNT_ID, ACCOUNT_ID, EventKind.CHARGE),
        (ACCOUNT_ID, None, EventKind.CHARGE),
        (ACCOUNT_ID, "acct_other", EventKind.OTHER),
        ("", "acct_other", EventKind.OTHER),
    ],
)
def test_news_of_another_practice_is_put_aside(
    stripe: WatchedStripe, ours: str, theirs: str | None, kind: EventKind
) -> None:
    """A platform's endpoint hears of all its accounts."""
    processor = stripe.connected(account=ours, webhook_secret=SecretStr(SECRET))
    payload = json.dumps({**EVENT, "account": theirs})

    assert processor.verify_webhook(payload.encode(), signed(payload), NOW).kind is kind


@pytest.mark.parametrize(
    ("key", "livemode", "kind"),
    [
        (KEY, False, EventKind.CHARGE),
        (KEY, True, EventKind.OTHER),
        ("rk_live_practice", True, EventKind.CHARGE),
        ("rk_live_practice", False, EventKind.OTHER),
    ],
)
def test_news_of_the_other_mode_are_put_aside(key: str, livemode: bool, kind: EventKind) -> None:
    """A test settles nothing of a practice that takes real money, nor the reverse."""
    processor = StripeProcessor(StripeSettings(secret_key=SecretStr(key), webhook_secret=SecretStr(SECRET)))
    payload = json.dumps({**EVENT, "livemode": livemode})

    assert processor.verify_webhook(payload.encode(), signed(payload), NOW).kind is kind
    processor.close()


@pytest.mark.parametrize("connect", ["true", "false"])
def test_what_the_sandbox_delivers_is_what_its_feed_says(stripe: WatchedStripe, connect: str) -> None:
    """From the payment over the wire to the event: one and the same, whichever way it comes."""
    received: queue.Queue[tuple[bytes, str]] = queue.Queue()

    async def hook(request: Request) -> Response:
        received.put((await request.body(), request.headers["Stripe-Signature"]))
        return Response(status_code=204)

    with serving(Starlette(routes=[Route("/hook", hook, methods=["POST"])])) as address:
        form = {"url": f"{address}/hook", "enabled_events[0]": "payment_intent.succeeded", "connect": connect}
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": stripe.key()}
        endpoint = stripe.http.post("/v1/webhook_endpoints", data=form, headers=headers).json()
        before = stripe.now
        report = stripe.charge("pm_card_visa")
        payload, header = received.get(timeout=10)
        stripe.http.delete(f"/v1/webhook_endpoints/{endpoint['id']}", headers=headers)

    processor = stripe.connected(account=ACCOUNT_ID, webhook_secret=SecretStr(endpoint["secret"]))
    sent = datetime.fromtimestamp(int(header.split(",")[0].removeprefix("t=")), UTC)
    event = processor.verify_webhook(payload, header, sent)
    assert event.object_id == report.processor_id
    assert event in list(processor.events_since(before))


@pytest.mark.parametrize("account", ["acct_", "cus_1", "acct_1 ", "acct_1\n", "acct_é"])
def test_an_account_has_the_form_of_one(account: str) -> None:
    """It becomes part of every request's head."""
    with pytest.raises(ValidationError, match="account"):
        StripeSettings(account=account)


def test_secrets_of_webhooks_are_never_shown() -> None:
    """Settings may be printed by accident."""
    settings = StripeSettings(webhook_secret=SecretStr(f"{SECRET},{OLD_SECRET},"))

    assert settings.webhook_secrets == [SECRET, OLD_SECRET]
    assert "whsec" not in f"{settings!r} {settings}"


def test_sweeps_list_everything_since_an_instant_once_and_oldest_first(
    stripe: WatchedStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several pages; what is older stays out."""
    monkeypatch.setattr(news, "PAGE", 2)
    stripe.charge("pm_card_visa")
    stripe.wait(timedelta(days=10))
    start = stripe.now
    charges = [stripe.charge("pm_card_visa").processor_id for _ in range(5)]
    refunds = [stripe.processor.refund_charge(stripe.key(), charge, PRICE).processor_id for charge in charges[:3]]
    dispute = stripe.happen("disputes", payment_intent=charges[4])["id"]

    assert [listed.processor_id for listed in stripe.processor.charges_since(start)] == charges
    assert list(stripe.processor.returns_since(start)) == [
        *((ReturnKind.REFUND, refund) for refund in refunds),
        (ReturnKind.DISPUTE, dispute),
    ]
    assert list(stripe.processor.charges_since(stripe.now + timedelta(seconds=1))) == []
    for _ in range(3):
        stripe.charge("pm_card_visa")
        stripe.wait(timedelta(days=7))
    payouts = list(stripe.processor.payouts_since(start))
    assert len(payouts) == len(set(payouts)) == 3
    created = [stripe.ask(f"payouts/{payout}")["created"] for payout in payouts]
    assert created == sorted(created)


def test_the_event_list_asks_for_no_more_types_than_stripe_allows() -> None:
    """Twenty in one list."""
    assert len(EVENT_KINDS) <= 20


def test_a_card_is_known_by_brand_and_expiry_and_may_change_them(stripe: WatchedStripe) -> None:
    """The bank sends a new card; the method keeps its id and the news names it."""
    _, method = stripe.payer("pm_card_mastercard")
    assert (method.brand, method.exp_month, method.exp_year, method.last4) == ("mastercard", 12, 2034, "4444")
    assert method.fingerprint
    before = stripe.now

    stripe.happen("payment_methods/renewed", payment_method=method.processor_id, exp_year=2038, last4="5555")

    renewed = stripe.processor.read_method(method.processor_id)
    assert renewed is not None
    assert (renewed.exp_month, renewed.exp_year, renewed.last4) == (12, 2038, "5555")
    assert (EventKind.METHOD, method.processor_id) in [
        (event.kind, event.object_id) for event in stripe.processor.events_since(before)
    ]


def test_a_bank_account_has_no_brand_and_its_mandate_can_end(stripe: WatchedStripe) -> None:
    """After the payer has revoked it the mandate stays inactive, and a debit is refused."""
    _, method = stripe.payer("pm_becs_success")
    assert method == AuthorisedMethod(
        MethodKind.BECS, method.processor_id, method.mandate_id, "3456", fingerprint=method.fingerprint
    )
    assert method.mandate_id is not None
    assert stripe.processor.mandate_active(method.mandate_id)
    before = stripe.now

    stripe.happen("mandates/revoked", mandate=method.mandate_id)

    assert not stripe.processor.mandate_active(method.mandate_id)
    assert (EventKind.MANDATE, method.mandate_id) in [
        (event.kind, event.object_id) for event in stripe.processor.events_since(before)
    ]


def test_a_method_that_was_detached_or_never_was_is_gone(stripe: WatchedStripe) -> None:
    """Both are nothing to charge; other refusals are not taken for it."""
    _, method = stripe.payer("pm_card_visa")
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": stripe.key()}
    before = stripe.now
    stripe.http.post(f"/v1/payment_methods/{method.processor_id}/detach", headers=headers).raise_for_status()

    assert stripe.processor.read_method(method.processor_id) is None
    assert stripe.processor.read_method("pm_nobody") is None
    kinds = [event.kind for event in stripe.processor.events_since(before) if event.object_id == method.processor_id]
    assert EventKind.METHOD in kinds
    with pytest.raises(AccessDenied):
        stripe.with_key("sk_test_ no key").read_method(method.processor_id)


def test_the_sign_up_page_says_what_happens_and_leads_back(stripe: WatchedStripe) -> None:
    """The sentence beside the button, the address afterwards and the end of the page are ours."""
    customer = stripe.processor.create_customer(stripe.key(), "mem_page")
    expires = stripe.now + timedelta(hours=2)
    page = stripe.processor.open_enrolment(
        stripe.key(),
        customer,
        "con_page",
        "aud",
        return_url=f"{BACK}?s={{CHECKOUT_SESSION_ID}}",
        message="Leura Dental will collect 250.00 AUD today.",
        expires_at=expires,
    )
    assert "Leura Dental will collect 250.00 AUD today." in stripe.http.get(page.url).text

    answer = stripe.http.post(page.url, data={"method": "pm_card_visa"})

    assert answer.headers["Location"] == f"{BACK}?s={page.session_id}"
    session = stripe.ask(f"checkout/sessions/{page.session_id}?expand[0]=setup_intent")
    assert session["expires_at"] == int(expires.timestamp())
    assert session["setup_intent"]["metadata"] == {"agreement_id": "con_page"}


@pytest.mark.parametrize("lasts", [timedelta(minutes=29), timedelta(hours=25)])
def test_a_page_lasts_half_an_hour_to_a_day(stripe: WatchedStripe, lasts: timedelta) -> None:
    """Anything else is refused by Stripe."""
    customer = stripe.processor.create_customer(stripe.key(), "mem_short")

    with pytest.raises(Rejected, match="open the sign-up page"):
        stripe.processor.open_enrolment(stripe.key(), customer, "con", "aud", expires_at=stripe.now + lasts)


ABLE = AccountReport(charges_enabled=True, card=True, becs=True, currency="aud", live=False)


@pytest.mark.parametrize(
    ("change", "report"),
    [
        ({"charges_enabled": False}, AccountReport(False, True, True, "aud", False)),
        ({"capabilities": {"au_becs_debit_payments": "pending"}}, AccountReport(True, True, False, "aud", False)),
        ({"capabilities": {"card_payments": "inactive"}}, AccountReport(True, False, True, "aud", False)),
        ({}, ABLE),
    ],
)
def test_the_account_tells_what_it_can_do(stripe: WatchedStripe, change: dict[str, Any], report: AccountReport) -> None:
    """For the practice's own key and for its platform's alike."""
    stripe.happen("account", **change)

    assert stripe.processor.check_account() == stripe.platform.check_account() == report
    stripe.happen("account")


def test_what_the_account_cannot_do_is_refused_when_it_is_tried(stripe: WatchedStripe) -> None:
    """Types that are not active are left out of what is offered in silence; no charge passes a closed account."""
    intent, method = stripe.prepared("pm_card_visa")
    stripe.happen("account", capabilities={"au_becs_debit_payments": "inactive"})
    bank_less, _ = stripe.prepared("pm_card_visa")
    stripe.happen("account", charges_enabled=False)

    with pytest.raises(Rejected, match="account_invalid"):
        stripe.processor.confirm_charge(stripe.key(), intent, method, PRICE)

    stripe.happen("account")
    assert stripe.ask(f"payment_intents/{bank_less}")["payment_method_types"] == ["card"]
    with pytest.raises(AccessDenied, match="key"):
        stripe.connected(account="acct_other").check_account()


def test_reads_are_counted_with_their_repeats_and_writes_are_not(stripe: WatchedStripe) -> None:
    """Stripe allots them by the month, so what was sent counts, not what was answered."""
    processor = stripe.connected()
    processor.create_customer(stripe.key(), "mem_reads")
    assert processor.reads == 0

    processor.check_account()
    stripe.fault(kind="status_before", status=503, method="GET", path="/v1/account")
    processor.check_account()

    assert processor.reads == 3

"""Payments with the payer at hand, holds, declines and the platform's fee, through the port and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connector.billing.processor import ChargeReport, ChargeStatus, EventKind
from connector.errors import Rejected
from connector.money import Money
from connector.sandbox.stripe.balance import fee_for
from connector.sandbox.stripe.methods import BECS, CARD
from connector.sandbox.stripe.world import ACCOUNT_ID
from tests.support.stripe_account import BACK, PRICE, WatchedStripe, watched_stripe
from tests.support.stripe_sandbox import KEY

PART = Money(1_000, "aud")
PENNY = Money(50, "aud")
PLATFORM_FEE = Money(250, "aud")
REFUSED_BY_PAYER = "payment_intent_authentication_failure"


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedStripe]:
    with watched_stripe(tmp_path_factory.mktemp("stripe")) as running:
        yield running


def presented(stripe: WatchedStripe, name: str, *, manual_capture: bool = False) -> ChargeReport:
    """A payer at hand pays with that test method."""
    intent, method = stripe.prepared(name, manual_capture=manual_capture)
    return stripe.processor.present_charge(stripe.key(), intent, method, PRICE, BACK)


def answered(stripe: WatchedStripe, report: ChargeReport, outcome: str) -> httpx.Response:
    """The payer answers the bank's question on its page."""
    assert report.payer_url is not None
    return stripe.http.post(report.payer_url, data={"outcome": outcome})


@pytest.mark.parametrize(
    ("name", "status"),
    [("pm_card_visa", ChargeStatus.SUCCEEDED), ("pm_becs_success", ChargeStatus.PROCESSING)],
)
def test_a_payer_of_whom_nothing_is_asked_stays_with_us(stripe: WatchedStripe, name: str, status: ChargeStatus) -> None:
    """The answer is the same as without the payer, and there is no page."""
    report = presented(stripe, name)

    assert (report.status, report.payer_url) == (status, None)


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [("success", ChargeStatus.SUCCEEDED, None), ("fail", ChargeStatus.OPEN, REFUSED_BY_PAYER)],
)
def test_a_payer_answers_the_bank_on_its_page_and_comes_back(
    stripe: WatchedStripe, outcome: str, status: ChargeStatus, code: str | None
) -> None:
    """Looking at the page decides nothing, and what the browser brings back is no proof: the charge is read."""
    report = presented(stripe, "pm_card_authenticationRequired")
    assert report.status is ChargeStatus.NEEDS_PAYER
    assert report.payer_url is not None
    assert stripe.http.get(report.payer_url).status_code == 200
    assert stripe.processor.read_charge(report.processor_id) == report

    answer = answered(stripe, report, outcome)

    back = urlsplit(answer.headers["Location"])
    assert (answer.status_code, f"{back.scheme}://{back.netloc}{back.path}") == (303, BACK)
    assert set(parse_qs(back.query)) == {"payment_intent", "payment_intent_client_secret", "redirect_status"}
    after = stripe.processor.read_charge(report.processor_id)
    assert (after.status, after.failure_code, after.failed_charge_id) == (status, code, None)
    assert stripe.http.get(report.payer_url).status_code == 404, "the page is used up"


def test_the_payers_page_is_not_shown_by_accident(stripe: WatchedStripe) -> None:
    """Its address lets whoever has it act on the payment."""
    report = presented(stripe, "pm_card_authenticationRequired")

    assert report.payer_url is not None
    assert report.payer_url not in repr(report)


def test_a_payer_who_refused_can_be_asked_again_and_pays_once(stripe: WatchedStripe) -> None:
    """The same payment object is presented again, under a new key; in the end one charge has taken the money."""
    intent, method = stripe.prepared("pm_card_authenticationRequired")
    for outcome in ("fail", "success"):
        report = stripe.processor.present_charge(stripe.key(), intent, method, PRICE, BACK)
        answered(stripe, report, outcome)

    charges = stripe.ask(f"charges?payment_intent={intent}")["data"]

    assert [(charge["status"], charge["amount_captured"]) for charge in charges] == [("succeeded", PRICE.cents)]


def test_a_repeat_after_the_payer_acted_tells_what_is_so_now(stripe: WatchedStripe) -> None:
    """Stripe repeats the answer that it kept for the key; a page that is used up would help nobody."""
    intent, method = stripe.prepared("pm_card_authenticationRequired")
    asked = stripe.processor.present_charge("present:same", intent, method, PRICE, BACK)
    assert stripe.processor.present_charge("present:same", intent, method, PRICE, BACK) == asked
    answered(stripe, asked, "success")

    repeated = stripe.processor.present_charge("present:same", intent, method, PRICE, BACK)

    assert repeated.status is ChargeStatus.SUCCEEDED


def test_an_invoice_is_paid_once_whoever_starts(stripe: WatchedStripe) -> None:
    """The daemon charges while the payer's page is open: its refusal closes the page, and a success is adopted."""
    intent, method = stripe.prepared("pm_card_authenticationRequired")
    page = stripe.processor.present_charge(stripe.key(), intent, method, PRICE, BACK)
    alone = stripe.processor.confirm_charge(stripe.key(), intent, method, PRICE)
    assert (alone.status, alone.failure_code) == (ChargeStatus.OPEN, "authentication_required")
    assert page.payer_url is not None
    assert stripe.http.post(page.payer_url, data={"outcome": "success"}).status_code == 404
    again = stripe.processor.present_charge(stripe.key(), intent, method, PRICE, BACK)
    answered(stripe, again, "success")

    late = stripe.processor.confirm_charge(stripe.key(), intent, method, PRICE)

    assert late.status is ChargeStatus.SUCCEEDED
    assert late == stripe.processor.read_charge(intent)


def test_the_wrong_amount_is_refused_and_nothing_moves(stripe: WatchedStripe) -> None:
    """What the payer agreed to is what is confirmed."""
    intent, method = stripe.prepared("pm_card_visa")

    with pytest.raises(Rejected, match="confirm the charge"):
        stripe.processor.present_charge(stripe.key(), intent, method, PART, BACK)

    assert stripe.processor.read_charge(intent).status is ChargeStatus.OPEN


def test_a_capture_that_comes_through_after_its_answer_is_read_again(stripe: WatchedStripe) -> None:
    """So do payment objects that others made with Stripe's default: the first answer does not know the fee yet."""
    intent, method = stripe.prepared("pm_card_visa")
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": stripe.key()}
    form = {"capture_method": "automatic_async"}
    stripe.http.post(f"/v1/payment_intents/{intent}", data=form, headers=headers).raise_for_status()

    report = stripe.processor.confirm_charge(stripe.key(), intent, method, PRICE)

    assert report.settlement is not None
    assert report.settlement.fee == Money(fee_for(PRICE.cents, CARD), "aud")
    kept = stripe.ask(f"events?type=charge.updated&created[gte]={int(stripe.now.timestamp())}")["data"]
    assert kept[0]["data"]["object"]["id"] == report.settlement.processor_charge_id


@pytest.mark.parametrize(
    ("name", "at_hand", "lasts"),
    [
        ("pm_card_visa", False, timedelta(days=4, hours=18)),
        ("pm_card_mastercard", False, timedelta(days=7)),
        ("pm_card_visa", True, timedelta(days=7)),
    ],
)
def test_a_hold_lasts_as_long_as_the_bank_says(
    stripe: WatchedStripe, name: str, at_hand: bool, lasts: timedelta
) -> None:
    """No constant of ours would be right for all; without capture it is released by itself, with news of it."""
    before = stripe.now
    held = presented(stripe, name, manual_capture=True) if at_hand else stripe.charge(name, manual_capture=True)
    assert (held.status, held.capture_before) == (ChargeStatus.AUTHORISED, before + lasts)
    assert stripe.processor.read_charge(held.processor_id) == held

    stripe.wait(lasts)
    report = stripe.processor.capture_charge(stripe.key(), held.processor_id, PART)

    assert (report.status, report.settlement) == (ChargeStatus.CANCELLED, None)
    events = [event for event in stripe.processor.events_since(before) if event.object_id == held.processor_id]
    assert [event.type for event in events] == [
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
    ]
    assert {event.kind for event in events} == {EventKind.CHARGE}


def test_a_hold_can_need_the_payer_first(stripe: WatchedStripe) -> None:
    """After the bank's question the money is held, not taken, for the longer time of a payer at hand."""
    asked = presented(stripe, "pm_card_authenticationRequired", manual_capture=True)

    answered(stripe, asked, "success")

    held = stripe.processor.read_charge(asked.processor_id)
    assert (held.status, held.capture_before) == (ChargeStatus.AUTHORISED, stripe.now + timedelta(days=7))


def test_what_is_captured_is_what_is_settled(stripe: WatchedStripe) -> None:
    """Part of a hold is taken, with the fee of that part; the rest is released without a refund, and once only."""
    held = stripe.charge("pm_card_visa", manual_capture=True)
    with pytest.raises(Rejected, match="amount_too_large"):
        stripe.processor.capture_charge(stripe.key(), held.processor_id, PRICE + PART)
    assert stripe.processor.read_charge(held.processor_id).status is ChargeStatus.AUTHORISED

    taken = stripe.processor.capture_charge(stripe.key(), held.processor_id, PART)
    again = stripe.processor.capture_charge(stripe.key(), held.processor_id, PRICE)

    assert taken.settlement is not None
    assert (taken.settlement.gross, taken.settlement.fee) == (PART, Money(fee_for(PART.cents, CARD), "aud"))
    assert again == taken
    assert stripe.ask(f"refunds?payment_intent={held.processor_id}")["data"] == []


@pytest.mark.parametrize("manual_capture", [False, True])
def test_what_has_taken_nothing_can_be_cancelled(stripe: WatchedStripe, manual_capture: bool) -> None:
    """Unconfirmed or held: it ends, and ending it again changes nothing."""
    intent, method = stripe.prepared("pm_card_visa", manual_capture=manual_capture)
    if manual_capture:
        stripe.processor.confirm_charge(stripe.key(), intent, method, PRICE)

    reports = [stripe.processor.cancel_charge(stripe.key(), intent) for _ in range(2)]

    assert [report.status for report in reports] == [ChargeStatus.CANCELLED] * 2
    with pytest.raises(Rejected):
        stripe.processor.confirm_charge(stripe.key(), intent, method, PRICE)


@pytest.mark.parametrize(
    ("name", "status"),
    [("pm_card_visa", ChargeStatus.SUCCEEDED), ("pm_becs_success", ChargeStatus.PROCESSING)],
)
def test_what_moves_already_cannot_be_cancelled_and_says_so(
    stripe: WatchedStripe, name: str, status: ChargeStatus
) -> None:
    """A debit cannot be recalled once it is confirmed; the present state comes back instead of an error."""
    report = stripe.charge(name)

    assert stripe.processor.cancel_charge(stripe.key(), report.processor_id).status is status


def test_a_bank_account_cannot_be_held(stripe: WatchedStripe) -> None:
    """Only cards know reserved money."""
    with pytest.raises(Rejected, match="payment_intent_incompatible_payment_method"):
        stripe.charge("pm_becs_success", manual_capture=True)


@pytest.mark.parametrize(
    ("name", "code", "advice", "network"),
    [
        ("pm_card_decline_insufficient_funds", "insufficient_funds", "try_again_later", None),
        ("pm_card_decline_stolen_card", "stolen_card", "do_not_try_again", None),
        ("pm_card_decline_expired_card", "expired_card", "confirm_card_data", None),
        ("pm_card_decline_call_issuer", "call_issuer", None, None),
        ("pm_card_networkAdvice_03", "do_not_honor", "try_again_later", ("03", "05")),
        ("pm_card_networkAdvice_24", "do_not_honor", "try_again_later", ("24", "05")),
    ],
)
def test_a_decline_comes_with_what_is_needed_to_class_it(
    stripe: WatchedStripe, name: str, code: str, advice: str | None, network: tuple[str, str] | None
) -> None:
    """Advice of Stripe and of the network, in the answer itself and whenever it is read again."""
    report = stripe.charge(name)

    assert (report.failure_code, report.advice_code) == (code, advice)
    assert (report.network_advice_code, report.network_decline_code) == (network or (None, None))
    assert stripe.processor.read_charge(report.processor_id) == report


@pytest.mark.parametrize(("name", "kind"), [("pm_card_visa", CARD), ("pm_becs_success", BECS)])
def test_the_platforms_fee_is_told_apart_from_stripes(stripe: WatchedStripe, name: str, kind: str) -> None:
    """Both leave the practice's balance with the charge; the settlement and the balance line name each."""
    before = stripe.now
    report = stripe.charge(name, stripe.platform, application_fee=PLATFORM_FEE, description="INV-0042")
    stripe.wait(timedelta(days=5))
    settled = stripe.platform.read_charge(report.processor_id).settlement

    assert settled is not None
    assert (settled.gross, settled.application_fee) == (PRICE, PLATFORM_FEE)
    assert settled.fee == Money(fee_for(PRICE.cents, kind), "aud")
    lines = stripe.platform.movements(before, stripe.now)
    (line,) = [line for line in lines if line.source_id == settled.processor_charge_id]
    assert (line.gross, line.fee, line.application_fee) == (PRICE, settled.fee, PLATFORM_FEE)
    shown = stripe.ask(f"payment_intents/{report.processor_id}")
    assert (shown["description"], shown["application_fee_amount"]) == ("INV-0042", PLATFORM_FEE.cents)


def test_a_debit_that_comes_back_gives_the_platforms_fee_back(stripe: WatchedStripe) -> None:
    """The two balance lines add up to nothing, fee by fee."""
    before = stripe.now
    report = stripe.charge("pm_becs_fail_refer_to_customer", stripe.platform, application_fee=PLATFORM_FEE)
    stripe.wait(timedelta(days=5))
    failed = stripe.platform.read_charge(report.processor_id)

    found = stripe.platform.movements(before, stripe.now)

    lines = [line for line in found if line.source_id == failed.failed_charge_id]
    assert [line.application_fee.cents for line in lines] == [PLATFORM_FEE.cents, -PLATFORM_FEE.cents]
    assert sum(line.fee.cents for line in lines) == sum(line.gross.cents for line in lines) == 0


@pytest.mark.parametrize(
    ("captured", "again", "taken"),
    [(PART, None, PLATFORM_FEE), (PENNY, None, PENNY), (PART, PENNY, PENNY)],
    ids=["part", "less than the fee", "a fee of its own"],
)
def test_the_platforms_fee_of_a_hold_is_at_most_what_is_captured(
    stripe: WatchedStripe, captured: Money, again: Money | None, taken: Money
) -> None:
    """The fee of the preparation stays, capped, unless the capture names another."""
    held = stripe.charge("pm_card_visa", stripe.platform, manual_capture=True, application_fee=PLATFORM_FEE)

    report = stripe.platform.capture_charge(stripe.key(), held.processor_id, captured, again)

    assert report.settlement is not None
    assert (report.settlement.gross, report.settlement.application_fee) == (captured, taken)


@pytest.mark.parametrize("fee", [PRICE, PRICE + PART])
def test_a_platform_cannot_keep_everything(stripe: WatchedStripe, fee: Money) -> None:
    """The fee must be less than the amount, at the preparation and at the capture."""
    with pytest.raises(Rejected, match="create the charge"):
        stripe.prepared("pm_card_visa", stripe.platform, application_fee=fee)

    held = stripe.charge("pm_card_visa", stripe.platform, manual_capture=True)
    with pytest.raises(Rejected, match="capture the hold"):
        stripe.platform.capture_charge(stripe.key(), held.processor_id, PRICE, fee)


def test_only_a_platform_takes_a_platforms_fee(stripe: WatchedStripe) -> None:
    """Without the account in the header Stripe refuses, and nothing was created."""
    with pytest.raises(Rejected, match="application_fees_not_allowed"):
        stripe.prepared("pm_card_visa", application_fee=PLATFORM_FEE)


def test_every_call_of_a_platform_names_the_account(stripe: WatchedStripe) -> None:
    """One that did not would act on the platform's own account."""
    processor = stripe.connected(account=ACCOUNT_ID)
    asked: list[str | None] = []
    client = processor._http._client
    assert client is not None
    client.event_hooks["request"].append(lambda request: asked.append(request.headers.get("Stripe-Account")))

    report = stripe.charge("pm_card_visa", processor, application_fee=PLATFORM_FEE)
    processor.refund_charge(stripe.key(), report.processor_id, PART)
    processor.check_account()
    list(processor.events_since(stripe.now))
    list(processor.returns_since(stripe.now))

    assert asked == [ACCOUNT_ID] * 7

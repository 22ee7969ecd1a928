"""The payment processor port on Stripe: what we send fits Stripe's document, and what comes back is understood."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr

from connector.billing.collecting.charges import ReturnKind
from connector.billing.members import MethodKind
from connector.billing.processor import ChargeStatus, EventKind
from connector.billing.stripe import StripeProcessor
from connector.billing.stripe.client import THROTTLED_SENDS
from connector.errors import AccessDenied, EdgeError, NotSent, OutcomeUnknown, RateLimited, Rejected
from connector.settings import StripeSettings
from tests.support.stripe_account import MONDAY, PRICE, WatchedStripe, watched_stripe


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedStripe]:
    with watched_stripe(tmp_path_factory.mktemp("stripe")) as running:
        yield running


def test_a_card_charge_is_settled_with_its_fee_at_once(stripe: WatchedStripe) -> None:
    """The confirmation's answer is final for a card and names gross, fee and Stripe's time."""
    report = stripe.charge("pm_card_visa")

    assert report.status is ChargeStatus.SUCCEEDED
    assert report.settlement is not None
    assert report.settlement.gross == PRICE
    assert 0 < report.settlement.fee.cents < PRICE.cents
    assert report.settlement.at >= MONDAY


@pytest.mark.parametrize(
    ("method", "code", "mandate_dead"),
    [
        ("pm_card_decline_insufficient_funds", "insufficient_funds", False),
        ("pm_card_decline_lost_card", "lost_card", False),
        ("pm_card_chargeCustomerFail", "generic_decline", False),
        ("pm_card_authenticationRequired", "authentication_required", False),
    ],
)
def test_a_declined_card_is_a_report_and_not_an_error(
    stripe: WatchedStripe, method: str, code: str, mandate_dead: bool
) -> None:
    """The report carries the decline code, and reading the charge again says the same."""
    report = stripe.charge(method)

    assert (report.status, report.failure_code, report.mandate_dead) == (ChargeStatus.OPEN, code, mandate_dead)
    assert stripe.processor.read_charge(report.processor_id).failure_code == code


@pytest.mark.parametrize(
    ("method", "status", "code", "mandate_dead"),
    [
        ("pm_becs_success", ChargeStatus.SUCCEEDED, None, False),
        ("pm_becs_fail_refer_to_customer", ChargeStatus.OPEN, "refer_to_customer", False),
        ("pm_becs_fail_account_closed", ChargeStatus.OPEN, "account_closed", True),
    ],
)
def test_a_bank_debit_is_processing_for_days_and_then_decided(
    stripe: WatchedStripe, method: str, status: ChargeStatus, code: str | None, mandate_dead: bool
) -> None:
    """BECS answers after two business days; some failures end the payer's authority."""
    report = stripe.charge(method)
    assert report.status is ChargeStatus.PROCESSING

    now = datetime.fromisoformat(stripe.http.get("/_sandbox/clock").json()["now"])
    stripe.move_to(now + timedelta(days=5))
    later = stripe.processor.read_charge(report.processor_id)

    assert (later.status, later.failure_code, later.mandate_dead) == (status, code, mandate_dead)


def test_the_same_key_gives_the_same_charge_and_the_same_answer(stripe: WatchedStripe) -> None:
    """A repeat after a lost answer moves no money a second time."""
    customer, method = stripe.payer("pm_card_visa")

    first = [stripe.processor.prepare_charge("pi:same", customer, PRICE, "ch_s", "inv_s", "loc_1") for _ in range(2)]
    reports = [stripe.processor.confirm_charge("confirm:same", first[0], method, PRICE) for _ in range(2)]

    assert first[0] == first[1]
    assert reports[0] == reports[1]


def test_confirming_under_a_new_key_what_has_succeeded_adopts_the_success(stripe: WatchedStripe) -> None:
    """A payment object succeeds once: a later confirmation is refused, and its state is what counts."""
    customer, method = stripe.payer("pm_card_visa")
    intent = stripe.processor.prepare_charge("pi:once", customer, PRICE, "ch_o", "inv_o", "loc_1")
    first = stripe.processor.confirm_charge("confirm:once", intent, method, PRICE)

    second = stripe.processor.confirm_charge("confirm:again", intent, method, PRICE)

    assert second == first


def test_a_page_that_nobody_completed_is_no_enrolment(stripe: WatchedStripe) -> None:
    """Opening the page changes nothing."""
    customer = stripe.processor.create_customer("cus:idle", "mem_idle")
    page = stripe.processor.open_enrolment("enrol:idle", customer, "con_idle", "aud")
    stripe.http.get(page.url)

    assert stripe.processor.read_enrolment(page.session_id) is None
    assert "checkout" not in repr(page)


def test_an_existing_method_is_adopted_and_a_refused_one_is_named(stripe: WatchedStripe) -> None:
    """Methods that exist at Stripe already come in by import; a card that Stripe refuses to attach is refused."""
    customer = stripe.processor.create_customer("cus:adopt", "mem_adopt")

    method = stripe.processor.attach_method("attach:1", customer, "pm_card_visa")

    assert (method.kind, len(method.last4)) == (MethodKind.CARD, 4)
    with pytest.raises(Rejected, match="payment method"):
        stripe.processor.attach_method("attach:2", customer, "pm_card_visa_chargeDeclinedLostCard")


def test_events_come_oldest_first_and_movements_name_their_location(stripe: WatchedStripe) -> None:
    """The feed tells of the charge, and the balance line leads back to invoice and location."""
    before = datetime.fromisoformat(stripe.http.get("/_sandbox/clock").json()["now"])
    report = stripe.charge("pm_card_visa")

    events = list(stripe.processor.events_since(before))
    lines = list(stripe.processor.movements(before, before + timedelta(days=1)))

    assert [event.created for event in events] == sorted(event.created for event in events)
    assert (EventKind.CHARGE, report.processor_id) in [(event.kind, event.object_id) for event in events]
    assert report.settlement is not None
    ours = [line for line in lines if line.source_id == report.settlement.processor_charge_id]
    assert [(line.location_id, line.gross) for line in ours] == [("loc_1", PRICE)]


def test_a_dispute_is_final_once_the_money_has_left(stripe: WatchedStripe) -> None:
    """Amount and fee of a late BECS return are read from the dispute."""
    report = stripe.charge("pm_card_createDispute")
    before = datetime.fromisoformat(stripe.http.get("/_sandbox/clock").json()["now"])

    disputes = [event for event in stripe.processor.events_since(before) if event.kind is EventKind.DISPUTE]
    returned = stripe.processor.read_return(ReturnKind.DISPUTE, disputes[-1].object_id)

    assert report.settlement is not None
    assert returned.processor_charge_id == report.settlement.processor_charge_id
    assert (returned.final, returned.amount) == (True, PRICE)
    assert returned.fee.cents > 0


@pytest.mark.usefixtures("hasty_stripe")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status_before", "status": 503, "count": 3}, OutcomeUnknown),
        ({"kind": "reset_after", "count": 3}, OutcomeUnknown),
        ({"kind": "rate_limit", "count": THROTTLED_SENDS}, RateLimited),
        ({"kind": "html_200", "count": 3}, OutcomeUnknown),
    ],
)
def test_trouble_on_the_way_is_named_by_what_it_means_and_passes(
    stripe: WatchedStripe, fault: dict[str, object], error: type[EdgeError]
) -> None:
    """Each fault has its error class, and the next call works."""
    stripe.fault(method="POST", path="/v1/customers", **fault)

    with pytest.raises(error):
        stripe.processor.create_customer(f"cus:{fault['kind']}", "mem_f")

    stripe.http.delete("/_sandbox/faults")
    assert stripe.processor.create_customer(f"cus:{fault['kind']}:2", "mem_f").startswith("cus_")


def test_a_wrong_key_denies_access(stripe: WatchedStripe) -> None:
    """Stop all charging, and say what to check."""
    with pytest.raises(AccessDenied, match="key"):
        stripe.with_key("nonsense").create_customer("cus:denied", "mem_d")


def test_a_stripe_that_cannot_be_reached_got_nothing() -> None:
    """A refused connection is the one case in which surely nothing was sent."""
    settings = StripeSettings(secret_key=SecretStr("sk_test_x"), api_base="http://127.0.0.1:9", timeout_seconds=1)

    with closing(StripeProcessor(settings)) as processor, pytest.raises(NotSent):
        processor.create_customer("cus:1", "mem_1")

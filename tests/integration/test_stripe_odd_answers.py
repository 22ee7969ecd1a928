"""Whatever Stripe answers to the newer calls becomes one of our errors: in doubt after a write, refused after a 402."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest
import respx
from pydantic import SecretStr

from connector.billing.collecting.charges import ReturnKind
from connector.billing.members import MethodKind
from connector.billing.processor import AuthorisedMethod, ChargeStatus
from connector.billing.stripe import StripeProcessor
from connector.errors import OutcomeUnknown, Rejected, UnexpectedResponse
from connector.settings import StripeSettings
from tests.support.stripe_account import BACK, PRICE

DAY = datetime(2026, 3, 2, tzinfo=UTC)
CARD = AuthorisedMethod(MethodKind.CARD, "pm_1", None, "4242")
Call = Callable[[StripeProcessor], object]

READS: dict[str, Call] = {
    "check_account": lambda p: p.check_account(),
    "read_method": lambda p: p.read_method("pm_1"),
    "mandate_active": lambda p: p.mandate_active("mandate_1"),
    "read_refund": lambda p: p.read_return(ReturnKind.REFUND, "re_1"),
    "read_dispute": lambda p: p.read_return(ReturnKind.DISPUTE, "dp_1"),
    "charges_since": lambda p: list(p.charges_since(DAY)),
    "returns_since": lambda p: list(p.returns_since(DAY)),
    "payouts_since": lambda p: list(p.payouts_since(DAY)),
}
WRITES: dict[str, Call] = {
    "present_charge": lambda p: p.present_charge("k", "pi_1", CARD, PRICE, BACK),
    "capture_charge": lambda p: p.capture_charge("k", "pi_1", PRICE),
    "cancel_charge": lambda p: p.cancel_charge("k", "pi_1"),
    "refund_charge": lambda p: p.refund_charge("k", "ch_1", PRICE),
}


@pytest.fixture
def processor() -> Iterator[StripeProcessor]:
    settings = StripeSettings(secret_key=SecretStr("sk_test_x"), api_base="http://127.0.0.1:9")
    with closing(StripeProcessor(settings)) as opened:
        yield opened


@pytest.mark.parametrize("call", READS.values(), ids=READS)
@respx.mock
def test_a_read_of_unexpected_shape_is_an_unexpected_response(processor: StripeProcessor, call: Call) -> None:
    """An object without its fields, or a list of such."""
    respx.route().respond(200, json={"object": "list", "data": [{"object": "x"}], "has_more": False})

    with pytest.raises(UnexpectedResponse):
        call(processor)


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
@respx.mock
def test_a_write_answered_in_an_unexpected_shape_is_in_doubt(processor: StripeProcessor, call: Call) -> None:
    """It was answered with 200, so it may have been carried out."""
    respx.route().respond(200, json={"object": "x"})

    with pytest.raises(OutcomeUnknown):
        call(processor)


@pytest.mark.parametrize(
    "call",
    [lambda p: p.refund_charge("k", "ch_1", PRICE), lambda p: p.create_customer("k", "mem_1")],
    ids=["refund_charge", "create_customer"],
)
@respx.mock
def test_a_402_where_nobody_expects_one_is_a_refusal(processor: StripeProcessor, call: Call) -> None:
    """The library's own errors never leave its package."""
    error = {"type": "card_error", "code": "card_declined", "message": "Ada Ferris"}
    respx.route().respond(402, json={"error": error}, headers={"Request-Id": "req_1"})

    with pytest.raises(Rejected, match="code card_declined, request req_1") as caught:
        call(processor)

    assert "Ada" not in str(caught.value)


@respx.mock
def test_a_capture_that_the_bank_declines_leaves_what_there_is_now(processor: StripeProcessor) -> None:
    """The reserved money may be gone: the state of the hold decides, not the refusal."""
    error = {"type": "card_error", "code": "capture_charge_authorization_expired", "message": "Too late"}
    respx.post(path="/v1/payment_intents/pi_1/capture").respond(402, json={"error": error})
    ended = {"id": "pi_1", "object": "payment_intent", "status": "canceled", "last_payment_error": None}
    respx.get(path="/v1/payment_intents/pi_1").respond(200, json=ended)

    assert processor.capture_charge("k", "pi_1", PRICE).status is ChargeStatus.CANCELLED


@respx.mock
def test_a_success_that_never_shows_its_money_is_in_doubt(processor: StripeProcessor) -> None:
    """It is looked at twice and asked again later; a payment without its fee is not recorded."""
    charge = {"id": "ch_1", "object": "charge", "balance_transaction": None}
    intent = {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "latest_charge": charge}
    route = respx.route().respond(200, json=intent)

    with pytest.raises(OutcomeUnknown, match="balance transaction"):
        processor.confirm_charge("k", "pi_1", CARD, PRICE)

    assert route.call_count == 2

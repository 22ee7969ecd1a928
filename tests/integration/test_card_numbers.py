"""Card numbers that people type into texts are refused wherever a text is kept, so that none reaches the database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connector.billing.agreements.contracts import Contract
from connector.billing.agreements.payment_plans import PaymentPlan, PaymentPlanTemplate
from connector.billing.agreements.payment_requests import InstantPayment, PaymentHold
from connector.billing.clinics import Clinic, Location
from connector.billing.collecting.charges import Payment, RefundRequest
from connector.billing.members import Member
from connector.billing.offers.benefit_uses import BenefitUse
from connector.billing.offers.plan_terms import terms_of
from connector.billing.offers.plans import MembershipPlan
from connector.billing.prices.discounts import PromoCode, Referral
from connector.billing.staff import StaffUser
from connector.errors import DomainError
from connector.use_cases.practice.location_settings import edit_clinic
from tests.support.commands import command
from tests.support.practice import Practice

CARD = "4242 4242 4242 4242"
DIGITS = "4242424242424242"
AMEX = "378282246310005"
TEXT = f"card {CARD} exp 12/29"
HERE = ("--location", "leura")
PERTH = ("--timezone", "Australia/Perth", "--currency", "aud", "--pms", "file_drop", "--pms-setting", "folder=drop")
MIA = ("--given-name", "Mia", "--family-name", "Lee", "--role", "admin")


@pytest.fixture
def settled(practice: Practice) -> Iterator[Practice]:
    """A practice with one payment."""
    practice.enrol("pm_card_visa")
    practice.work()
    yield practice


def test_no_command_keeps_a_card_number_in_a_text(settled: Practice) -> None:
    """Each says so in one sentence, which does not repeat the number."""
    member, payment = settled.all(Member)[0].id, settled.all(Payment)[0].id
    contract, other = settled.all(Contract)[0].id, settled.enrol(None, linked=False).contract_id
    plan = ("--total", "90.00", "--instalments", "3", "--first-due", "2026-10-01", "--description", TEXT)
    commands = [
        ("payment-requests", "add", member, "--amount", "10.00", "--description", TEXT),
        ("holds", "request", member, "--amount", "10.00", "--description", TEXT),
        ("payment-plans", "propose", member, *plan),
        ("payments", "refund", payment, "--amount", "1.00", "--yes", "--reason", TEXT),
        ("plans", "add", CARD, *HERE, "--price", "monthly=5"),
        ("locations", "edit", "leura", "--trading-name", CARD.replace(" ", "")),
        ("locations", "edit", "leura", "--address", TEXT),
        ("locations", "edit", "leura", "--email", f"{DIGITS}@example.com"),
        ("locations", "add", DIGITS, "--name", "Perth", *PERTH),
        ("promo-codes", "add", DIGITS, *HERE, "--percent", "5"),
        ("promo-codes", "add", "SPRING", *HERE, "--percent", "5", "--campaign", TEXT),
        ("members", "refer", contract, "--referred", other, "--campaign", TEXT),
        ("members", "edit", member, "--suburb", TEXT),
        ("members", "edit", member, "--suburb", CARD.replace(" ", "/")),
        ("members", "edit", member, "--address", CARD[:9], "--suburb", CARD[10:]),
        ("benefits", "use", member, AMEX, "--override"),
        ("payment-plans", "template", "add", CARD, *HERE, "--min", "90.00", "--max", "900.00", "--months", "3"),
        ("users", "add", "--clinic", "Leura Dental", *MIA, "--email", f"{DIGITS}@example.com"),
    ]

    for arguments in commands:
        done = command(settled, *arguments)
        assert (done.code, done.out) == (1, ""), arguments
        assert "This holds a card number: nothing was kept" in done.err, arguments
        assert not [number for number in (CARD, DIGITS, AMEX) if number in done.err]

    kept = (
        InstantPayment,
        PaymentHold,
        PaymentPlan,
        PaymentPlanTemplate,
        RefundRequest,
        PromoCode,
        Referral,
        BenefitUse,
    )
    assert [settled.all(model) for model in (*kept, StaffUser)] == [[]] * 9
    assert len(settled.all(Location)) == 1
    assert len(settled.all(MembershipPlan)) == 3
    assert CARD not in settled.all(Location)[0].address + settled.all(Location)[0].trading_name
    with pytest.raises(DomainError, match="holds a card number"):
        edit_clinic(settled.context, settled.all(Clinic)[0].name, {"contact": TEXT}, "person:mia")


def in_the(field: str) -> dict[str, object]:
    return {"prices": {"monthly": 2_990}, field: TEXT}


@pytest.mark.parametrize(
    "document",
    [
        in_the("description"),
        in_the("terms"),
        {**in_the("terms"), "terms": "", "benefits": [{"title": CARD, "annual_quantity": 1}]},
        {**in_the("terms"), "terms": "", "benefits": [{"title": "A", "annual_quantity": 1, "terms": TEXT}]},
        {"prices": {"monthly": 2_990}, "benefits": [{"title": "A", "annual_quantity": 1, "procedure_codes": [AMEX]}]},
        {**in_the("terms"), "terms": "", "discounts": {"general": {"note": TEXT}}},
    ],
)
def test_a_plan_has_no_card_number_in_any_text(document: dict[str, object]) -> None:
    """Its description, its terms, and what it says about benefits and discounts."""
    with pytest.raises(DomainError, match="This holds a card number"):
        terms_of(document)

"""The platform's fee in real payments: rounded once for each, borne by either, booked, and stated once a month."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.billing.invoices import Invoice, InvoiceKind, InvoiceLine
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.policy import FeeBearer
from connector.billing.prices.platform_fee import DEFAULT_TIERS, FeeCategory, Tier
from connector.billing.prices.platform_fees import FeeCollection, FeeStatement, PlatformFee
from connector.billing.prices.pricing import LineKind, PricedLine, amount_of
from connector.billing.processor import PaymentProcessor
from connector.billing.stripe import StripeProcessor
from connector.cli.main import cli
from connector.daemon.application import application
from connector.errors import DomainError
from connector.ledger.accounts import Account
from connector.ledger.journal import JournalEntry
from connector.ledger.recipes import Recipe
from connector.ledger.write_back.models import WriteBack
from connector.money import Money
from connector.sandbox.stripe.world import ACCOUNT_ID
from connector.settings import StripeSettings, load_settings
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.record_desk_payment import DeskMethod, record_desk_payment
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.context import Context
from connector.use_cases.invoices.platform_fees import application_fee_cents, category_of, with_platform_fee
from connector.use_cases.patient_pages.pay_invoice import pay_invoice
from connector.use_cases.practice.fee_statements import list_fee_months, make_fee_statement
from connector.use_cases.requests.hold_payment import authorise_hold
from connector.use_cases.requests.settle_hold import capture_hold
from connector.use_cases.returns.refund_payment import refund_payment
from tests.support.platform_fees import HALVES, ask, balance, book, on_tier, paid
from tests.support.practice import KEY, Practice
from tests.support.requests import hold_for, method_of

ACTOR = "person:owner"
SEPTEMBER = date(2026, 9, 1)


@pytest.fixture
def platform(practice: Practice) -> Iterator[PaymentProcessor]:
    """Stripe as a platform sees it that acts for the practice's account."""
    processor = StripeProcessor(
        StripeSettings(secret_key=SecretStr(KEY), api_base=practice.stripe.address, account=ACCOUNT_ID)
    )
    yield processor
    processor.close()


def location(**settings: str) -> Location:
    """A location with these settings, in no database."""
    return Location(id="loc_1", slug="leura", currency="aud", timezone="Australia/Sydney", settings=settings)


def context_with(kept: bool) -> Context:
    """What the pure parts need of a context."""
    return Context(None, None, None, None, tiers={"own": HALVES}, fee_kept_by_stripe=kept)  # type: ignore[arg-type]


def test_every_payment_bears_its_own_fee_rounded_half_up(practice: Practice) -> None:
    """A membership by its rate and the rest by the other; the practice pays, so the patient's invoice is as it was."""
    on_tier(practice)
    person = practice.enrol()
    asked = {ask(practice, person, cents): cents for cents in (2000, 2100, 2020, 100, 60)}

    fees = paid(practice, asked)

    assert [(asked[key], row.amount_cents, row.gst_cents) for key, row in fees.items()] == [
        (2000, 50, 3),
        (2100, 53, 3),
        (2020, 51, 3),
        (100, 3, 0),
        (60, 2, 0),
    ]
    assert {(row.bearer, row.collection) for row in fees.values()} == {(FeeBearer.PRACTICE, FeeCollection.STATEMENT)}
    (membership,) = (row for row in practice.all(Invoice) if row.kind is InvoiceKind.MEMBERSHIP)
    assert (membership.amount_cents, book(practice)[membership.id].amount_cents) == (2990, 52)
    assert not [line for line in practice.all(InvoiceLine) if line.kind is LineKind.PLATFORM_FEE]


def test_a_fee_that_the_patient_bears_stands_on_the_invoice_and_in_no_patients_ledger(practice: Practice) -> None:
    """Stripe takes both, the practice system sees the treatment only, and the fee is no income of the practice."""
    person = practice.paid()
    on_tier(practice, fee_bearer="patient")
    key = ask(practice, person, 10_000)

    fee = paid(practice, [key])[key]

    assert (fee.amount_cents, fee.gst_cents, fee.bearer) == (250, 15, FeeBearer.PATIENT)
    (payment,) = (row for row in practice.all(Payment) if row.invoice_id == key)
    assert payment.amount_cents == 10_250
    lines = [row for row in practice.all(InvoiceLine) if row.invoice_id == key]
    assert [(row.kind, row.member_id, row.amount_cents, row.gst_cents) for row in lines] == [
        (LineKind.INSTANT, person.member_id, 10_000, 0),
        (LineKind.PLATFORM_FEE, None, 250, 15),
    ]
    assert (balance(practice, Account.FEES_CHARGED_ON), balance(practice, Account.TREATMENT_INCOME)) == (-235, -10_000)
    assert 10_000 in [row.amount_cents for row in practice.all(WriteBack)]
    assert 10_250 not in [row.amount_cents for row in practice.all(WriteBack)]
    assert verify_ledger(practice.context).faults == []


def test_a_change_of_rates_does_not_touch_what_was_invoiced(practice: Practice) -> None:
    """The patient was told 2.50, so 2.50 is owed, although the rate and the bearer are others by then."""
    on_tier(practice, fee_bearer="patient")
    key = ask(practice, practice.enrol(), 10_000)
    dearer = Tier(name="Own", membership_percent=Decimal(50), other_percent=Decimal(50), gst_percent=Decimal(10))
    on_tier(practice, dearer, fee_bearer="practice")

    fee = paid(practice, [key])[key]

    assert (fee.amount_cents, fee.gst_cents, fee.bearer) == (250, 15, FeeBearer.PATIENT)


@pytest.mark.parametrize(("bearer", "gross"), [("practice", 10_000), ("patient", 10_250)])
def test_stripe_keeps_the_fee_where_a_platform_is_configured(
    practice: Practice, platform: PaymentProcessor, bearer: str, gross: int
) -> None:
    """What it kept is what is booked, so nothing is owed to the platform afterwards, and the statement says so."""
    on_tier(practice, processor=platform, fee_bearer=bearer)
    key = ask(practice, practice.enrol(method="pm_card_visa"), 10_000)
    owed = balance(practice, Account.PLATFORM_PAYABLE)

    fee = paid(practice, [key])[key]

    (charge,) = (row for row in practice.stripe_charges() if row["metadata"]["invoice_id"] == key)
    assert (charge["amount"], charge["application_fee_amount"]) == (gross, 250)
    assert (fee.amount_cents, fee.collection) == (250, FeeCollection.APPLICATION_FEE)
    others = sum(row.amount_cents for row in practice.all(PlatformFee) if row.collection is FeeCollection.STATEMENT)
    assert owed - balance(practice, Account.PLATFORM_PAYABLE) == others
    practice.advance(days=30)
    shown = make_fee_statement(practice.context, "leura", SEPTEMBER, ACTOR)
    assert (shown.owed.cents, shown.kept.cents) == (others, shown.fee.cents - others)


@pytest.mark.parametrize("at_dashboard", [False, True])
def test_the_fee_of_a_hold_is_of_what_is_captured(
    practice: Practice, platform: PaymentProcessor, at_dashboard: bool
) -> None:
    """Stripe keeps it of the part that is taken; who captures at the dashboard tells it no fee, so that is stated."""
    payer = practice.enrol()
    on_tier(practice, processor=platform)
    hold_id = hold_for(practice, payer, 12_000)
    authorise_hold(practice.context, hold_id, method_of(practice, payer))

    if at_dashboard:
        intent = practice.stripe_listed("payment_intents")[-1]
        practice.stripe_do(f"payment_intents/{intent['id']}/capture", amount_to_capture="8000")
        practice.charge()
    else:
        capture_hold(practice.context, hold_id, Money(8_000, "aud"), ACTOR)

    (payment,) = (row for row in practice.all(Payment) if row.amount_cents == 8_000)
    (fee,) = (row for row in practice.all(PlatformFee) if row.payment_id == payment.id)
    (charge,) = (row for row in practice.stripe_charges() if row["id"] == payment.processor_charge_id)
    assert (fee.amount_cents, fee.gst_cents) == (200, 12)
    assert charge["application_fee_amount"] == (None if at_dashboard else 200)
    assert fee.collection is (FeeCollection.STATEMENT if at_dashboard else FeeCollection.APPLICATION_FEE)
    assert verify_ledger(practice.context).faults == []


def disputed(practice: Practice, cents: int) -> Invoice:
    """The only invoice, of whose payment the bank has fetched so much back."""
    practice.work()
    practice.settle()
    (payment,) = practice.all(Payment)
    practice.advance(minutes=1)
    practice.stripe.post("disputes", charge=payment.processor_charge_id, amount=cents)
    practice.work()
    practice.settle()
    (invoice,) = practice.all(Invoice)
    return invoice


@pytest.mark.parametrize("bearer", ["practice", "patient"])
@pytest.mark.parametrize("left", [1_000, 60])
def test_of_what_is_left_of_an_invoice_stripe_keeps_the_fee_of_that(
    practice: Practice, platform: PaymentProcessor, bearer: str, left: int
) -> None:
    """A dispute over a part is paid by link: the platform gets its percentage of that, also where the whole is more."""
    tier = Tier(name="Five", membership_percent=Decimal(5), other_percent=Decimal(5))
    on_tier(practice, tier, processor=platform, fee_bearer=bearer)
    practice.enrol()
    invoice = disputed(practice, left)

    pay_invoice(practice.context, invoice.id, "https://practice.example/back")
    practice.work()

    share = left * 5 // 100 if bearer == "practice" else round(left * 150 / 3_140)
    assert [row["application_fee_amount"] for row in practice.stripe_charges()] == [150, share]
    assert [row.amount_cents for row in practice.all(PlatformFee)] == [150, share]
    assert verify_ledger(practice.context).faults == []


@pytest.mark.parametrize("by_link", [True, False])
@pytest.mark.parametrize("given_back", [0, 1_000])
def test_a_payment_of_a_part_carries_its_share_of_the_fee_that_the_patient_bears(
    practice: Practice, by_link: bool, given_back: int
) -> None:
    """The book is in order after a refund, a dispute, a payment of what is left, and a refund of a part of that."""
    on_tier(practice, fee_bearer="patient")
    practice.paid()
    (first,) = practice.all(Payment)
    if given_back:
        refund_payment(practice.context, first.id, Money(given_back, "aud"), "", ACTOR)
        practice.work()
    invoice = disputed(practice, 1_500)

    if by_link:
        pay_invoice(practice.context, invoice.id, "https://practice.example/back")
    else:
        record_desk_payment(practice.context, invoice.id, DeskMethod.CASH, practice.today, ACTOR)
    practice.work()
    practice.settle()
    (second,) = (row for row in practice.all(Payment) if row.id != first.id)
    (entry,) = (row for row in practice.all(WriteBack) if row.source_id == second.id)
    before = verify_ledger(practice.context).faults
    if by_link:
        refund_payment(practice.context, second.id, Money(700, "aud"), "", ACTOR)
        practice.work()

    assert (second.amount_cents, entry.amount_cents) == (1_500, 1_500 - round(1_500 * 52 / 3_042))
    assert before == verify_ledger(practice.context).faults == []


def test_every_fee_has_its_entry_and_every_entry_its_fee(practice: Practice) -> None:
    """In one unit of work, on the payment's day, once: a second booking is refused by the key."""
    on_tier(practice)
    person = practice.enrol()
    fees = paid(practice, [ask(practice, person, cents) for cents in (4999, 12_345)])

    entries = [row for row in practice.all(JournalEntry) if row.recipe is Recipe.PLATFORM_FEE]

    assert sorted(row.source_id for row in entries) == sorted(row.payment_id for row in practice.all(PlatformFee))
    assert {row.effective_date for row in entries} == {row.business_date for row in fees.values()} == {practice.today}
    total, gst = (
        sum(getattr(row, name) for row in practice.all(PlatformFee)) for name in ("amount_cents", "gst_cents")
    )
    assert balance(practice, Account.PLATFORM_PAYABLE) == -total
    assert (balance(practice, Account.PLATFORM_FEES), balance(practice, Account.GST_ON_FEES)) == (total - gst, gst)
    assert verify_ledger(practice.context).faults == []


def test_a_fee_of_nothing_makes_no_row(practice: Practice) -> None:
    """A tier that takes nothing leaves neither a fee nor an entry."""
    on_tier(practice, Tier(name="Own", membership_percent=Decimal(0), other_percent=Decimal(0)))
    practice.paid()

    assert paid(practice, []) == {}
    assert not [row for row in practice.all(JournalEntry) if row.recipe is Recipe.PLATFORM_FEE]


def test_a_statement_adds_up_and_never_changes(practice: Practice) -> None:
    """Made once the month is over; money that comes for its days afterwards is in the next one, so none is missed."""
    on_tier(practice)
    person = practice.enrol()
    paid(practice, [ask(practice, person, cents) for cents in (2100, 4999, 12_345)])
    with pytest.raises(DomainError, match=r"09/2026 is not over: its statement is made from 01/10/2026 on"):
        make_fee_statement(practice.context, "leura", SEPTEMBER, ACTOR)
    assert practice.all(FeeStatement) == []
    practice.advance(days=29, hours=14, minutes=55)
    late = ask(practice, person, 3300)
    practice.stripe.post("faults", method="POST", path="/v1/payment_intents/*/confirm", kind="reset_after", count=3)
    assert run_due(practice.context).problems != []
    practice.advance(minutes=10)

    made = make_fee_statement(practice.context, "leura", SEPTEMBER, ACTOR)
    assert read_news(practice.context).problems == []
    late_fee = book(practice)[late]
    again = make_fee_statement(practice.context, "leura", SEPTEMBER, "person:other")

    assert again == made
    rows = [row for row in practice.all(PlatformFee) if row.payment_id != late_fee.payment_id]
    assert (made.payments, made.fee.cents, made.gst.cents) == (
        len(rows),
        sum(row.amount_cents for row in rows),
        sum(row.gst_cents for row in rows),
    )
    assert sum(line.fee_cents for line in made.lines) == made.fee.cents == made.owed.cents
    assert [row.business_date for row in practice.all(Payment) if row.invoice_id == late] == [date(2026, 9, 30)]
    assert late_fee.business_date == date(2026, 10, 1)
    months = list_fee_months(practice.context, "leura")
    assert [(row.month, row.payments, row.statement_id) for row in months] == [
        (date(2026, 10, 1), 1, None),
        (SEPTEMBER, made.payments, made.id),
    ]
    assert len(practice.all(FeeStatement)) == 1


def test_fees_are_shown_on_the_command_line(practice: Practice) -> None:
    """The statement with its payments and the list of months, also for machines; an empty month is stated as such."""
    on_tier(practice)
    paid(practice, [ask(practice, practice.enrol(), 10_000)])
    practice.advance(days=35)

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli, ["platform-fees", *words], env=practice.environment(), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    shown = json.loads(run("statement", "2026-09", "--location", "leura", "--json"))
    assert (shown["fee_cents"], shown["owed_cents"]) == (sum(row["fee_cents"] for row in shown["lines"]),) * 2
    assert f"{shown['payments']} payments: " in run("statement", "2026-09", "--location", "leura")
    (month,) = json.loads(run("list", "--json"))
    assert (month["month"], month["fee_cents"], month["statement_id"]) == ("2026-09", shown["fee_cents"], shown["id"])
    empty = json.loads(run("statement", "2026-08", "--location", "leura", "--json"))
    assert (empty["payments"], empty["fee_cents"], empty["lines"]) == (0, 0, [])
    assert "08/2026" in run("list", "--location", "leura")


@pytest.mark.parametrize("kind", InvoiceKind)
def test_a_membership_has_the_rate_of_memberships_to_its_end(kind: InvoiceKind) -> None:
    """Also what is owed for leaving early; everything else has the other rate."""
    is_membership = kind in (InvoiceKind.MEMBERSHIP, InvoiceKind.EXIT)

    assert category_of(kind) is (FeeCategory.MEMBERSHIP if is_membership else FeeCategory.OTHER)
    line = PricedLine(LineKind.PLAN, "mem_1", "Essential", Money(10_000, "aud"), TaxCode.GST_FREE)
    lines = with_platform_fee({"own": HALVES}, location(platform_tier="own", fee_bearer="patient"), kind, [line], None)
    assert amount_of(lines, "aud").cents == (10_175 if is_membership else 10_250)
    assert with_platform_fee({"own": HALVES}, location(platform_tier="own"), kind, [line], None) == (line,)


def test_nothing_is_invoiced_on_a_tier_that_is_not_in_the_settings() -> None:
    """Money must not come in whose fee nobody could book."""
    line = PricedLine(LineKind.PLAN, "mem_1", "Essential", Money(10_000, "aud"), TaxCode.GST_FREE)

    with pytest.raises(DomainError, match="no rates for its platform tier 'own'"):
        with_platform_fee(DEFAULT_TIERS, location(platform_tier="own"), InvoiceKind.MEMBERSHIP, [line], None)


@given(st.integers(min_value=50, max_value=99_999_999), st.sampled_from(InvoiceKind), st.booleans())
def test_an_application_fee_is_less_than_the_amount(cents: int, kind: InvoiceKind, on_top: bool) -> None:
    """Stripe accepts no other; without a platform there is none."""
    amount, whole = Money(cents, "aud"), Money(cents, "aud") if on_top else None
    kept = application_fee_cents(context_with(True), location(platform_tier="own"), kind, amount, whole)

    assert 0 < kept < cents
    assert kept == cents - 1 if on_top else kept == amount.percent(HALVES.rate(category_of(kind))).cents
    assert application_fee_cents(context_with(False), location(platform_tier="own"), kind, amount, whole) == 0


def test_the_settings_bring_rates_public_address_and_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiers of the file stand beside the built-in ones and in front of them; a rate above 100 % is refused."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "connector.toml"
    file.write_text(
        '[platform.tiers.pro]\nmembership_percent = 1.05\nother_percent = "0.95"\ngst_percent = 10\n'
        "[platform.tiers.friends]\nmembership_percent = 0\nother_percent = 0\n"
        f'[links]\npublic_url = "https://pay.example.org/"\n[stripe]\naccount = "{ACCOUNT_ID}"\n',
        encoding="utf-8",
    )

    with application(load_settings()) as context:
        assert context.tiers["pro"] == Tier(
            name="Pro",
            membership_percent=Decimal("1.05"),
            other_percent=Decimal("0.95"),
            gst_percent=Decimal(10),
        )
        assert context.tiers["friends"].gst_percent == 6
        assert context.tiers["free"] == DEFAULT_TIERS["free"]
        assert (context.public_url, context.fee_kept_by_stripe) == ("https://pay.example.org", True)

    for wrong in ("[platform.tiers.pro]\nmembership_percent = 101\nother_percent = 1\n", "[platform.tiers.'A B']\n"):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(DomainError, match=r"platform\.tiers"):
            load_settings()

"""Taking a practice over from another platform: members, families and payment plans go on without any sign-up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment, RequestStatus
from connector.billing.agreements.schedule import Frequency
from connector.billing.invoices import Invoice, InvoiceKind, InvoiceStatus
from connector.billing.members import Member, MethodKind, PaymentMethod
from connector.billing.policy import FeeBearer
from connector.billing.prices.pricing import Position
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.use_cases.practice.set_up_location import add_location
from connector.use_cases.requests.list_requests import list_requests
from connector.use_cases.transfer import import_payment_plans as plans_module
from connector.use_cases.transfer.import_members import import_members
from connector.use_cases.transfer.import_payment_plans import PlanImportReport, import_payment_plans, plan_id
from tests.support.leaving import adopt
from tests.support.practice import Practice

HEADER = (
    "id,given_name,family_name,date_of_birth,plan,frequency,price,next_due,cycle_from,member_since,lock_in_until,"
    "balance,holder,stripe_customer,stripe_payment_method,stripe_mandate"
)
PLAN_HEADER = "id,member,total,paid,instalments_left,frequency,next_due,description,cycle_from,currency"


@dataclass(frozen=True, slots=True)
class Payer:
    """A customer at Stripe with a payment method, as another platform has left them."""

    customer: str
    method: str
    mandate: str = ""

    @property
    def cells(self) -> str:
        return f"{self.customer},{self.method},{self.mandate}"


def payer(practice: Practice, method: str = "pm_card_visa") -> Payer:
    """Somebody who signed up on a page of the other platform."""
    processor = practice.context.processor
    key = f"{method}:{practice.clock.now()}:{len(practice.stripe_listed('customers'))}"
    customer = processor.create_customer(f"c:{key}", "theirs")
    page = processor.open_enrolment(f"e:{key}", customer, "theirs", "aud")
    assert practice.stripe.client.post(page.url, data={"method": method}).status_code == 303
    found = processor.read_enrolment(page.session_id)
    assert found is not None
    return Payer(customer, found[1].processor_id, found[1].mandate_id or "")


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    file = folder / "file.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def row(practice: Practice, model: type[Contract]) -> Contract:
    (found,) = practice.all(model)
    return found


def test_a_family_goes_on_with_its_card_its_prices_and_its_day(practice: Practice, tmp_path: Path) -> None:
    """Nothing is charged before the day, then all at once, whatever the order of the rows; nobody is written to."""
    card = payer(practice)
    file = write(
        tmp_path,
        "K1,Ina,Ferris,2019-05-06,Premium,,5.55,,,2024-02-03,,,H1,,,",
        f"H1,Ada,Ferris,1960-01-05,Essential,monthly,12.34,2026-09-30,2026-01-31,2024-01-31,2027-01-31,,,{card.cells}",
    )

    report, problems = adopt(practice.context, file)
    practice.advance(days=28)
    assert practice.charge() == []
    assert practice.stripe_charges() == []
    practice.advance(days=1)
    assert practice.charge() == []

    contract = row(practice, Contract)
    covers = {cover.position: cover for cover in practice.all(Cover)}
    (charge,) = practice.stripe_charges()
    assert (report.imported, report.refusals, report.to_invite, problems) == (2, [], [], [])
    assert (charge["customer"], charge["amount"]) == (card.customer, 1_111 + 499)  # A tenth less for each of the two.
    assert (covers[Position.HOLDER].price_cents, covers[Position.DEPENDENT].price_cents) == (1_234, 555)
    assert [covers[position].starts_on for position in Position] == [date(2024, 1, 31), date(2024, 2, 3)]
    assert (contract.lock_in_until, contract.next_due) == (date(2027, 1, 31), date(2026, 10, 31))
    assert [contract.due_date(contract.next_period + months) for months in (1, 4)] == [
        date(2026, 11, 30),
        date(2027, 2, 28),
    ]
    assert [message.kind for message in practice.all(Message)] == [MessageKind.RECEIPT]
    assert len([one for one in practice.stripe_listed("customers") if "member_id" in one["metadata"]]) == 1


def test_a_bank_debit_goes_on_under_its_mandate(practice: Practice, tmp_path: Path) -> None:
    """The direct debit request that was accepted elsewhere is the one that is debited under."""
    bank = payer(practice, "pm_becs_success")
    file = write(tmp_path, f"B1,Ada,Ferris,,Essential,weekly,,2026-09-03,,,,,,{bank.cells}")

    _, problems = adopt(practice.context, file)
    practice.advance(days=2)
    assert practice.charge() == []

    (method,) = practice.all(PaymentMethod)
    (intent,) = practice.stripe_listed("payment_intents")
    assert problems == []
    assert (method.kind, method.mandate_id, method.usable) == (MethodKind.BECS, bank.mandate, True)
    assert (intent["status"], intent["customer"]) == ("processing", bank.customer)


def test_a_method_that_cannot_be_charged_leaves_the_contract_pending(practice: Practice, tmp_path: Path) -> None:
    """A dead mandate, none, a detached card, and a card of somebody else: each says so, and nothing is charged."""
    dead, without, gone, foreign, ours = (
        payer(practice, method)
        for method in ("pm_becs_success", "pm_becs_success", "pm_card_visa", "pm_card_visa", "pm_card_visa")
    )
    practice.stripe.post("mandates/revoked", mandate=dead.mandate)
    practice.stripe_do(f"payment_methods/{gone.method}/detach")
    members = [
        dead.cells,
        f"{without.customer},{without.method},",
        gone.cells,
        f",{foreign.method},",
        ours.cells,
    ]
    rows = [
        f"M{number},{'ABCDE'[number]}x,Ferris,,Essential,weekly,,2026-09-03,,,,,,{cells}"
        for number, cells in enumerate(members)
    ]

    first, problems = adopt(practice.context, write(tmp_path, *rows))
    again, _ = adopt(practice.context, write(tmp_path, *rows))
    practice.advance(days=9)
    assert practice.charge() == []

    assert len(first.to_adopt) == 5
    assert len(again.to_adopt) == len(problems) == 4
    assert "has ended" in problems[0]
    assert "stripe_mandate" in problems[1]
    assert {charge["customer"] for charge in practice.stripe_charges()} == {ours.customer}
    statuses = [contract.status for contract in practice.all(Contract)]
    assert statuses.count(AgreementStatus.PENDING) == 4


def test_a_method_of_another_member_is_not_adopted(practice: Practice, tmp_path: Path) -> None:
    """The same card under another id would charge somebody for two."""
    card = payer(practice)
    adopt(practice.context, write(tmp_path, f"M1,Ada,Ferris,,Essential,weekly,,2026-09-03,,,,,,{card.cells}"))

    other = write(tmp_path, f"M2,Bea,Lee,,Essential,weekly,,2026-09-03,,,,,,cus_other,{card.method},")
    _, problems = adopt(practice.context, other)
    third, _ = adopt(
        practice.context, write(tmp_path, f"M3,Cy,Ng,,Essential,weekly,,2026-09-03,,,,,,{card.customer},pm_other,")
    )

    assert "belongs to the member mem_" in problems[0]
    assert [(refusal.line, refusal.column) for refusal in third.refusals] == [(2, "stripe_customer")]


def test_a_run_that_was_killed_is_finished_by_the_next(practice: Practice, tmp_path: Path) -> None:
    """However often it runs there is one active contract each, and one charge."""
    cards = [payer(practice), payer(practice)]
    file = write(
        tmp_path,
        *(f"M{n},{'AB'[n]}x,Ferris,,Essential,weekly,,2026-09-03,,,,,,{card.cells}" for n, card in enumerate(cards)),
    )
    import_members(practice.context, file, location_slug="leura")  # Killed before anything was adopted.

    _, problems = adopt(practice.context, file)
    last, _ = adopt(practice.context, file)
    practice.advance(days=3)
    assert practice.charge() == []

    assert (problems, last.to_adopt, last.imported, last.unchanged) == ([], [], 0, 2)
    assert len(practice.all(Contract)) == len(practice.stripe_charges()) == 2


def test_what_was_owed_elsewhere_is_asked_for_by_link_and_never_charged_by_itself(
    practice: Practice, tmp_path: Path
) -> None:
    """One overdue invoice of a request that does not lapse; neither adoption nor another card pays it unasked."""
    card = payer(practice)
    file = write(tmp_path, f"M1,Ada,Ferris,,Essential,monthly,,2026-11-30,,,,45.50,,{card.cells}")
    _, problems = adopt(practice.context, file)
    contract = row(practice, Contract)
    practice.advance(days=60)
    page = practice.context.processor.open_enrolment("new", card.customer, contract.id, "aud")
    practice.stripe.client.post(page.url, data={"method": "pm_card_mastercard"})
    assert practice.charge() == []

    (request,) = list_requests(practice.context, practice.location)
    (invoice,) = practice.all(Invoice)
    assert (problems, practice.stripe_charges()) == ([], [])
    assert (request.description, request.status) == ("Balance brought forward", RequestStatus.ACTIVE)
    assert (invoice.kind, invoice.status, invoice.amount_cents) == (InvoiceKind.INSTANT, InvoiceStatus.OVERDUE, 4_550)
    assert practice.all(InstantPayment)[0].expires_at > practice.clock.now() + timedelta(days=3_000)
    assert len(practice.all(PaymentMethod)) == 2


def test_a_holder_must_be_one(practice: Practice, tmp_path: Path) -> None:
    """Loops, chains, strangers and refused holders: each dependent is refused on its line, the others go in."""
    file = write(
        tmp_path,
        "A,Ann,Lee,,Essential,weekly,,,,,,,B,,,",
        "B,Bea,Lee,,Essential,weekly,,,,,,,A,,,",
        "C,Cy,Lee,,Essential,weekly,,,,,,,C,,,",
        "D,Di,Lee,,Essential,weekly,,,,,,,nobody,,,",
        "E,Ed,Lee,soon,Essential,weekly,,2026-09-03,,,,,,,,",
        "F,Fay,Lee,,Essential,weekly,,,,,,,E,,,",
        "G,Gus,Lee,,none,,,,,,,,,,,",
        "H,Hal,Lee,,Essential,weekly,,,,,,,G,,,",
        "I,Ida,Lee,,Essential,monthly,,2026-09-03,,,,,,cus_i,pm_i,",
        "J,Jo,Lee,,Essential,weekly,,,,,,,I,,,",
        "K,Kim,Lee,,Essential,,,,,,,,I,,,",
    )

    report = import_members(practice.context, file, location_slug="leura")
    later = import_members(practice.context, write(tmp_path, "L,Lou,Lee,,Essential,,,,,,,,K,,,"), location_slug="leura")

    found = [(refusal.line, refusal.column) for refusal in report.refusals]
    assert found == [(line, "holder") for line in (2, 3, 4, 5)] + [
        (6, "date_of_birth"),
        (7, "holder"),
        (9, "holder"),
        (11, "frequency"),
    ]
    assert "is a dependent" in report.refusals[0].reason
    assert report.imported == 3
    assert ["is a dependent" in refusal.reason for refusal in later.refusals] == [True]


def test_a_corrected_file_tells_what_differs_and_changes_nothing(practice: Practice, tmp_path: Path) -> None:
    """Each row names its columns; blank cells say nothing."""
    head = "id,given_name,family_name,phone,plan,frequency,price,gender,holder,email"
    file = write(
        tmp_path,
        "1,Ada,Lee,0412345678,Essential,weekly,9.00,f,,a@example.com",
        "2,Bo,Lee,,Essential,,,,1,",
        header=head,
    )
    import_members(practice.context, file, location_slug="leura")
    before = [vars(member) | {"_sa_instance_state": None} for member in practice.all(Member)]

    file = write(
        tmp_path, "1,Ada,Lee,0498765432,Premium,weekly,9.50,,,a@example.com", "2,Bo,Lee,,Essential,,,,,", header=head
    )
    report = import_members(practice.context, file, location_slug="leura", invite=False)

    assert [str(difference) for difference in report.differences] == [
        "line 2: phone, plan and price differ from what is stored"
    ]
    assert [vars(member) | {"_sa_instance_state": None} for member in practice.all(Member)] == before


def import_plans(practice: Practice, folder: Path, *rows: str) -> PlanImportReport:
    file = write(folder, *rows, header=PLAN_HEADER)
    return import_payment_plans(practice.context, file, location_slug="leura")


def test_the_rest_of_a_payment_plan_is_charged_to_the_cent(practice: Practice, tmp_path: Path) -> None:
    """What is left comes in equal parts on the agreed days, month ends included, and ends with the last."""
    card = payer(practice)
    adopt(practice.context, write(tmp_path, f"M1,Ada,Ferris,,none,,,,,,,,,{card.cells}"))
    line = "P1,M1,1000.00,499.98,3,monthly,2026-09-30,Crown,2026-01-31,AUD"

    report = import_plans(practice, tmp_path, line)
    again = import_plans(practice, tmp_path, line)
    for _ in range(95):
        practice.advance(days=1)
        assert practice.charge() == []

    (plan,) = practice.all(PaymentPlan)
    assert (report.imported, report.without_method, again.imported, again.unchanged) == (1, [], 0, 1)
    assert plan.id == plan_id(practice.location, "P1")
    assert [(invoice.due_date, invoice.amount_cents) for invoice in practice.all(Invoice)] == [
        (date(2026, 9, 30), 16_667),
        (date(2026, 10, 31), 16_667),
        (date(2026, 11, 30), 16_668),
    ]
    assert sum(charge["amount"] for charge in practice.stripe_charges()) == 50_002
    assert plan.status is AgreementStatus.COMPLETED
    assert practice.all(Contract) == []


def test_what_was_taken_over_before_patients_bear_the_platforms_fee_stays_without_it(
    practice: Practice, tmp_path: Path
) -> None:
    """A membership and the rest of a payment plan cost each time what they cost when they came."""
    card = payer(practice)
    adopt(practice.context, write(tmp_path, f"M1,Ada,Ferris,,Essential,monthly,,2026-09-30,,,,,,{card.cells}"))
    import_plans(practice, tmp_path, "P1,M1,300.00,0.00,3,monthly,2026-09-30,Crown,,AUD")
    practice.set_policy(fee_bearer="patient")

    practice.advance(days=29)
    assert practice.charge() == []

    assert (practice.all(Contract)[0].fee_bearer, practice.all(PaymentPlan)[0].fee_bearer) == (
        FeeBearer.PRACTICE,
        FeeBearer.PRACTICE,
    )
    assert sorted(invoice.amount_cents for invoice in practice.all(Invoice)) == [2_990, 10_000]


@pytest.mark.parametrize("twin", [("P1", "leura"), ("P2", "leura"), ("P1", "perth")])
def test_a_plan_is_found_again_by_its_location_and_id(practice: Practice, twin: tuple[str, str]) -> None:
    """The id looks like all ids, and differs where one of the two differs."""
    location_id = add_location(
        practice.context,
        slug="perth",
        name="Perth",
        timezone="Australia/Perth",
        currency="aud",
        pms="open_dental",
        pms_settings=practice.location.pms_settings,
    )
    with practice.context.database.read() as session:
        perth = session.get_one(type(practice.location), location_id)
    first = plan_id(practice.location, "P1")
    other = plan_id(practice.location if twin[1] == "leura" else perth, twin[0])

    assert (first == other) == (twin == ("P1", "leura"))
    assert len(first) == len("pp_") + 20


def test_bad_rows_of_payment_plans_stay_out_and_good_ones_go_in(practice: Practice, tmp_path: Path) -> None:
    """Each rule names the line, the column and what to do; the payer without a method is told."""
    adopt(practice.context, write(tmp_path, "M1,Ada,Ferris,,none,,,,,,,,,,,"))
    cases = {
        "P1,M1,0,0,3,monthly,2026-09-30,,,": "total",
        "P1,M1,-5,0,3,monthly,2026-09-30,,,": "total",
        "P1,M1,5.001,0,3,monthly,2026-09-30,,,": "total",
        "P1,M1,1000000.00,0,3,monthly,2026-09-30,,,": "total",
        "P1,M1,9.00,-1,3,monthly,2026-09-30,,,": "paid",
        "P1,M1,9.00,9.00,3,monthly,2026-09-30,,,": "paid",
        "P1,M1,9.00,8.00,3,monthly,2026-09-30,,,": "",
        "P1,M1,900,0,0,monthly,2026-09-30,,,": "instalments_left",
        "P1,M1,900,0,261,weekly,2026-09-30,,,": "instalments_left",
        "P1,M1,900,0,many,weekly,2026-09-30,,,": "instalments_left",
        "P1,M1,900,0,3,annually,2026-09-30,,,": "",
        "P1,M1,900,0,3,,2026-09-30,,,": "frequency",
        "P1,M1,900,0,3,weekly,,,,": "next_due",
        "P1,M1,900,0,3,weekly,2026-08-31,,,": "",
        "P1,M1,900,0,3,weekly,2036-09-02,,,": "next_due",
        "P1,M1,900,0,130,monthly,2026-09-30,,,": "",
        "P1,M1,900,0,3,monthly,2026-09-30,,2026-01-15,": "cycle_from",
        "P1,M1,900,0,3,monthly,2026-09-30,,,NZD": "currency",
        "P1,stranger,900,0,3,monthly,2026-09-30,,,": "member",
        ",M1,900,0,3,monthly,2026-09-30,,,": "id",
    }

    good = "P2,M1,900,0,3,monthly,2026-09-30,,,"
    report = import_plans(practice, tmp_path, *cases, good, good)

    found = [(refusal.line, refusal.column) for refusal in report.refusals]
    assert found == [(line, column) for line, column in enumerate(cases.values(), start=2)] + [(23, "id")]
    assert all(refusal.reason.endswith(".") for refusal in report.refusals)
    assert (report.imported, [line for line, _ in report.without_method]) == (1, [22])


def test_another_import_of_the_same_plans_is_noticed(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unique key of the database has the last word."""
    adopt(practice.context, write(tmp_path, "M1,Ada,Ferris,,none,,,,,,,,,,,"))
    line = "P1,M1,900,0,3,monthly,2026-09-30,,,"
    import_plans(practice, tmp_path, line)
    # As a second daemon on PostgreSQL would see it: no plan is there yet when it looks.
    monkeypatch.setattr(plans_module, "_known", lambda *_: frozenset())

    with pytest.raises(DomainError, match="Another import"):
        import_plans(practice, tmp_path, line)

    assert len(practice.all(PaymentPlan)) == 1
    assert practice.all(PaymentPlan)[0].frequency is Frequency.MONTHLY

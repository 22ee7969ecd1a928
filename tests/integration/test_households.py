"""Households: several people on one contract, one payer, and each person's part on their own ledger."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.invoices import Invoice, InvoiceKind, InvoiceLine
from connector.billing.prices.discounts import Referral
from connector.billing.prices.pricing import LineKind, Position
from connector.errors import DomainError
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.members.add_member import Added, Joining, add_member
from connector.use_cases.members.cancel_membership import Consent, cancel_membership
from connector.use_cases.members.leave_household import drop_dependent, promote_dependent
from connector.use_cases.members.refer_member import refer_member
from connector.use_cases.members.show_member import show_member
from tests.support.membership_life import (
    ACTOR,
    child,
    contract,
    decide,
    document,
    dues,
    everything,
    history,
    live,
    messages,
    person,
    sell,
)
from tests.support.post import Post
from tests.support.practice import FIRST_PATIENT, Enrolled, Practice

S = AgreementStatus
NEXT = 9
"""Number of the office's first patient who is nobody's account holder here."""


def family(practice: Practice, children: int = 4, plan: str = "Twenty") -> tuple[Enrolled, list[Added]]:
    """A holder with so many children, all linked, who has signed up and paid the first period."""
    holder = practice.enrol(None, plan=plan)
    added = [child(practice, holder.contract_id, NEXT + number, plan) for number in range(children)]
    practice.sign_up(holder, "pm_card_visa")
    live(practice, practice.today.isoformat())
    return holder, added


def parts(practice: Practice, leg: Leg) -> dict[str, int]:
    """Cents of the write-backs of each member."""
    found: dict[str, int] = {}
    for row in practice.all(WriteBack):
        if row.leg is leg:
            found[row.member_id] = found.get(row.member_id, 0) + row.amount_cents
    return found


def on_file(practice: Practice) -> dict[str, int]:
    """What the office's ledgers say that each patient has paid."""
    found: dict[str, int] = {}
    for row in practice.pms_rows():
        found[str(row["PatNum"])] = found.get(str(row["PatNum"]), 0) + row["cents"]
    return found


def test_a_family_of_five_pays_eighty_four_dollars(practice: Practice) -> None:
    """20 x 0.6 for the holder and 4 x 20 x 0.9, each part written to the ledger of the person whose it is."""
    sell(practice, "Twenty", prices={"monthly": 2000})

    holder, children = family(practice)
    practice.write()
    practice.settle()

    assert dues(practice, holder.contract_id) == [("2026-09-01", 8400)]
    wanted = {holder.member_id: 1200, **{one.member_id: 1800 for one in children}}
    assert parts(practice, Leg.PAYMENT) == wanted
    assert sum(wanted.values()) == 8400
    assert on_file(practice) == {"1001": 1200, **{str(FIRST_PATIENT + NEXT + number): 1800 for number in range(4)}}
    assert set(practice.states()) == {WriteBackState.CONFIRMED}
    assert [charge["amount"] for charge in practice.stripe_charges()] == [8400]
    assert verify_ledger(practice.context).faults == []


@pytest.mark.parametrize("cents", [1, 4201, 8399])
def test_a_part_that_is_given_back_is_taken_from_everybody_in_proportion(practice: Practice, cents: int) -> None:
    """To the cent, and from nobody more than was written."""
    sell(practice, "Twenty", prices={"monthly": 2000})
    family(practice)
    practice.write()
    practice.settle()

    practice.refund(amount=str(cents))
    assert practice.charge() == []
    practice.write()
    practice.settle()

    back, given = parts(practice, Leg.REVERSAL), parts(practice, Leg.PAYMENT)
    assert sum(back.values()) == cents
    assert all(abs(back.get(member, 0) - cents * part / 8400) < 1 for member, part in given.items())
    assert verify_ledger(practice.context).faults == []
    # This office's API takes whole payments back only; who is left with less waits for a person.
    whole = {WriteBackState.CONFIRMED: -1, WriteBackState.REJECTED: 0}
    written = sum(whole[row.state] * row.amount_cents for row in practice.all(WriteBack) if row.leg is Leg.REVERSAL)
    assert sum(on_file(practice).values()) == 8400 + written


def test_a_dependent_who_comes_later_is_on_the_next_invoice_with_the_fee(practice: Practice) -> None:
    """Covered from today on; the holder's discount and the child's begin with that invoice, too."""
    plan = sell(practice, "Kids", prices={"monthly": 1000}, setup_fee_cents=500, max_age=30)
    holder = practice.paid()
    live(practice, "2026-09-11")

    added = child(practice, holder.contract_id, NEXT, plan, born=date(2010, 1, 1))
    sheet = show_member(practice.context, holder.contract_id)
    live(practice, "2026-10-01", "2026-11-01")

    cover = next(row for row in practice.all(Cover) if row.member_id == added.member_id)
    assert (cover.starts_on, cover.from_period) == (date(2026, 9, 11), 1)
    assert sheet.next_amount_cents == 2990 - 299 + 1000 - 100 + 500
    assert [(line.position, line.price_cents, line.discount_cents, line.setup_fee_cents) for line in sheet.people] == [
        ("holder", 2990, 299, 0),
        ("dependent", 1000, 100, 500),
    ]
    assert [cents for _, cents in dues(practice, holder.contract_id)] == [2990, 4091, 3591]


def test_whoever_is_dropped_is_covered_to_the_end_of_the_period_and_reprices_the_next(practice: Practice) -> None:
    """Never an earlier one."""
    holder, (one,) = family(practice, 1, "Essential")
    live(practice, "2026-09-11")

    until = drop_dependent(practice.context, holder.contract_id, one.member_id, actor=ACTOR)
    leaving = show_member(practice.context, holder.contract_id).people
    live(practice, "2026-10-01")

    assert until == date(2026, 10, 1)
    assert [line.leaves_on for line in leaving] == [None, date(2026, 10, 1)]
    assert [cents for _, cents in dues(practice, holder.contract_id)] == [2 * (2990 - 299), 2990]
    assert len(show_member(practice.context, holder.contract_id).people) == 1
    with pytest.raises(DomainError, match="is no dependent on the contract"):
        drop_dependent(practice.context, holder.contract_id, one.member_id, actor=ACTOR)


def test_a_promoted_dependent_goes_on_at_the_same_price_without_a_second_fee(practice: Practice) -> None:
    """Paid for until the end of the period, on a contract of their own from then on, with the old start."""
    plan = sell(practice, "With fee", setup_fee_cents=1500)
    holder, (one,) = family(practice, 1, plan)
    live(practice, "2026-09-20")
    with pytest.raises(DomainError, match="No e-mail address is known for the invitation"):
        promote_dependent(practice.context, holder.contract_id, one.member_id, actor=ACTOR)

    new_id = promote_dependent(practice.context, holder.contract_id, one.member_id, actor=ACTOR, email="b@x.au")
    assert contract(practice, new_id).status is S.PENDING
    assert messages(practice, new_id) == ["invitation:email", "invitation:sms"]
    practice.sign_up(Enrolled(one.member_id, new_id, ""), "pm_card_visa")
    live(practice, "2026-09-21", "2026-10-01", "2026-11-01")

    moved = next(row for row in practice.all(Cover) if row.contract_id == new_id)
    assert (moved.position, moved.starts_on, moved.price_cents) == (Position.HOLDER, date(2026, 9, 1), 2990)
    assert dues(practice, new_id) == [("2026-10-01", 2990), ("2026-11-01", 2990)]
    assert [cents for _, cents in dues(practice, holder.contract_id)] == [2 * (2990 - 299 + 1500), 2990, 2990]
    assert history(practice, holder.contract_id)[-1] == "Dependent Promoted"


def bound_family(practice: Practice) -> tuple[Enrolled, Added]:
    """A holder bound for a year from 1 September, and a child from 10 October, where leaving early costs the rest."""
    decide(practice, early_cancel="charge_remainder")
    plan = sell(practice, "A year", lock_in_months=12)
    holder = practice.enrol(plan=plan)
    live(practice, "2026-09-01", "2026-10-01", "2026-10-10")
    return holder, child(practice, holder.contract_id, NEXT, plan)


def test_a_payer_hears_what_a_further_person_changes_and_is_bound_for_no_longer(
    practice: Practice, tmp_path: Path
) -> None:
    """With the fee for joining in it; somebody who was dropped again before the message went out is not announced."""
    plan = sell(practice, "A year", lock_in_months=12, setup_fee_cents=1000)
    holder = practice.enrol()
    live(practice, "2026-09-01", "2026-09-10")

    child(practice, holder.contract_id, 1, plan)
    other = child(practice, holder.contract_id, 2, plan)
    drop_dependent(practice.context, holder.contract_id, other.member_id, actor=ACTOR)
    post = Post(practice, tmp_path)
    post.send()

    (mail,) = [text for text in post.mails() if "is on your membership" in text]
    assert "due on 01/10/2026 and taken monthly, is $63.82 instead of $29.90" in mail
    assert contract(practice, holder.contract_id).lock_in_until is None
    live(practice, "2026-10-01")
    assert dues(practice, holder.contract_id)[-1] == ("2026-10-01", 6382)


def test_a_dependent_who_is_dropped_within_the_lock_in_owes_nothing(practice: Practice) -> None:
    """The contract itself goes on, and its next invoices are for who is still there."""
    holder, one = bound_family(practice)
    live(practice, "2026-11-01")

    drop_dependent(practice.context, holder.contract_id, one.member_id, actor=ACTOR)
    live(practice, "2026-11-02", "2026-12-01")

    assert [cents for _, cents in dues(practice, holder.contract_id)] == [2990, 2990, 2 * (2990 - 299), 2990]
    assert {row.kind for row in practice.all(Invoice)} == {InvoiceKind.MEMBERSHIP}
    assert contract(practice, holder.contract_id).status is S.ACTIVE


def test_a_promoted_dependent_owes_nothing_and_keeps_the_end_of_the_own_lock_in(practice: Practice) -> None:
    """A year from the child's own start, whenever the new contract is signed."""
    holder, one = bound_family(practice)
    live(practice, "2026-11-01")

    new_id = promote_dependent(practice.context, holder.contract_id, one.member_id, actor=ACTOR, email="b@x.au")
    live(practice, "2026-11-20")
    practice.sign_up(Enrolled(one.member_id, new_id, ""), "pm_card_visa")
    live(practice, "2026-11-21", "2026-12-01")

    assert contract(practice, new_id).lock_in_until == date(2027, 10, 10)
    assert dues(practice, new_id) == [("2026-12-01", 2990)]
    assert {row.kind for row in practice.all(Invoice)} == {InvoiceKind.MEMBERSHIP}


def test_a_holder_who_leaves_says_what_becomes_of_the_others(practice: Practice) -> None:
    """Promoting one takes the rest along to the new contract."""
    holder, (one, other) = family(practice, 2, "Essential")
    before = everything(practice)
    with pytest.raises(DomainError, match="2 people depend on the contract"):
        cancel_membership(practice.context, holder.contract_id, Consent(), actor=ACTOR)
    with pytest.raises(DomainError, match="choose one of the two"):
        both = Consent(with_dependents=True, promote=one.member_id)
        cancel_membership(practice.context, holder.contract_id, both, actor=ACTOR)
    with pytest.raises(DomainError, match="No e-mail address"):
        cancel_membership(practice.context, holder.contract_id, Consent(promote=one.member_id), actor=ACTOR)
    assert everything(practice) == before
    third = child(practice, holder.contract_id, NEXT + 5, email="c@x.au")

    left = cancel_membership(practice.context, holder.contract_id, Consent(promote=third.member_id), actor=ACTOR)

    assert left.status is S.CANCELLED
    assert left.new_contract_id is not None
    moved = [row for row in practice.all(Cover) if row.contract_id == left.new_contract_id]
    positions = {row.member_id: row.position for row in moved}
    assert positions == {
        third.member_id: Position.HOLDER,
        one.member_id: Position.DEPENDENT,
        other.member_id: Position.DEPENDENT,
    }
    assert contract(practice, left.new_contract_id).anchor == date(2026, 10, 1)


def test_a_contract_has_at_most_twenty_people(practice: Practice) -> None:
    """The twenty-first is refused."""
    holder = practice.enrol(None)
    for number in range(19):
        child(practice, holder.contract_id, NEXT + number)

    with pytest.raises(DomainError, match="has 20 people, which is the most"):
        child(practice, holder.contract_id, NEXT + 20)


def discounts(practice: Practice, contract_id: str, due: str) -> int:
    """Cents of the referral discounts on the invoice due that day."""
    with practice.context.database.read() as session:
        query = (
            select(func.sum(InvoiceLine.amount_cents))
            .join(Invoice, Invoice.id == InvoiceLine.invoice_id)
            .where(Invoice.contract_id == contract_id, Invoice.due_date == date.fromisoformat(due))
            .where(InvoiceLine.kind == LineKind.REFERRAL_DISCOUNT)
        )
        return session.scalar(query) or 0


def test_a_referral_pays_the_referrer_for_a_year_and_the_friend_for_good(practice: Practice) -> None:
    """10 % each of 29.90; the loss of the friend re-prices the next invoice of the referrer."""
    decide(practice, catch_up="all")
    referrer, friend, other = practice.enrol(), practice.enrol(), practice.enrol()
    refer_member(practice.context, referrer.contract_id, friend.contract_id, campaign="Spring", actor=ACTOR)
    refer_member(practice.context, referrer.contract_id, other.contract_id, actor=ACTOR)
    live(practice, "2026-09-01", "2026-10-01", "2026-10-15")
    cancel_membership(practice.context, other.contract_id, Consent(), actor=ACTOR)
    months = [f"2026-{month:02d}-01" for month in (11, 12)] + [f"2027-{month:02d}-01" for month in range(1, 11)]
    live(practice, *months)

    assert discounts(practice, referrer.contract_id, "2026-10-01") == -598
    assert discounts(practice, referrer.contract_id, "2026-11-01") == -299
    assert discounts(practice, referrer.contract_id, "2027-08-01") == -299
    assert discounts(practice, referrer.contract_id, "2027-09-01") == 0
    assert {discounts(practice, friend.contract_id, day) for day in ["2026-09-01", *months]} == {-299}
    assert history(practice, referrer.contract_id).count("Referral Recorded") == 2


def test_a_referral_that_cannot_be_is_refused(practice: Practice) -> None:
    """Oneself, one's own household, twice, in a circle, who came first, and who has left."""
    old, new, gone = practice.enrol(None), practice.enrol(None), practice.enrol(None)
    cancel_membership(practice.context, gone.contract_id, Consent(), actor=ACTOR)
    practice.advance(hours=1)
    joining = Joining("Essential", practice.all(Contract)[0].frequency, referred_by=old.contract_id, invite=False)
    latest = add_member(practice.context, "leura", person(NEXT), joining, actor=ACTOR).contract_id
    refer_member(practice.context, old.contract_id, new.contract_id, actor=ACTOR)
    before = everything(practice)

    for referrer, referred, sentence in [
        (old.contract_id, old.contract_id, "Nobody can refer themselves"),
        (new.contract_id, latest, "can be referred only once"),
        (new.contract_id, old.contract_id, "a referral counts one way only"),
        (latest, new.contract_id, "who came first cannot have been brought"),
        (old.contract_id, gone.contract_id, "is cancelled: it cannot take part"),
        ("con_none", latest, "no contract 'con_none'"),
    ]:
        with pytest.raises(DomainError, match=sentence):
            refer_member(practice.context, referrer, referred, actor=ACTOR)

    assert everything(practice) == before
    assert [row.referrer_contract_id for row in practice.all(Referral)] == [old.contract_id] * 2


def test_households_at_the_command_line(practice: Practice) -> None:
    """Add a dependent, look at the prices, drop them, promote another, and refer somebody."""
    holder, friend = practice.paid(), practice.enrol(None)
    who = ("--given-name", "Kim", "--family-name", "Ferris", "--born", "2015-05-05")
    plan = ("--plan", "Essential")

    first = document(practice, "members", "add-dependent", holder.contract_id, *plan, *who)["member_id"]
    second = document(practice, "members", "add-dependent", holder.contract_id, *plan, *who[:1], "Lou", *who[2:])
    people = document(practice, "members", "show", holder.contract_id)["people"]
    assert [(line["position"], line["discount_cents"]) for line in people] == [
        ("holder", 598),
        ("dependent", 299),
        ("dependent", 299),
    ]
    dropped = document(practice, "members", "drop-dependent", holder.contract_id, first)
    assert dropped["covered_until"] == "2026-10-01"
    own = ("--email", "lou@x.au")
    promoted = document(practice, "members", "promote", holder.contract_id, second["member_id"], *own)
    assert contract(practice, promoted["contract_id"]).status is S.PENDING
    document(practice, "members", "refer", holder.contract_id, "--referred", friend.contract_id, "--campaign", "Fair")
    assert [row.campaign for row in practice.all(Referral)] == ["Fair"]

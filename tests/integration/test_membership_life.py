"""From the first invitation to the end: which event leads from which state to which, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import AttemptState, ChargeAttempt
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import Member
from connector.billing.prices.pricing import PromoScope, PromoTerms
from connector.errors import DomainError
from connector.use_cases.invoices.issue_due import IssueTally, issue_due
from connector.use_cases.members.add_member import Joining, add_member
from connector.use_cases.members.cancel_membership import Consent, cancel_membership
from connector.use_cases.members.enrol_dependent import enrol_dependent
from connector.use_cases.members.enrol_member import invite_member
from connector.use_cases.members.list_members import list_members
from connector.use_cases.members.suspend_member import reactivate_member, suspend_member
from connector.use_cases.plans.promo_codes import add_promo_code, redeem
from tests.support.membership_life import (
    ACTOR,
    command,
    contract,
    document,
    dues,
    everything,
    history,
    live,
    messages,
    person,
    sell,
)
from tests.support.practice import Enrolled, Practice
from tests.support.practice_setup import running_practice

S = AgreementStatus
STATES = (S.PENDING, S.FAILED, S.ACTIVE, S.OVERDUE, S.SUSPENDED, S.CANCELLED)

Verb = Callable[[Practice, str], object]
VERBS: dict[str, Verb] = {
    "invite": lambda practice, contract_id: invite_member(practice.context, contract_id),
    "suspend": lambda practice, contract_id: suspend_member(practice.context, contract_id, actor=ACTOR),
    "reactivate": lambda practice, contract_id: reactivate_member(practice.context, contract_id, actor=ACTOR),
    "cancel": lambda practice, contract_id: cancel_membership(practice.context, contract_id, Consent(), actor=ACTOR),
    "enrol": lambda practice, contract_id: enrol_dependent(
        practice.context, contract_id, "Essential", person(39, given_name=contract_id[-5:] + "a"), actor=ACTOR
    ),
}
TABLE: dict[str, dict[AgreementStatus, AgreementStatus | str]] = {
    "invite": {**dict(zip(STATES, STATES, strict=True)), S.CANCELLED: "nothing can be authorised for it any more"},
    "suspend": {
        S.PENDING: "is pending: only one that is active or overdue can be suspended",
        S.FAILED: "is failed: only one that is active or overdue can be suspended",
        S.ACTIVE: S.SUSPENDED,
        S.OVERDUE: S.SUSPENDED,
        S.SUSPENDED: "is suspended: only one that is active or overdue can be suspended",
        S.CANCELLED: "is cancelled, which is final",
    },
    "reactivate": {
        S.PENDING: "is pending: only one that is suspended can be reactivated",
        S.FAILED: "is failed: only one that is suspended can be reactivated",
        S.ACTIVE: "is active: only one that is suspended can be reactivated",
        S.OVERDUE: "is overdue: only one that is suspended can be reactivated",
        S.SUSPENDED: S.ACTIVE,
        S.CANCELLED: "is cancelled, which is final",
    },
    "cancel": {**dict.fromkeys(STATES, S.CANCELLED), S.CANCELLED: "is cancelled already: a cancellation is final"},
    "enrol": {
        S.PENDING: S.PENDING,
        S.FAILED: "only one that is pending or active or overdue can be given another dependent",
        S.ACTIVE: S.ACTIVE,
        S.OVERDUE: S.OVERDUE,
        S.SUSPENDED: "only one that is pending or active or overdue can be given another dependent",
        S.CANCELLED: "is cancelled, which is final",
    },
}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Practice]:
    """One practice for the whole table."""
    with running_practice(tmp_path_factory.mktemp("town"), template) as running:
        sell(running, "Kids", max_age=17)
        sell(running, "Summer", offered_until="2026-08-31")
        yield running


@pytest.fixture(scope="module")
def people(town: Practice) -> dict[tuple[str, AgreementStatus], str]:
    """A contract in each state for each event; the charges of October are through."""
    found: dict[tuple[str, AgreementStatus], Enrolled] = {}
    methods = {S.PENDING: None, S.FAILED: "pm_card_chargeCustomerFail"}
    for event in TABLE:
        for state in STATES:
            found[event, state] = town.enrol(methods.get(state, "pm_card_visa"), linked=False)
    assert town.charge() == []
    for (_, state), one in found.items():
        match state:
            case S.OVERDUE:
                town.sign_up(one, "pm_card_chargeCustomerFail")
            case S.SUSPENDED:
                suspend_member(town.context, one.contract_id, actor=ACTOR)
            case S.CANCELLED:
                cancel_membership(town.context, one.contract_id, Consent(), actor=ACTOR)
    live(town, "2026-10-01")
    return {key: one.contract_id for key, one in found.items()}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", TABLE)
def test_every_event_is_allowed_or_refused_in_every_state(
    town: Practice, people: dict[tuple[str, AgreementStatus], str], event: str, state: AgreementStatus
) -> None:
    """Allowed, it leads to the state of the table; refused, it says so in one sentence and changes nothing."""
    contract_id, wanted = people[event, state], TABLE[event][state]
    assert contract(town, contract_id).status is state

    if isinstance(wanted, AgreementStatus):
        VERBS[event](town, contract_id)
        assert contract(town, contract_id).status is wanted
        return
    before = everything(town)
    with pytest.raises(DomainError, match=wanted) as refused:
        VERBS[event](town, contract_id)
    assert str(refused.value).endswith(".")
    assert everything(town) == before


def test_the_first_charge_decides_whether_a_membership_begins(practice: Practice) -> None:
    """Pending, failed and resendable, active, overdue, active again: with the same anchor all along."""
    one = practice.enrol(None, linked=False)
    seen = [contract(practice, one.contract_id).status]
    practice.sign_up(one, "pm_card_chargeCustomerFail")
    live(practice, "2026-09-01")
    seen.append(contract(practice, one.contract_id).status)
    practice.sign_up(one, "pm_card_visa")
    live(practice, "2026-09-02")
    seen.append(contract(practice, one.contract_id).status)
    practice.sign_up(one, "pm_card_chargeCustomerFail")
    live(practice, "2026-10-01")
    seen.append(contract(practice, one.contract_id).status)
    practice.sign_up(one, "pm_card_visa")
    live(practice, "2026-10-02")
    now = contract(practice, one.contract_id)

    assert [*seen, now.status] == [S.PENDING, S.FAILED, S.ACTIVE, S.OVERDUE, S.ACTIVE]
    assert (now.anchor, now.next_due) == (date(2026, 9, 1), date(2026, 11, 1))


def test_a_pause_skips_the_cycles_that_fall_into_it(practice: Practice) -> None:
    """Paused from 10 January to 20 March with the 15th as anchor: nothing for three months, and on in April."""
    live(practice, "2026-12-15")
    one = practice.enrol(linked=False)
    live(practice, "2026-12-15", "2027-01-10")
    suspend_member(practice.context, one.contract_id, actor=ACTOR)
    live(practice, "2027-01-15", "2027-02-15", "2027-03-15", "2027-03-20")
    reactivate_member(practice.context, one.contract_id, actor=ACTOR)
    live(practice, "2027-03-21", "2027-04-15")

    assert dues(practice, one.contract_id) == [("2026-12-15", 2990), ("2027-04-15", 2990)]
    assert history(practice, one.contract_id)[-2:] == ["Membership Suspended", "Membership Reactivated"]
    practice.assert_exactly_once()


@given(
    st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    st.sampled_from(list(Frequency)),
    st.integers(0, 40),
    st.integers(-30, 800),
)
def test_a_pause_of_any_length_keeps_the_anchor(anchor: date, frequency: Frequency, period: int, days: int) -> None:
    """The next due date is the first of the same schedule from the day on, and never an earlier one than before."""
    paused = Contract(anchor=anchor, frequency=frequency, next_period=period)
    before = paused.next_due = paused.due_date(period)
    resumed = before + timedelta(days=days)

    paused.skip_to(resumed)

    assert paused.next_due == paused.due_date(paused.next_period)
    assert paused.next_due >= max(before, resumed)
    assert paused.next_period == period or paused.due_date(paused.next_period - 1) < resumed


def test_a_fee_and_a_discount_that_were_to_come_outlast_the_pause(practice: Practice) -> None:
    """The fee of a dependent who joined before it is on the first invoice after it."""
    plan = sell(practice, "With fee", setup_fee_cents=1500)
    one = practice.enrol(linked=False)
    live(practice, "2026-09-01", "2026-09-10")
    enrol_dependent(practice.context, one.contract_id, plan, person(9, email=""), actor=ACTOR)
    suspend_member(practice.context, one.contract_id, actor=ACTOR)
    live(practice, "2026-11-20")
    reactivate_member(practice.context, one.contract_id, actor=ACTOR)
    live(practice, "2026-12-01", "2027-01-01")

    # 2 x 29.90 less 10 % each, and once the fee.
    both = 2 * (2990 - 299)
    assert dues(practice, one.contract_id)[1:] == [("2026-12-01", both + 1500), ("2027-01-01", both)]


def test_a_first_payment_that_comes_late_uses_up_neither_a_discount_nor_a_fee(practice: Practice) -> None:
    """Half price for three periods, the first declined and paid forty days later: all three are given.

    The fee of a child who joined before the decline comes with the first period that is billed.
    """
    terms = PromoTerms("HALF", percent=Decimal(50), scope=PromoScope.RECURRING, periods=3)
    add_promo_code(practice.context, location_slug=practice.location.slug, terms=terms, actor=ACTOR)
    plan = sell(practice, "With fee", setup_fee_cents=1500)
    one = practice.enrol(None, linked=False)
    with practice.context.database.unit_of_work() as session:
        signed = session.get_one(Contract, one.contract_id)
        redeem(session, practice.location, signed, "HALF", practice.clock.now())
    practice.sign_up(one, "pm_card_chargeCustomerFail")
    issue_due(practice.context, practice.location, IssueTally())
    enrol_dependent(practice.context, one.contract_id, plan, person(9, email=""), actor=ACTOR)
    live(practice, "2026-09-01")
    assert contract(practice, one.contract_id).status is S.FAILED
    live(practice, "2026-10-11")
    practice.sign_up(one, "pm_card_visa")
    live(practice, "2026-10-11", "2026-11-01", "2026-12-01", "2027-01-01")

    # 2 x 29.90 less 10 % each, of which the half is rounded for each.
    full, half = 2 * 2691, 2 * 1345
    expected = {"2026-09-01": 1495, "2026-11-01": half + 1500, "2026-12-01": half, "2027-01-01": full}
    assert dict(dues(practice, one.contract_id)) == expected


def test_what_is_overdue_stays_so_through_a_pause_and_can_be_paid_in_it(practice: Practice) -> None:
    """Its recovery rests meanwhile, and goes on for whoever has not paid."""
    payer, debtor = practice.enrol(linked=False), practice.enrol(linked=False)
    assert practice.charge() == []
    for one in (payer, debtor):
        practice.sign_up(one, "pm_card_chargeCustomerFail")
    live(practice, "2026-10-01")
    for one in (payer, debtor):
        suspend_member(practice.context, one.contract_id, actor=ACTOR)
    assert {row.paused for row in practice.all(Recovery)} == {True}

    practice.sign_up(payer, "pm_card_visa")
    live(practice, "2026-10-02")
    assert contract(practice, payer.contract_id).status is S.SUSPENDED
    for one in (payer, debtor):
        reactivate_member(practice.context, one.contract_id, actor=ACTOR)

    assert contract(practice, payer.contract_id).status is S.ACTIVE
    after = contract(practice, debtor.contract_id)
    assert (after.status, after.frozen_at, after.next_due) == (S.OVERDUE, None, date(2026, 11, 1))
    assert [(row.paused, row.ended_because) for row in practice.all(Recovery) if row.ended_at is None] == [
        (False, None)
    ]


def test_a_pause_calls_off_what_was_planned_and_not_sent(practice: Practice) -> None:
    """It is planned again afterwards, and taken once."""
    live(practice, "2026-09-04")
    one = practice.enrol(linked=False)
    issue_due(practice.context, practice.location, IssueTally())
    (attempt,) = practice.all(ChargeAttempt)
    assert attempt.state is AttemptState.PLANNED

    suspend_member(practice.context, one.contract_id, actor=ACTOR)
    assert [row.state for row in practice.all(ChargeAttempt)] == [AttemptState.WITHDRAWN]
    live(practice, "2026-09-10")
    assert practice.stripe_charges() == []
    reactivate_member(practice.context, one.contract_id, actor=ACTOR)
    live(practice, "2026-09-11")

    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]
    assert len(practice.stripe_charges()) == 1


def test_what_a_final_notice_froze_stays_frozen_until_it_is_paid(practice: Practice) -> None:
    """A pause is no way round it."""
    one = practice.enrol(linked=False)
    live(practice, "2026-09-01")
    practice.sign_up(one, "pm_card_chargeCustomerFail")
    live(practice, *(str(date(2026, 10, 1) + timedelta(days=day)) for day in range(35)))
    assert contract(practice, one.contract_id).frozen_at is not None
    suspend_member(practice.context, one.contract_id, actor=ACTOR)

    reactivate_member(practice.context, one.contract_id, actor=ACTOR)

    assert contract(practice, one.contract_id).status is S.OVERDUE
    assert contract(practice, one.contract_id).frozen_at is not None


@pytest.mark.parametrize(
    ("details", "joining", "sentence"),
    [
        ({}, {"start": date(2026, 8, 31)}, "cannot start in the past"),
        ({}, {"start": date(2036, 10, 2)}, "more than 10 years ahead"),
        ({}, {"plan": "Kids", "start": None}, "for ages 0 to 17"),
        ({"born": None}, {"plan": "Kids"}, "enter the date of birth first"),
        ({}, {"plan": "Summer"}, "not open for sign-ups today"),
        ({}, {"plan": "Gold"}, "has no plan 'Gold'"),
        ({}, {"plan": "Kids", "frequency": Frequency.WEEKLY}, "ages 0 to 17"),
        ({}, {"plan": "Summer", "frequency": Frequency.WEEKLY}, "not open"),
        ({"email": ""}, {}, "No e-mail address is known for the invitation: give one with --email"),
        ({"email": "ada@"}, {}, "--email: This is not an e-mail address"),
        ({"phone": "12"}, {}, "--phone: This cannot be a telephone number"),
        ({"given_name": "=A1"}, {}, "--given-name: The cell starts like a formula"),
        ({"family_name": " "}, {}, "--family-name: The name is missing"),
        ({"given_name": "4242 4242 4242 4242"}, {}, "holds a card number"),
        ({"born": date(2026, 10, 2)}, {}, "--born: The date is in the future"),
        ({}, {"promo": "NOPE"}, "promo code is not known"),
        ({}, {"referred_by": "con_none"}, "no contract 'con_none'"),
    ],
)
def test_a_member_who_cannot_join_is_refused_with_one_sentence(
    town: Practice, details: dict[str, object], joining: dict[str, object], sentence: str
) -> None:
    """Nothing is left behind, and the sentence repeats nothing personal."""
    before = everything(town)
    wanted = Joining(**{"plan": "Essential", "frequency": Frequency.MONTHLY, **joining})  # type: ignore[arg-type]

    with pytest.raises(DomainError, match=sentence) as refused:
        add_member(town.context, "leura", person(38, **details), wanted, actor=ACTOR)

    assert everything(town) == before
    assert not any(
        str(value) in str(refused.value) for value in details.values() if isinstance(value, str) and len(value) > 4
    )


def test_a_member_is_added_and_invited_once(practice: Practice) -> None:
    """By e-mail and SMS; the phone number is kept in its international form, and the start is the agreed one."""
    start = date(2026, 9, 15)
    joining = Joining("Essential", Frequency.FORTNIGHTLY, start)

    added = add_member(practice.context, "leura", person(1, phone="0412 345 678"), joining, actor=ACTOR)

    (member,) = practice.all(Member)
    assert (member.id, member.phone) == (added.member_id, "+61412345678")
    made = contract(practice, added.contract_id)
    assert (made.status, made.anchor, made.frequency) == (S.PENDING, start, Frequency.FORTNIGHTLY)
    assert messages(practice, made.id) == ["invitation:email", "invitation:sms"]
    assert history(practice, made.id) == ["Membership Created"]
    with pytest.raises(DomainError, match=f"a member already, on the contract {made.id}"):
        add_member(practice.context, "leura", person(1), joining, actor=ACTOR)


def test_whoever_has_left_joins_again_as_the_same_member(practice: Practice) -> None:
    """With a new contract, so that the link to the practice system stays."""
    joining = Joining("Essential", Frequency.MONTHLY, invite=False)
    first = add_member(practice.context, "leura", person(1), joining, actor=ACTOR)
    cancel_membership(practice.context, first.contract_id, Consent(), actor=ACTOR)

    again = add_member(practice.context, "leura", person(1), joining, actor=ACTOR)

    assert (again.member_id, again.contract_id != first.contract_id) == (first.member_id, True)
    listed = list_members(practice.context, practice.location, 9, S.CANCELLED)
    assert [line.contract_id for line in listed] == [first.contract_id]
    assert messages(practice, first.contract_id) == []


def test_the_front_desk_does_it_all_at_the_command_line(practice: Practice) -> None:
    """Add, look, suspend, reactivate, list; a refusal is one sentence with exit code 1."""
    who = ("--given-name", "Ada", "--family-name", "Ferris", "--born", "1960-01-05", "--email", "ada@x.au")
    here = ("--location", "leura")
    added = document(practice, "members", "add", *here, "--plan", "Essential", "--frequency", "monthly", *who)
    contract_id = added["contract_id"]
    practice.sign_up(Enrolled(added["member_id"], contract_id, "1001"), "pm_card_visa")
    live(practice, "2026-09-01")
    document(practice, "members", "suspend", contract_id)
    (line,) = document(practice, "members", "list", *here, "--status", "suspended")
    assert (line["contract_id"], line["position"]) == (contract_id, "holder")
    document(practice, "members", "reactivate", contract_id)

    sheet = document(practice, "members", "show", added["member_id"])
    assert (sheet["contract"]["status"], sheet["next_amount_cents"], sheet["method"]["last4"]) == (
        "active",
        2990,
        "4242",
    )
    assert [entry["action"] for entry in sheet["history"]][:2] == ["Membership Reactivated", "Membership Suspended"]
    shown = command(practice, "members", "show", contract_id)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Ada Ferris" in shown.stdout
    assert "Next payment    29.90 on 01/10/2026" in shown.stdout
    refused = command(practice, "members", "reactivate", contract_id)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"Error: The contract {contract_id} is active: ")

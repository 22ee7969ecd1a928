"""Using benefits: what is included when, how often, and what stands in the way; mistakes are taken back."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy.exc import DatabaseError

from connector.billing.activity import Activity
from connector.billing.offers.benefit_uses import BenefitUse
from connector.errors import DomainError
from connector.use_cases.members.cancel_membership import Consent, cancel_membership
from connector.use_cases.members.leave_household import drop_dependent, promote_dependent
from connector.use_cases.members.show_benefits import BenefitLine, show_benefits
from connector.use_cases.members.suspend_member import reactivate_member, suspend_member
from connector.use_cases.members.use_benefit import take_back_use, use_benefit
from tests.support.membership_life import ACTOR, child, command, decide, document, everything, live, sell
from tests.support.practice import Enrolled, Practice

BENEFITS = [
    {"title": "Examination", "annual_quantity": 2, "procedure_codes": ["011", "012"]},
    {"title": "Whitening", "annual_quantity": 1, "waiting_months": 3, "procedure_codes": ["119"]},
    {"title": "X-ray", "annual_quantity": 0, "procedure_codes": ["022"]},
]


@pytest.fixture
def ada(practice: Practice) -> Enrolled:
    """Somebody whose membership with these benefits began on 1 September."""
    decide(practice, catch_up="all")
    one = practice.enrol(plan=sell(practice, "Care", benefits=BENEFITS))
    assert practice.charge() == []
    return one


def use(practice: Practice, one: Enrolled, code: str, **how: object) -> str:
    return use_benefit(practice.context, one.member_id, code, actor=ACTOR, **how)  # type: ignore[arg-type]


def stand(practice: Practice, member_id: str) -> dict[str, BenefitLine]:
    return {line.title: line for line in show_benefits(practice.context, member_id).benefits}


def test_a_benefit_is_used_up_and_there_again_in_the_next_year(practice: Practice, ada: Enrolled) -> None:
    """Both codes count against it, nothing rolls over, and what has no limit is never used up."""
    use(practice, ada, "011")
    live(practice, "2027-02-10")
    use(practice, ada, " 012 ")
    use(practice, ada, "022", quantity=40)
    before = everything(practice)

    with pytest.raises(DomainError, match=r"Examination: 2 of 2 are used, 0 left; .* begins on 01/09/2027\."):
        use(practice, ada, "012")
    assert everything(practice) == before
    exam, xray = stand(practice, ada.member_id)["Examination"], stand(practice, ada.member_id)["X-ray"]
    assert (exam.state, exam.used, exam.left) == ("used_up", 2, 0)
    assert (xray.state, xray.used, xray.left) == ("available", 40, None)

    live(practice, "2027-08-31", "2027-09-01")
    exam = stand(practice, ada.member_id)["Examination"]
    assert (exam.state, exam.used, exam.left, exam.year_start) == ("available", 0, 2, date(2027, 9, 1))
    with pytest.raises(DomainError, match="2 of 2 are used"):
        use(practice, ada, "011", on=date(2027, 8, 30))


@pytest.mark.parametrize(
    ("code", "how", "sentence"),
    [
        ("114", {}, r"The plan 'Care' does not include 114: choose one of 011, 012, 022, 119\."),
        ("119", {}, r"Whitening can be used from 01/12/2026: the waiting time goes on\."),
        ("012", {"quantity": 3}, r"Examination: 0 of 2 are used, 2 left"),
        ("012", {"on": date(2026, 9, 2)}, r"The day is in the future"),
        ("012", {"on": date(2026, 8, 31)}, r"The cover began on 01/09/2026"),
        ("012", {"quantity": 0}, r"1 to 99"),
        ("01 2", {}, r"a procedure code such as 012"),
    ],
)
def test_what_is_not_included_is_refused_with_its_reason(
    practice: Practice, ada: Enrolled, code: str, how: dict[str, object], sentence: str
) -> None:
    """And changes nothing."""
    before = everything(practice)

    with pytest.raises(DomainError, match=sentence):
        use(practice, ada, code, **how)

    assert everything(practice) == before


def test_a_person_may_record_what_the_plan_does_not_include(practice: Practice, ada: Enrolled) -> None:
    """With their name in the history; but nothing that has not happened yet, and nobody unknown."""
    use_id = use(practice, ada, "119", override=True)

    (entry,) = (row for row in practice.all(Activity) if row.action == "Benefit Used")
    assert (entry.actor, entry.detail["use_id"], entry.detail["override"]) == (ACTOR, use_id, True)
    assert stand(practice, ada.member_id)["Whitening"].used == 1
    with pytest.raises(DomainError, match="in the future"):
        use(practice, ada, "119", override=True, on=date(2027, 1, 1))
    with pytest.raises(DomainError, match="no member 'mem_none'"):
        use_benefit(practice.context, "mem_none", "012", actor=ACTOR)


def test_a_pause_freezes_benefits_while_waiting_times_go_on(practice: Practice, ada: Enrolled) -> None:
    """A visit before it can still be recorded; after it, the waiting time is over."""
    live(practice, "2026-09-20")
    suspend_member(practice.context, ada.contract_id, actor=ACTOR)
    live(practice, "2026-11-30")

    assert {line.state for line in stand(practice, ada.member_id).values()} == {"frozen"}
    with pytest.raises(DomainError, match=r"The benefits are frozen while the membership is suspended\."):
        use(practice, ada, "012")
    use(practice, ada, "012", on=date(2026, 9, 19))
    live(practice, "2026-12-01")
    reactivate_member(practice.context, ada.contract_id, actor=ACTOR)

    whitening = stand(practice, ada.member_id)["Whitening"]
    assert (whitening.state, whitening.available_from) == ("available", date(2026, 12, 1))
    use(practice, ada, "119")


def test_a_use_is_taken_back_once_and_stays_on_record(practice: Practice, ada: Enrolled) -> None:
    """By a row of the opposite quantity; the database refuses to change either."""
    first = use(practice, ada, "012", quantity=2)

    back = take_back_use(practice.context, first, actor=ACTOR)

    rows = {row.id: (row.quantity, row.takes_back_id, row.used_on) for row in practice.all(BenefitUse)}
    assert rows == {first: (2, None, practice.today), back: (-2, first, practice.today)}
    assert stand(practice, ada.member_id)["Examination"].left == 2
    (line,) = show_benefits(practice.context, ada.member_id).uses
    assert (line.use_id, line.taken_back) == (first, True)
    with pytest.raises(DomainError, match="was taken back already"):
        take_back_use(practice.context, first, actor=ACTOR)
    for wrong in (back, "use_none"):
        with pytest.raises(DomainError, match="to take back"):
            take_back_use(practice.context, wrong, actor=ACTOR)
    with pytest.raises(DatabaseError), practice.context.database.unit_of_work() as session:
        session.get_one(BenefitUse, first).quantity = 1


def test_benefits_last_as_long_as_what_is_paid_for(practice: Practice, ada: Enrolled) -> None:
    """To the last day of a cancelled membership, and never before the first."""
    live(practice, "2026-09-10")
    cancel_membership(practice.context, ada.contract_id, Consent(), actor=ACTOR)
    live(practice, "2026-09-30")
    use(practice, ada, "012")
    live(practice, "2026-10-01")

    with pytest.raises(DomainError, match=r"has no membership on 01/10/2026"):
        use(practice, ada, "012")
    assert show_benefits(practice.context, ada.member_id).plan is None
    pending = practice.enrol(None, plan="Care")
    with pytest.raises(DomainError, match="has no membership"):
        use(practice, pending, "012")


def test_dependents_have_benefits_of_their_own_that_go_with_them(practice: Practice, ada: Enrolled) -> None:
    """Dropped, to the end of the period; promoted, with their benefit year and what they used in it."""
    live(practice, "2026-09-10")
    one, other = (child(practice, ada.contract_id, number, "Care", email="c@x.au") for number in (9, 10))
    never = child(practice, ada.contract_id, 11, "Care")
    drop_dependent(practice.context, ada.contract_id, never.member_id, actor=ACTOR)
    assert show_benefits(practice.context, never.member_id).plan is None
    live(practice, "2026-10-01")
    use_benefit(practice.context, one.member_id, "012", actor=ACTOR)
    drop_dependent(practice.context, ada.contract_id, other.member_id, actor=ACTOR)
    new_id = promote_dependent(practice.context, ada.contract_id, one.member_id, actor=ACTOR)
    practice.sign_up(Enrolled(one.member_id, new_id, ""), "pm_card_visa")
    assert show_benefits(practice.context, other.member_id).plan == "Care"

    live(practice, "2026-11-01")

    assert show_benefits(practice.context, other.member_id).plan is None
    exam = stand(practice, one.member_id)["Examination"]
    assert (exam.used, exam.year_start) == (1, date(2026, 9, 10))
    assert stand(practice, ada.member_id)["Examination"].used == 0


def test_benefits_at_the_command_line(practice: Practice, ada: Enrolled) -> None:
    """Show, use, and take back."""
    used = document(practice, "benefits", "use", ada.member_id, "012", "--on", "2026-09-01")
    sheet = document(practice, "benefits", "show", ada.member_id)
    assert [(line["title"], line["state"], line["used"]) for line in sheet["benefits"]] == [
        ("Examination", "available", 1),
        ("Whitening", "waiting", 0),
        ("X-ray", "available", 0),
    ]
    document(practice, "benefits", "take-back", used["id"])
    shown = command(practice, "benefits", "show", ada.member_id)
    assert "from 01/12/2026" in shown.stdout
    assert "taken back" in shown.stdout

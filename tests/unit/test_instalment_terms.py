"""The terms of payment plans: counts, first days, limits, and the warning about fees."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.agreements.asking import askable_day, chargeable, described
from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.instalment_progress import progress_of, schedule_of
from connector.billing.agreements.instalment_terms import (
    FREQUENCIES,
    PlanOffer,
    checked,
    checked_template,
    fee_warning,
    first_instalment,
    instalments_of,
    offer_from,
)
from connector.billing.agreements.payment_plans import PaymentPlan, PaymentPlanTemplate
from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.policy import BillingPolicy
from connector.errors import DomainError
from tests.support.requests import aud

TODAY = date(2026, 9, 1)
POLICY = BillingPolicy()
GOOD = PlanOffer(aud(120_000), aud(12_000), aud(2_500), 12, Frequency.MONTHLY, TODAY)


def template(**changes: object) -> PaymentPlanTemplate:
    """500 to 15,000 dollars in 6 or 12 months."""
    fields = {
        "name": "Braces",
        "min_total_cents": 50_000,
        "max_total_cents": 1_500_000,
        "months": [6, 12],
        "frequencies": ["monthly", "fortnightly"],
        "deposit_percent": 10,
        "setup_fee_cents": 2_500,
        "start_after_days": 7,
    }
    return PaymentPlanTemplate(**fields | changes)


@pytest.mark.parametrize(
    ("months", "monthly", "fortnightly", "weekly"),
    [(1, 1, 2, 4), (3, 3, 7, 13), (6, 6, 13, 26), (9, 9, 20, 39), (12, 12, 26, 52), (24, 24, 52, 104)],
)
def test_months_become_instalments_rounded_half_up(months: int, monthly: int, fortnightly: int, weekly: int) -> None:
    """26 fortnights and 52 weeks a year; three months are six and a half fortnights, so seven."""
    counts = [instalments_of(months, frequency) for frequency in FREQUENCIES]

    assert counts == [weekly, fortnightly, monthly]
    with pytest.raises(DomainError, match="weekly, fortnightly or monthly"):
        instalments_of(12, Frequency.ANNUALLY)


@given(
    wanted=st.dates(date(2026, 1, 1), date(2027, 12, 31)), frequency=st.sampled_from(FREQUENCIES), pays=st.booleans()
)
def test_the_first_instalment_is_never_in_the_past_nor_on_the_deposits_day(
    wanted: date, frequency: Frequency, pays: bool
) -> None:
    """An agreed day that lies ahead is kept."""
    first = first_instalment(TODAY, wanted, frequency, pays_today=pays)

    assert first >= TODAY + timedelta(days=pays)
    assert first in (wanted, TODAY, due_date(TODAY, frequency, 1))
    assert first == wanted or wanted <= TODAY


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"total": aud(0)}, "must be above zero"),
        ({"total": aud(-1)}, "must be above zero"),
        ({"frequency": Frequency.ANNUALLY}, "weekly, fortnightly or monthly"),
        ({"count": 0}, "1 to 260 instalments, not 0"),
        ({"count": 261}, "1 to 260 instalments, not 261"),
        ({"deposit": aud(-1)}, "cannot be below zero"),
        ({"setup_fee": aud(-1)}, "cannot be below zero"),
        ({"deposit": aud(120_000)}, "must be less than the total"),
        ({"deposit": aud(20), "setup_fee": aud(29)}, "due on acceptance of 0.49 AUD is too small"),
        ({"total": aud(12_599)}, "Instalments of 0.49 AUD are too small: the least is 0.50 AUD"),
        ({"first_due": TODAY - timedelta(days=1)}, "cannot lie in the past"),
        ({"first_due": date(2036, 9, 2)}, "more than 10 years away"),
        ({"first_due": date(9999, 12, 31)}, "more than 10 years away"),
        ({"first_due": date(2036, 1, 1)}, "The last instalment would be more than ten years away"),
    ],
)
def test_terms_that_cannot_be_are_refused(changes: dict[str, object], sentence: str) -> None:
    """Each with its reason; the offer without the change is fine."""
    assert checked(GOOD, POLICY, TODAY) is GOOD

    with pytest.raises(DomainError, match=sentence):
        checked(replace(GOOD, **changes), POLICY, TODAY)  # type: ignore[arg-type]


def test_a_practice_may_want_larger_instalments() -> None:
    """The setting is the least of each one, the last included."""
    assert checked(GOOD, BillingPolicy(instalment_min_cents=9_000), TODAY) is GOOD
    with pytest.raises(DomainError, match=r"Instalments of 90\.00 AUD are too small: the least is 90\.01 AUD"):
        checked(GOOD, BillingPolicy(instalment_min_cents=9_001), TODAY)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"min_total_cents": 0}, "smallest total"),
        ({"min_total_cents": 1_500_001}, "smallest total"),
        ({"months": []}, "at least one length"),
        ({"frequencies": []}, "at least one length"),
        ({"frequencies": ["annually"]}, "weekly, fortnightly or monthly"),
        ({"months": [0, 6]}, "at least a month"),
        ({"months": [121]}, "at most 260 instalments"),
        ({"deposit_percent": 100}, "0 to 99 per cent"),
        ({"deposit_percent": -1}, "0 to 99 per cent"),
        ({"setup_fee_cents": -1}, "cannot be below zero"),
        ({"start_after_days": 367}, "within 0 to 366 days"),
    ],
)
def test_a_template_that_allows_nothing_is_refused(changes: dict[str, object], sentence: str) -> None:
    """It would only show when somebody stands at the desk."""
    assert checked_template(template()).name == "Braces"

    with pytest.raises(DomainError, match=sentence):
        checked_template(template(**changes))


@pytest.mark.parametrize(
    ("cents", "months", "frequency", "sentence"),
    [
        (49_999, 6, Frequency.MONTHLY, r"is for totals from 500\.00 AUD to 15000\.00 AUD, not for 499\.99 AUD"),
        (1_500_001, 6, Frequency.MONTHLY, "is for totals from"),
        (50_000, 7, Frequency.MONTHLY, "does not have 7 months: choose one of 6, 12"),
        (50_000, 6, Frequency.WEEKLY, "is not weekly: choose one of monthly, fortnightly"),
    ],
)
def test_a_template_keeps_its_limits(cents: int, months: int, frequency: Frequency, sentence: str) -> None:
    """Both ends belong to them; deposit and fee come from the template."""
    made = offer_from(template(), aud(50_000), 6, Frequency.FORTNIGHTLY, TODAY)
    assert (made.count, made.deposit, made.setup_fee) == (13, aud(5_000), aud(2_500))

    with pytest.raises(DomainError, match=sentence):
        offer_from(template(), aud(cents), months, frequency, TODAY)


@pytest.mark.parametrize(("cents", "warned"), [(0, False), (17_999, False), (18_000, True), (25_000, True)])
def test_staff_are_warned_before_fees_need_a_licence(cents: int, warned: bool) -> None:
    """Within a tenth of the practice's own limit; it says that it is no legal advice."""
    warning = fee_warning(aud(cents), POLICY)

    assert (warning is not None) == warned
    assert warning is None or "not legal advice" in warning
    assert fee_warning(aud(cents), BillingPolicy(credit_fee_warning_cents=0)) is None


@pytest.mark.parametrize("text", ["x" * 201, "two\nlines", "\x1b[2J"])
def test_a_description_is_one_short_line(text: str) -> None:
    """It is printed on invoices."""
    assert described("  " + "x" * 200 + " ") == "x" * 200

    with pytest.raises(DomainError, match="one line of at most 200"):
        described(text)


def test_amounts_and_days_at_their_limits_are_accepted() -> None:
    """Half a dollar, today, and the same day in ten years."""
    assert chargeable("It", aud(50)) == aud(50)
    assert [askable_day("It", day, TODAY) for day in (TODAY, date(2036, 9, 1))] == [TODAY, date(2036, 9, 1)]


@given(
    total=st.integers(10_000, 1_000_000),
    deposit=st.integers(0, 5_000),
    fee=st.integers(0, 5_000),
    count=st.integers(1, 104),
    frequency=st.sampled_from(FREQUENCIES),
)
def test_a_schedule_adds_up_to_the_cent_with_the_remainder_last(
    total: int, deposit: int, fee: int, count: int, frequency: Frequency
) -> None:
    """Deposit and instalments are the total, and the fee lies outside it; days rise strictly."""
    plan = PaymentPlan(
        total_cents=total,
        deposit_cents=deposit,
        setup_fee_cents=fee,
        currency="aud",
        instalment_count=count,
        frequency=frequency,
        anchor=date(2027, 1, 31),
        anchor_number=1,
        next_number=0 if deposit + fee else 1,
        next_due=TODAY if deposit + fee else date(2027, 1, 31),
        status=AgreementStatus.ACTIVE,
    )

    rows = schedule_of(plan, [])

    instalments = [row.amount.cents for row in rows if row.number]
    assert sum(instalments) == total - deposit
    assert instalments == [total_each := (total - deposit) // count] * (count - 1) + [
        total - deposit - total_each * (count - 1)
    ]
    assert all(before.due < after.due for before, after in pairwise(rows))
    assert progress_of(plan, rows).balance.cents == total + fee

"""Leaving early: what is owed under each policy, and how long the membership lasts."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.offers.lock_in import ExitTerms, leaving_text, settle
from connector.billing.policy import EarlyCancel
from connector.money import Money

ANCHOR = date(2027, 1, 15)
A_YEAR = date(2028, 1, 15)


def leave(
    policy: EarlyCancel,
    today: str,
    *,
    frequency: Frequency = Frequency.MONTHLY,
    next_due: date | None = None,
    until: date | None = A_YEAR,
    notice: int = 30,
) -> ExitTerms:
    """Everything up to that day is invoiced, unless told otherwise."""
    day = date.fromisoformat(today)
    dates = (due_date(ANCHOR, frequency, period) for period in range(1000))
    return settle(
        policy,
        frequency=frequency,
        price_per_period=Money(2990, "aud"),
        anchor=ANCHOR,
        next_due=next_due or next(due for due in dates if due > day),
        lock_in_until=until,
        today=day,
        notice_days=notice,
    )


@pytest.mark.parametrize(
    ("policy", "allowed", "owed", "last_day", "reason"),
    [
        (
            EarlyCancel.ALLOW,
            True,
            0,
            "2027-10-14",
            "The lock-in ends on 15/01/2028, but leaving earlier is allowed: nothing further is owed.",
        ),
        (
            EarlyCancel.NOTICE,
            True,
            2990,
            "2027-11-14",
            "The lock-in ends on 15/01/2028: 1 period within the notice is still charged when due, 29.90 AUD in all.",
        ),
        (
            EarlyCancel.CHARGE_REMAINDER,
            True,
            3 * 2990,
            "2028-01-14",
            "The lock-in ends on 15/01/2028: 3 periods until then are owed at once, 89.70 AUD in all.",
        ),
        (
            EarlyCancel.BLOCK,
            False,
            0,
            "2027-10-14",
            "The lock-in ends on 15/01/2028: leaving earlier needs an override, and nothing is charged.",
        ),
    ],
)
def test_leaving_in_the_ninth_month_of_a_year(
    policy: EarlyCancel, allowed: bool, owed: int, last_day: str, reason: str
) -> None:
    """Paid to 14 October; 15 October, November and December fall into the lock-in, and the first into the notice."""
    found = leave(policy, "2027-09-20")

    assert (found.allowed, found.owed.cents, str(found.last_day), found.reason) == (allowed, owed, last_day, reason)
    assert len(found.due) * 2990 == owed


@pytest.mark.parametrize("policy", EarlyCancel)
@pytest.mark.parametrize("until", [None, date(2027, 9, 20), date(2027, 9, 19)])
def test_outside_the_lock_in_nothing_is_owed(policy: EarlyCancel, until: date | None) -> None:
    """Whatever the policy; the paid period is enjoyed to its end."""
    found = leave(policy, "2027-09-20", until=until)

    assert (found.allowed, found.owed.cents, found.due, found.last_day) == (True, 0, (), date(2027, 10, 14))
    assert found.reason == "No lock-in applies: nothing further is owed."


def test_whoever_paid_for_the_year_owes_no_remainder() -> None:
    """No other period falls due before the lock-in ends."""
    found = leave(EarlyCancel.CHARGE_REMAINDER, "2027-02-01", frequency=Frequency.ANNUALLY)

    assert (found.owed.cents, found.last_day) == (0, date(2028, 1, 14))
    assert found.reason.endswith("no further period falls due until then: nothing further is owed.")


@pytest.mark.parametrize(
    ("notice", "due"),
    [
        (0, []),
        (24, []),
        (25, ["2027-10-15"]),
        (55, ["2027-10-15"]),
        (56, ["2027-10-15", "2027-11-15"]),
        (366, ["2027-10-15", "2027-11-15", "2027-12-15"]),
    ],
)
def test_a_notice_charges_what_falls_due_within_it(notice: int, due: list[str]) -> None:
    """Its last day included; but never more than leaving after the lock-in would cost."""
    found = leave(EarlyCancel.NOTICE, "2027-09-20", notice=notice)

    assert [str(day) for day in found.due] == due
    assert found.last_day == due_date(ANCHOR, Frequency.MONTHLY, 9 + len(due)) - timedelta(days=1)


def test_periods_that_were_not_invoiced_yet_belong_to_the_remainder() -> None:
    """After days offline the next due date may have passed; a member who leaves freely does not owe it."""
    late = date(2027, 8, 15)

    remainder = leave(EarlyCancel.CHARGE_REMAINDER, "2027-09-20", next_due=late)
    free = leave(EarlyCancel.ALLOW, "2027-09-20", next_due=late)

    assert [str(day)[:7] for day in remainder.due] == ["2027-08", "2027-09", "2027-10", "2027-11", "2027-12"]
    assert (free.owed.cents, free.last_day) == (0, date(2027, 9, 20))


@given(
    st.sampled_from(list(EarlyCancel)),
    st.sampled_from(list(Frequency)),
    st.integers(min_value=0, max_value=900),
    st.integers(min_value=0, max_value=730),
    st.integers(min_value=0, max_value=366),
)
def test_staff_see_the_exact_sum(
    policy: EarlyCancel, frequency: Frequency, days: int, locked_days: int, notice: int
) -> None:
    """A whole number of periods, all of them to come and within the lock-in; the last day covers what is charged."""
    today, until = ANCHOR + timedelta(days=days), ANCHOR + timedelta(days=locked_days)

    found = leave(policy, today.isoformat(), frequency=frequency, until=until, notice=notice)

    assert found.owed.cents == 2990 * len(found.due)
    assert all(today < day < until for day in found.due)
    assert all(day <= found.last_day for day in found.due)
    assert found.last_day >= today
    assert found.allowed or (policy is EarlyCancel.BLOCK and today < until)
    if policy is EarlyCancel.CHARGE_REMAINDER and today < until:
        assert found.last_day >= until - timedelta(days=1)


@pytest.mark.parametrize(
    ("months", "policy", "words"),
    [
        (0, EarlyCancel.CHARGE_REMAINDER, "There is no lock-in period: leaving costs nothing"),
        (12, EarlyCancel.ALLOW, "bound for 12 months. Leaving earlier is allowed"),
        (12, EarlyCancel.NOTICE, "payments that fall due within the next 30 days are still taken"),
        (1, EarlyCancel.CHARGE_REMAINDER, "bound for 1 month. If you leave earlier, the payments that fall due until"),
        (12, EarlyCancel.BLOCK, "needs the consent of the practice, and then costs nothing"),
    ],
)
def test_whoever_signs_reads_beforehand_what_leaving_early_costs(months: int, policy: EarlyCancel, words: str) -> None:
    """Under each policy of the location."""
    assert words in leaving_text(months, policy, 30)

"""What may be asked of a payer: amounts that can be charged, and days that a person can have meant."""

from __future__ import annotations

from datetime import date

from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.intake.card_numbers import without_card_number
from connector.errors import DomainError
from connector.money import Money

SMALLEST_CHARGE_CENTS = 50
"""Stripe takes nothing smaller (Stripe: minimum and maximum charge amounts)."""
YEARS_AHEAD = 10
"""A date further away is taken for a slip of the finger."""
DESCRIPTION_MAX = 200


def chargeable(what: str, amount: Money, smallest_cents: int = SMALLEST_CHARGE_CENTS) -> Money:
    """The amount, if it can be charged at all. Raises DomainError for nothing, less than nothing, and too little."""
    if amount.cents <= 0:
        raise DomainError(f"{what} must be above zero.")
    if amount.cents < smallest_cents:
        smallest = Money(max(smallest_cents, SMALLEST_CHARGE_CENTS), amount.currency)
        raise DomainError(f"{what} of {amount} is too small: the least that can be charged is {smallest}.")
    return amount


def askable_day(what: str, day: date, today: date) -> date:
    """The day, if it is today or later and not absurdly far away. Raises DomainError otherwise."""
    if day < today:
        raise DomainError(f"{what} cannot lie in the past: today is {today:%Y-%m-%d}.")
    if day > last_askable(today):
        raise DomainError(f"{what} cannot be more than {YEARS_AHEAD} years away: check the year of {day:%Y-%m-%d}.")
    return day


def last_askable(today: date) -> date:
    """The last day for which anything is agreed today."""
    return due_date(today, Frequency.ANNUALLY, YEARS_AHEAD)


def described(text: str) -> str:
    """A description as it is printed on invoices: one short line, no card number. Raises DomainError otherwise."""
    text = text.strip()
    if len(text) > DESCRIPTION_MAX or not text.isprintable():
        raise DomainError(f"A description is one line of at most {DESCRIPTION_MAX} printable characters: shorten it.")
    without_card_number(text)
    return text

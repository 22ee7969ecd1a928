"""The price of part of a period, by days."""

from __future__ import annotations

from connector.money import Money


def prorate(price: Money, days_used: int, days_in_period: int) -> tuple[Money, Money]:
    """The price of the days used, rounded half up to a cent, and the rest; both add up to the price.

    The period is counted in local dates, from its first day to the first day of the next one. Raises ValueError for
    days outside the period and for a negative price.
    """
    if not 0 <= days_used <= days_in_period or days_in_period < 1:
        raise ValueError("The days used lie within a period of at least one day.")
    if price.cents < 0:
        raise ValueError("A price is not negative.")
    used = Money((2 * price.cents * days_used + days_in_period) // (2 * days_in_period), price.currency)
    return used, price - used

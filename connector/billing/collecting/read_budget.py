"""How often Stripe may be asked for news. Pure.

Stripe allots an account 500 reads for each payment of thirty days, and 10,000 at the least (Stripe: API read request
allocations). What is read besides, about payments of bank debits, refunds and the night's lists, is little beside that.
"""

from __future__ import annotations

from math import ceil

READS_PER_PAYMENT = 500
READS_AT_LEAST = 10_000
MONTH_SECONDS = 30 * 86_400
FOR_NEWS = 0.9
"""The part of the allotment that polling may take."""


def poll_seconds(wanted: int, payments: int) -> int:
    """Seconds between two polls: as wanted, or longer where that many payments of thirty days do not allow it."""
    allotted = max(READS_AT_LEAST, READS_PER_PAYMENT * payments)
    return max(wanted, ceil(MONTH_SECONDS / (allotted * FOR_NEWS)))

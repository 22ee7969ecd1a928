"""Our mark on entries in the practice system: neutral, at most 25 characters, and the same for ever.

It is derived from the charge, whose id Stripe also keeps, so that anyone can compare the two without our database.
"""

from __future__ import annotations

import re

_OURS = re.compile(r"SP[0-9A-HJKMNP-TV-Z]{20}(R[1-9][0-9]?)?")


def payment_reference(charge_id: str) -> str:
    """The mark of the payment that came of a charge."""
    return f"SP{charge_id.partition('_')[2]}"


def reversal_reference(charge_id: str, number: int) -> str:
    """The mark of the charge's n-th refund or dispute, counted from 1."""
    return f"{payment_reference(charge_id)}R{number}"


def is_ours(text: str) -> bool:
    """Whether a text in a practice system has the form of our mark."""
    return _OURS.fullmatch(text) is not None

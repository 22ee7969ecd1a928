"""Our mark on entries in the practice system: neutral, at most 25 characters, and the same for ever.

It is derived from the charge, whose id Stripe also keeps, so that anyone can compare the two without our database.

    SP…      the payment, in the ledger of the first person of the invoice; SP…B, SP…C of the others
    SP…R1    what was first taken out of a ledger again: by a refund or a dispute, or as entered with a wrong patient
    SP…U1    the same money once more: that refund failed after all or that dispute was won; or with the right patient

Whatever happens to a payment, in whoever's ledger, counts on: after a move by R1 and U1 its next refund is R2.
"""

from __future__ import annotations

import re

from connector.errors import InvariantBroken

_LETTERS = "BCDEFGHIJKLMNOPQSTVWXYZ"
"""Of the second person and on; R would read as a reversal, U as one undone."""
PEOPLE_MAX = len(_LETTERS) + 1
"""So many people can be on one invoice."""
_DIGITS = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Number the reversals of a payment that has a letter, in the one place that is left."""
_FIRST_PERSON = len("SP") + 20
_OURS = re.compile(rf"SP[0-9A-HJKMNP-TV-Z]{{20}}([RU][1-9][0-9]?|[{_LETTERS}]([RU][{_DIGITS}])?)?")


def payment_reference(charge_id: str, person: int = 0) -> str:
    """The mark of the payment that came of a charge, in the ledger of the n-th person of the invoice, from 0."""
    if person >= PEOPLE_MAX:
        raise InvariantBroken(f"The charge {charge_id} is for more than {PEOPLE_MAX} people.")
    letter = _LETTERS[person - 1] if person else ""
    return f"SP{charge_id.partition('_')[2]}{letter}"


def reversal_reference(original: str, number: int) -> str:
    """The mark of what was taken out for the n-th time of the payment with that mark, counted from 1."""
    lettered = len(original) > _FIRST_PERSON
    if number > (len(_DIGITS) if lettered else 99):
        raise InvariantBroken(f"The payment {original} was taken back more often than can be told apart.")
    return f"{original}R{_DIGITS[number - 1] if lettered else number}"


def undone_reference(reversal: str) -> str:
    """The mark of the entry that takes the reversal with that mark back, or makes up for it with another patient."""
    place = _FIRST_PERSON if reversal[_FIRST_PERSON] == "R" else _FIRST_PERSON + 1
    return f"{reversal[:place]}U{reversal[place + 1 :]}"


def is_ours(text: str) -> bool:
    """Whether a text in a practice system has the form of our mark."""
    return _OURS.fullmatch(text) is not None

"""Ids of what falls due: the same amount has the same ids whenever it is decided on, in whichever copy of the database.

They name the charge to Stripe, are its idempotency keys, and stand in the practice system as our reference. So a
database that was set back to yesterday, or runs twice, asks for the same things under the same names.

    inv_ DDDD hhhhhhhhhhhhhhhh      the day it is due, and a digest of its agreement, kind and period
    ch_  DDDD hhhhhhhhhhhhhh gg     the same with a number for each payment object
    att_ DDDD hhhhhhhhhhhhhh gg nn  the same with a number for each try
"""

from __future__ import annotations

from datetime import date
from hashlib import sha256

from connector.errors import InvariantBroken
from connector.ids import base32

_DAY = 4
_DIGEST = 16
_SHORT_DIGEST = _DIGEST - 2
_NUMBER = 2
NUMBERS_MAX = 32**_NUMBER - 1


def invoice_id(agreement_id: str, kind: str, period: int, due: date) -> str:
    """Of the invoice for a period of an agreement. Ids of one day lie together in every index."""
    digest = int.from_bytes(sha256(f"{agreement_id}|{kind}|{period}".encode()).digest())
    return f"inv_{base32(due.toordinal(), _DAY)}{base32(digest, _DIGEST)}"


def charge_id(invoice_id: str, generation: int) -> str:
    """Of the n-th payment object of an invoice, counted from 1."""
    return f"ch_{_tail(invoice_id)[: _DAY + _SHORT_DIGEST]}{_number(generation)}"


def attempt_id(charge_id: str, number: int) -> str:
    """Of the n-th try to confirm a charge, counted from 1."""
    return f"att_{_tail(charge_id)}{_number(number)}"


def _number(number: int) -> str:
    if not 0 < number <= NUMBERS_MAX:
        raise InvariantBroken(f"An id has no room for the number {number}.")
    return base32(number, _NUMBER)


def _tail(id_: str) -> str:
    return id_.partition("_")[2]

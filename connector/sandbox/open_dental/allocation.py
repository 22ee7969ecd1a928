"""How a payment is divided into splits: the rules of Open Dental's automatic allocation, without any I/O.

A payment goes to the oldest open charges first (FIFO). What is left becomes one split of the office's unearned type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connector.sandbox.open_dental.options import Allocation


@dataclass(frozen=True, slots=True)
class Charge:
    """Something still owed, in cents: a completed procedure, a positive adjustment, or what a payment plan expects."""

    owed: int
    day: str
    patient: int
    provider: int
    clinic: int = 0
    procedure: int = 0
    adjustment: int = 0
    plan: int = 0


@dataclass(frozen=True, slots=True)
class Split:
    """One part of a payment, in cents, and what it pays; without a target it is money on account."""

    cents: int
    patient: int
    provider: int
    clinic: int = 0
    procedure: int = 0
    adjustment: int = 0
    plan: int = 0
    unearned_type: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """A payment that is to be divided, with what its sender asked for."""

    cents: int
    patient: int
    provider: int
    unearned_type: int
    mode: Allocation
    clinic: int = 0
    patient_first: bool = False
    """Charges of this patient come before those of the family."""
    prepayment: bool = False
    unallocated_prepayment: bool = False
    """Like `prepayment`, and of the unearned type whatever the mode."""
    procedures: tuple[int, ...] = ()
    """Procedures to pay first."""
    plan: int = 0
    """Payment plan to pay before the others."""


def allocate(wish: Wish, charges: Sequence[Charge]) -> list[Split]:
    """Divide the payment over the family's open charges. The splits always add up to the payment."""
    manual = wish.mode is Allocation.MANUAL
    if wish.unallocated_prepayment:
        return [_on_account(wish, wish.cents, wish.unearned_type)]
    if wish.prepayment:
        return [_on_account(wish, wish.cents, 0 if manual else wish.unearned_type, wish.plan)]
    if manual or wish.cents < 0:
        return [_on_account(wish, wish.cents, 0)]
    splits = []
    left = wish.cents
    for charge in sorted(charges, key=lambda charge: _rank(wish, charge)):
        part = min(left, charge.owed)
        if part > 0:
            splits.append(_towards(charge, part))
            left -= part
    if left:
        splits.append(_on_account(wish, left, wish.unearned_type))
    return splits


def _rank(wish: Wish, charge: Charge) -> tuple[int, str, int, int, int]:
    if charge.plan:
        urgency = 0 if charge.plan == wish.plan else 1
    elif charge.procedure and charge.procedure in wish.procedures:
        urgency = 2
    else:
        urgency = 3 if wish.patient_first and charge.patient == wish.patient else 4
    return urgency, charge.day, charge.plan, charge.procedure, charge.adjustment


def _towards(charge: Charge, cents: int) -> Split:
    return Split(
        cents,
        charge.patient,
        charge.provider,
        charge.clinic,
        procedure=charge.procedure,
        adjustment=charge.adjustment,
        plan=charge.plan,
    )


def _on_account(wish: Wish, cents: int, unearned_type: int, plan: int = 0) -> Split:
    return Split(cents, wish.patient, wish.provider, wish.clinic, plan=plan, unearned_type=unearned_type)

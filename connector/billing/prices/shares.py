"""Whose money a household's invoice is, and how a part of it is divided; cents always add up to the amount."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connector.billing.prices.pricing import LineKind, PricedLine


def shares(lines: Iterable[PricedLine]) -> dict[str, int]:
    """Cents of each member, in the order in which the lines first name them (priced lines: the holder first).

    The platform fee and lines without a member belong to nobody: they never go to a patient's ledger.
    """
    found: dict[str, int] = {}
    for line in lines:
        if line.member_id is not None and line.kind is not LineKind.PLATFORM_FEE:
            found[line.member_id] = found.get(line.member_id, 0) + line.amount.cents
    return found


def divide(lines: Sequence[PricedLine], paid_cents: int) -> tuple[dict[str, int], int]:
    """What a payment of an invoice brings each person's ledger, and how much of it is the platform fee.

    Each gets their share; a payment of a part, after a dispute over the rest, is divided in proportion.
    """
    whole = shares(lines)
    fee = sum(line.amount.cents for line in lines if line.kind is LineKind.PLATFORM_FEE)
    *parts, fee_part = apportion(paid_cents, [*whole.values(), fee])
    return dict(zip(whole, parts, strict=True)), fee_part


def apportion(amount_cents: int, weights: Sequence[int]) -> list[int]:
    """Divide an amount in proportion to the weights; the cents that are left go to the largest remainders.

    Equal remainders are served in order. No part exceeds its weight unless the amount exceeds all of them together.
    Raises ValueError for negative numbers, and when there is an amount but no weight.
    """
    whole = sum(weights)
    if amount_cents < 0 or any(weight < 0 for weight in weights):
        raise ValueError("Amounts and weights are never negative.")
    if not whole:
        if amount_cents:
            raise ValueError("There is nobody to take a part of the amount.")
        return [0] * len(weights)
    parts = [amount_cents * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: -(amount_cents * weights[index] % whole))
    for index in by_remainder[: amount_cents - sum(parts)]:
        parts[index] += 1
    return parts

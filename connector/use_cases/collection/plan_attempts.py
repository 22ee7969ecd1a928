"""Plan attempts to collect: a charge for an invoice, and one try of it on a day, in the caller's unit of work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import BILLABLE, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.clinics import Location
from connector.billing.collecting.business_days import BusinessCalendar
from connector.billing.collecting.charges import (
    ENDED,
    LIVE_ATTEMPT,
    AttemptState,
    Charge,
    ChargeAttempt,
    Origin,
    Payment,
)
from connector.billing.due_ids import attempt_id, charge_id
from connector.billing.invoices import Invoice
from connector.billing.members import MethodKind, PaymentMethod
from connector.clock import day_bounds
from connector.money import Money
from connector.use_cases.invoices.owed import owed

LEFT_BEHIND_AFTER = timedelta(minutes=10)
LOOK_AHEAD = timedelta(days=60)
"""So far ahead due dates are kept free of other debits: longer than any catch-up or recovery step lasts."""


@dataclass(frozen=True, slots=True)
class Payer:
    """The payment method that a member's charges go to now."""

    method_id: str
    kind: MethodKind


@dataclass(frozen=True, slots=True)
class FirstTry:
    """A new invoice that is to be collected."""

    invoice_id: str
    amount: Money
    method_id: str
    debit_on: date
    generation: int = 1
    charge_id: str | None = None
    """Where the processor knows the charge already, the id that it knows it by."""


def payers(session: Session, member_ids: Collection[str]) -> dict[str, Payer]:
    """The usable payment method of each member who has one."""
    query = select(PaymentMethod.member_id, PaymentMethod.id, PaymentMethod.kind).where(
        PaymentMethod.member_id.in_(member_ids), PaymentMethod.usable.is_(True)
    )
    return {member_id: Payer(method_id, kind) for member_id, method_id, kind in session.execute(query)}


def plan_first(
    session: Session, location: Location, tries: Sequence[FirstTry], now: datetime, origin: Origin = Origin.SCHEDULE
) -> None:
    """A charge and its first attempt for each of these new invoices."""
    if not tries:
        return
    charges = [_charge(location.id, item, now) for item in tries]
    attempts = [
        _attempt(location, (charge["id"], 1), item.method_id, origin, item.debit_on, now)
        for charge, item in zip(charges, tries, strict=True)
    ]
    session.execute(insert(Charge), charges)
    session.execute(insert(ChargeAttempt), attempts)


def plan_again(
    session: Session,
    location: Location,
    invoice: Invoice,
    method_id: str,
    origin: Origin,
    debit_on: date,
    now: datetime,
) -> bool:
    """Another attempt for an invoice, on its own charge, which can succeed only once.

    What came back of an earlier payment is asked for with a charge of its own. False while one is live, or nothing is
    owed.
    """
    newest = session.scalars(
        select(Charge).where(Charge.invoice_id == invoice.id).order_by(Charge.generation.desc()).limit(1)
    ).first()
    made = select(ChargeAttempt.state).where(ChargeAttempt.charge_id == (newest.id if newest else None))
    states = session.scalars(made).all()
    if any(state in LIVE_ATTEMPT for state in states):
        return False
    if newest is None or _has_ended(session, newest):
        generation = newest.generation + 1 if newest else 1
        left = Money(owed(session, invoice), invoice.currency)
        if left.cents <= 0:
            return False
        again = FirstTry(invoice.id, left, method_id, debit_on, generation)
        plan_first(session, location, [again], now, origin)
    else:
        number = len(states) + 1
        attempt = _attempt(location, (newest.id, number), method_id, origin, debit_on, now)
        session.execute(insert(ChargeAttempt), [attempt])
    return True


def _has_ended(session: Session, charge: Charge) -> bool:
    """Whether the payment object cannot be confirmed again: it was paid, and the money returned, or it is cancelled."""
    ended = select(ChargeAttempt.id).where(ChargeAttempt.charge_id == charge.id, ChargeAttempt.failure_code.in_(ENDED))
    paid = select(Payment.id).where(Payment.charge_id == charge.id)
    return session.scalar(paid) is not None or session.scalars(ended).first() is not None


def next_generation(session: Session, invoice_id: str) -> int:
    """The number of the invoice's next payment object."""
    return (session.scalar(select(func.max(Charge.generation)).where(Charge.invoice_id == invoice_id)) or 0) + 1


def withdraw(session: Session, invoice_id: str, now: datetime) -> bool:
    """Call off what is planned for an invoice. False when something was sent already, which nobody can call off."""
    # What a run decides to send it sends under the same lock: before this, or not at all (PostgreSQL).
    session.execute(select(Invoice.id).where(Invoice.id == invoice_id).with_for_update(key_share=True))
    of_invoice = ChargeAttempt.charge_id.in_(select(Charge.id).where(Charge.invoice_id == invoice_id))
    session.execute(
        update(ChargeAttempt)
        .where(of_invoice, ChargeAttempt.state == AttemptState.PLANNED)
        .values(state=AttemptState.WITHDRAWN, decided_at=now)
        .execution_options(synchronize_session="fetch")
    )
    sent = select(ChargeAttempt.id).where(of_invoice, ChargeAttempt.state.in_(LIVE_ATTEMPT))
    return session.scalars(sent).first() is None


def debit_days(session: Session, member_ids: Collection[str], since: date, but: str = "") -> dict[str, set[date]]:
    """The days from `since` on which something was or will be taken from each payer, apart from the attempt `but`."""
    query = (
        select(Invoice.member_id, ChargeAttempt.debit_on)
        .join(Charge, Charge.invoice_id == Invoice.id)
        .join(ChargeAttempt, ChargeAttempt.charge_id == Charge.id)
        .where(Invoice.member_id.in_(member_ids), ChargeAttempt.debit_on >= since)
        .where(ChargeAttempt.state != AttemptState.WITHDRAWN, ChargeAttempt.id != but)
    )
    found: defaultdict[str, set[date]] = defaultdict(set)
    for member_id, day in session.execute(query):
        found[member_id].add(day)
    return found


def busy_days(
    session: Session, calendar: BusinessCalendar, member_ids: Collection[str], today: date, but: str = ""
) -> dict[str, set[date]]:
    """The days from today on of each payer that no missed or repeated debit may take.

    Something is planned for them, apart from the attempt `but`, or falls due on them. A bank debit rolls to the next
    business day; for a card that day is left free as well, which does no harm.
    """
    found: defaultdict[str, set[date]] = defaultdict(set, debit_days(session, member_ids, today, but))
    agreements: list[Contract | PaymentPlan] = [
        *session.scalars(select(Contract).where(Contract.member_id.in_(member_ids), Contract.status.in_(BILLABLE))),
        *session.scalars(
            select(PaymentPlan).where(PaymentPlan.member_id.in_(member_ids), PaymentPlan.status.in_(BILLABLE))
        ),
    ]
    for agreement in agreements:
        # What should have been issued by now is debited today.
        days = {max(due, today) for due in agreement.coming(today + LOOK_AHEAD)}
        found[agreement.member_id] |= days | {calendar.roll_forward(day) for day in days}
    return found


def _charge(location_id: str, item: FirstTry, now: datetime) -> dict[str, Any]:
    return {
        "id": item.charge_id or charge_id(item.invoice_id, item.generation),
        "location_id": location_id,
        "invoice_id": item.invoice_id,
        "generation": item.generation,
        "amount_cents": item.amount.cents,
        "application_fee_cents": 0,
        "currency": item.amount.currency,
        "created_at": now,
    }


def _attempt(
    location: Location, key: tuple[str, int], method_id: str, origin: Origin, debit_on: date, now: datetime
) -> dict[str, Any]:
    """An attempt by its key: the charge, and the how-manieth of that charge it is."""
    start = day_bounds(debit_on, location.zone)[0]
    # While the payer is present the page makes the attempt itself; only one that it left behind is taken up.
    earliest = now + LEFT_BEHIND_AFTER if origin is Origin.PAYER else now
    return {
        "id": attempt_id(*key),
        "location_id": location.id,
        "charge_id": key[0],
        "payment_method_id": method_id,
        "state": AttemptState.PLANNED,
        "origin": origin,
        "debit_on": debit_on,
        "created_at": now,
        "next_check_at": max(start, earliest),
    }

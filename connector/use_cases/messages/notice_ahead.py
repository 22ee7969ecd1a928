"""Announce what comes: the next debit some days before it, and that a card will not live to see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import BILLABLE, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.clinics import Location
from connector.billing.members import MethodKind, PaymentMethod
from connector.billing.prices.pricing import amount_of
from connector.clock import business_date
from connector.messaging.kinds import MessageKind
from connector.money import Money
from connector.use_cases.context import Context
from connector.use_cases.invoices.issue_due import instalment_invoice_lines
from connector.use_cases.invoices.price_periods import Prices
from connector.use_cases.messages.queue_message import queue_message

log = structlog.get_logger()

BATCH = 500
"""Agreements per unit of work."""

A = TypeVar("A", Contract, PaymentPlan)
Agreement = Contract | PaymentPlan
Row = tuple[Agreement, PaymentMethod]
"""An agreement with what its next debit will be taken from."""
Writer = Callable[[Context, Session, Location, Sequence[Row]], int]


@dataclass
class NoticeTally:
    """What is announced as of today; notices that were queued on an earlier day count again."""

    debits: int = 0
    cards: int = 0


def notice_ahead(context: Context, location: Location) -> NoticeTally:
    """Queue the notices of today; each is queued once, however often this runs."""
    tally = NoticeTally()
    tally.debits = _announce(context, location, _announce_debits, [location.policy.upcoming_notice_days])
    tally.cards = _announce(context, location, _announce_expiry, location.policy.card_expiry_notice_days)
    if tally.debits or tally.cards:
        log.info("notices.queued", location_id=location.id, debits=tally.debits, cards=tally.cards)
    return tally


def _announce(context: Context, location: Location, write: Writer, days_before: Sequence[int]) -> int:
    """Look at all agreements whose next debit is near enough, and write their notices; returns how many."""
    days = max(days_before, default=0)
    if not days:
        return 0
    today = business_date(context.clock.now(), location.zone)
    last = _horizon(location, today, days)
    return _of_kind(context, location, Contract, write, today, last) + _of_kind(
        context, location, PaymentPlan, write, today, last
    )


def _of_kind(context: Context, location: Location, kind: type[A], write: Writer, today: date, last: date) -> int:
    count, after = 0, ""
    while True:
        query = (
            select(kind, PaymentMethod)
            .join(PaymentMethod, PaymentMethod.member_id == kind.member_id)
            .where(kind.location_id == location.id, kind.status.in_(BILLABLE), PaymentMethod.usable.is_(True))
            .where(kind.next_due > today, kind.next_due <= last, kind.id > after)
            .order_by(kind.id)
            .limit(BATCH)
        )
        with context.database.unit_of_work() as session:
            rows: list[Row] = [(agreement, method) for agreement, method in session.execute(query)]
            count += write(context, session, location, rows)
        if len(rows) < BATCH:
            return count
        after = rows[-1][0].id


def _horizon(location: Location, today: date, days: int) -> date:
    """The last due date that is to be told today: so many days before it the next messages would come too late.

    Messages go out on business days, so on a Friday the notices of the weekend go too.
    """
    return location.calendar.add_business_days(today, 1) - timedelta(days=1) + timedelta(days=days)


def _announce_debits(context: Context, session: Session, location: Location, rows: Sequence[Row]) -> int:
    now, count = context.clock.now(), 0
    prices = Prices(session, location, [row.id for row, _ in rows if isinstance(row, Contract)])
    for agreement, _ in rows:
        due = agreement.next_due
        amount = _amount(context, location, agreement, prices)
        if due is None or not amount:
            continue
        count += 1
        queue_message(
            session,
            location,
            MessageKind.UPCOMING_DEBIT,
            agreement.id,
            due.isoformat(),
            now,
            member_id=agreement.member_id,
            amount_cents=amount.cents,
            due_on=due.isoformat(),
        )
    return count


def _amount(context: Context, location: Location, agreement: Agreement, prices: Prices) -> Money:
    """What the next invoice will come to."""
    if agreement.next_due is None or _is_over(agreement):
        return Money.zero(agreement.currency)
    if isinstance(agreement, Contract):
        lines = prices.invoice_lines(context.tiers, agreement, agreement.next_period, agreement.next_due)
    else:
        lines = instalment_invoice_lines(context.tiers, location, agreement, agreement.next_number)
    return amount_of(lines, agreement.currency)


def _is_over(agreement: Agreement) -> bool:
    """Whether the agreement ends, under notice, before its next due date."""
    ends_on = agreement.ends_on if isinstance(agreement, Contract) else None
    return ends_on is not None and agreement.next_due is not None and agreement.next_due > ends_on


def _announce_expiry(context: Context, session: Session, location: Location, rows: Sequence[Row]) -> int:
    now, count = context.clock.now(), 0
    today = business_date(now, location.zone)
    for agreement, method in rows:
        due = agreement.next_due
        if due is None or _is_over(agreement) or not _expires_before(method, due):
            continue
        # After days offline only the most urgent one is sent.
        steps = [
            days for days in sorted(location.policy.card_expiry_notice_days) if due <= _horizon(location, today, days)
        ]
        count += 1
        queue_message(
            session,
            location,
            MessageKind.CARD_EXPIRING,
            method.id,
            str(steps[0]),
            now,
            member_id=agreement.member_id,
            agreement_id=agreement.id,
            due_on=due.isoformat(),
        )
    return count


def _expires_before(method: PaymentMethod, due: date) -> bool:
    """Whether the card's last month is over by then."""
    if method.kind is not MethodKind.CARD or method.expiry_year is None or method.expiry_month is None:
        return False
    return (method.expiry_year, method.expiry_month) < (due.year, due.month)

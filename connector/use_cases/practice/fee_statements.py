"""The monthly statement of the platform's fees: made once for a month that is over, and shown again as it was."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.clinics import Location, location_by_slug
from connector.billing.collecting.charges import Payment
from connector.billing.policy import FeeBearer
from connector.billing.prices.platform_fees import FeeCollection, FeeStatement, PlatformFee
from connector.clock import business_date
from connector.database.sums import summed
from connector.errors import DomainError
from connector.money import Money
from connector.use_cases.context import Context


@dataclass(frozen=True, slots=True)
class FeeLine:
    """The fee of one payment."""

    payment_id: str
    day: date
    paid_cents: int
    fee_cents: int
    """With GST."""
    gst_cents: int
    bearer: FeeBearer
    collection: FeeCollection


@dataclass(frozen=True, slots=True)
class StatementShown:
    """A statement with its payments. Its sums are those that were kept when it was made."""

    id: str
    location: str
    month: date
    payments: int
    fee: Money
    """With GST."""
    gst: Money
    kept: Money
    """Of the fee, what Stripe passed on to the platform already."""
    lines: list[FeeLine]

    @property
    def owed(self) -> Money:
        """What the practice still owes the platform for the month."""
        return self.fee - self.kept


@dataclass(frozen=True, slots=True)
class FeeMonth:
    """The fees of one month at one location."""

    location: str
    month: date
    payments: int
    fee: Money
    gst: Money
    kept: Money
    statement_id: str | None
    """None while no statement is made: the sums may still grow."""


def make_fee_statement(context: Context, slug: str, month: date, actor: str) -> StatementShown:
    """The statement of the month that begins on that day, made on the first call. Raises DomainError before its end."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        location = location_by_slug(session, slug)
        # Waits for payments that are being recorded; later ones find the statement and go into the present month.
        session.refresh(location, with_for_update=True)
        following = due_date(month, Frequency.MONTHLY, 1)
        if business_date(now, location.zone) < following:
            raise DomainError(
                f"The month {month:%m/%Y} is not over: its statement is made from {following:%d/%m/%Y} on."
            )
        lines = _lines(session, location, month)
        statement = session.scalar(
            select(FeeStatement).where(FeeStatement.location_id == location.id, FeeStatement.month == month)
        )
        if statement is None:
            statement = FeeStatement(
                id=ids.new_id("fst"),
                location_id=location.id,
                month=month,
                payments=len(lines),
                amount_cents=sum(line.fee_cents for line in lines),
                gst_cents=sum(line.gst_cents for line in lines),
                currency=location.currency,
                created_at=now,
            )
            session.add(statement)
            remember(
                session,
                location.id,
                "Fee Statement Made",
                now,
                location_id=location.id,
                actor=actor,
                statement_id=statement.id,
                fee_cents=statement.amount_cents,
            )
    kept = sum(line.fee_cents for line in lines if line.collection is FeeCollection.APPLICATION_FEE)
    return StatementShown(
        id=statement.id,
        location=slug,
        month=month,
        payments=statement.payments,
        fee=Money(statement.amount_cents, statement.currency),
        gst=Money(statement.gst_cents, statement.currency),
        kept=Money(kept, statement.currency),
        lines=lines,
    )


def list_fee_months(context: Context, slug: str = "") -> list[FeeMonth]:
    """The months with fees or statements, newest first, of all locations or of one. Raises DomainError."""
    with context.database.read() as session:
        places = [location_by_slug(session, slug)] if slug else session.scalars(select(Location)).all()
        found = [month for location in places for month in _months(session, location)]
    return sorted(sorted(found, key=lambda row: row.location), key=lambda row: row.month, reverse=True)


def _lines(session: Session, location: Location, month: date) -> list[FeeLine]:
    query = (
        select(PlatformFee, Payment.amount_cents)
        .join(Payment, Payment.id == PlatformFee.payment_id)
        .where(PlatformFee.location_id == location.id, PlatformFee.business_date >= month)
        .where(PlatformFee.business_date < due_date(month, Frequency.MONTHLY, 1))
        .order_by(PlatformFee.business_date, PlatformFee.payment_id)
    )
    return [
        FeeLine(
            payment_id=row.payment_id,
            day=row.business_date,
            paid_cents=paid,
            fee_cents=row.amount_cents,
            gst_cents=row.gst_cents,
            bearer=row.bearer,
            collection=row.collection,
        )
        for row, paid in session.execute(query)
    ]


def _months(session: Session, location: Location) -> list[FeeMonth]:
    made = select(FeeStatement.month, FeeStatement.id).where(FeeStatement.location_id == location.id)
    statements: dict[date, str] = dict(session.execute(made).all())
    sums: defaultdict[date, Counter[str]] = defaultdict(Counter, {month: Counter() for month in statements})
    query = (
        select(
            PlatformFee.business_date,
            PlatformFee.collection,
            func.count(),
            summed(PlatformFee.amount_cents),
            summed(PlatformFee.gst_cents),
        )
        .where(PlatformFee.location_id == location.id)
        .group_by(PlatformFee.business_date, PlatformFee.collection)
    )
    for day, collection, count, fee, gst in session.execute(query):
        kept = fee if collection is FeeCollection.APPLICATION_FEE else 0
        sums[day.replace(day=1)].update(payments=count, fee=fee, gst=gst, kept=kept)
    return [
        FeeMonth(
            location=location.slug,
            month=month,
            payments=found["payments"],
            fee=Money(found["fee"], location.currency),
            gst=Money(found["gst"], location.currency),
            kept=Money(found["kept"], location.currency),
            statement_id=statements.get(month),
        )
        for month, found in sums.items()
    ]

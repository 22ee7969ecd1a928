"""List payments, and show one with what came before it and after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment, RefundRequest, ReturnedPayment, UndoneReturn
from connector.billing.prices.platform_fees import PlatformFee
from connector.database.sums import summed
from connector.ledger.write_back.models import WriteBack
from connector.use_cases.context import Context
from connector.use_cases.invoices.list_invoices import AttemptShown, attempts_of
from connector.use_cases.returns.refundable import find_payment, refundable


@dataclass(frozen=True, slots=True)
class PaymentShown:
    """One payment as staff see it."""

    id: str
    member_id: str
    invoice_id: str
    method_kind: str
    business_date: date
    amount_cents: int
    fee_cents: int
    """Stripe's."""
    returned_cents: int
    """Given back, less what came to the practice again."""
    currency: str


@dataclass(frozen=True, slots=True)
class PaymentHistory:
    """A payment with the attempts that led to it, what went back, and how it stands in the practice system."""

    payment: PaymentShown
    refundable_cents: int
    platform_fee_cents: int
    attempts: tuple[AttemptShown, ...]
    returns: tuple[dict[str, Any], ...]
    refund_requests: tuple[dict[str, Any], ...]
    write_backs: tuple[dict[str, Any], ...]


def list_payments(
    context: Context,
    location: Location,
    start: date | None = None,
    end: date | None = None,
    member_id: str | None = None,
    limit: int = 100,
) -> list[PaymentShown]:
    """The location's payments of these business dates (both included) and that payer, the newest first."""
    query = select(Payment).where(Payment.location_id == location.id)
    if start is not None:
        query = query.where(Payment.business_date >= start)
    if end is not None:
        query = query.where(Payment.business_date <= end)
    if member_id is not None:
        query = query.where(Payment.member_id == member_id)
    query = query.order_by(Payment.business_date.desc(), Payment.recorded_at.desc(), Payment.id.desc()).limit(limit)
    with context.database.read() as session:
        rows = session.scalars(query).all()
        returned = _returned(session, [row.id for row in rows])
        return [_shown(row, returned.get(row.id, 0)) for row in rows]


def show_payment(context: Context, payment_id: str) -> PaymentHistory:
    """One payment. Raises DomainError when there is none."""
    with context.database.read() as session:
        row = find_payment(session, payment_id)
        returns = session.scalars(
            select(ReturnedPayment).where(ReturnedPayment.payment_id == row.id).order_by(ReturnedPayment.recorded_at)
        ).all()
        undone = {
            item.returned_payment_id: item
            for item in session.scalars(
                select(UndoneReturn).where(UndoneReturn.returned_payment_id.in_([item.id for item in returns]))
            )
        }
        requests = session.scalars(
            select(RefundRequest).where(RefundRequest.payment_id == row.id).order_by(RefundRequest.created_at)
        )
        sources = [row.id, *(item.id for item in returns), *(item.id for item in undone.values())]
        written = session.scalars(
            select(WriteBack)
            .where(WriteBack.source_id.in_(sources))
            .order_by(WriteBack.created_at, WriteBack.reference)
        )
        fee = session.get(PlatformFee, row.id)
        return PaymentHistory(
            payment=_shown(row, _returned(session, [row.id]).get(row.id, 0)),
            refundable_cents=refundable(session, row).cents,
            platform_fee_cents=fee.amount_cents if fee else 0,
            attempts=attempts_of(session, row.invoice_id),
            returns=tuple(_returned_document(item, undone.get(item.id)) for item in returns),
            refund_requests=tuple(_columns(item, _REQUEST) for item in requests),
            write_backs=tuple(_columns(item, _WRITE_BACK) for item in written),
        )


_REQUEST = ("id", "amount_cents", "state", "processor_id", "reason", "actor", "failure", "created_at")
_WRITE_BACK = ("id", "reference", "leg", "amount_cents", "state", "entry_date", "pms_entry_id", "reason")


def _returned(session: Session, payment_ids: list[str]) -> dict[str, int]:
    """Cents given back of each of these payments, less what was undone."""
    query = (
        select(
            ReturnedPayment.payment_id,
            summed(ReturnedPayment.amount_cents) - summed(UndoneReturn.amount_cents),
        )
        .outerjoin(UndoneReturn, UndoneReturn.returned_payment_id == ReturnedPayment.id)
        .where(ReturnedPayment.payment_id.in_(payment_ids))
        .group_by(ReturnedPayment.payment_id)
    )
    return dict(session.execute(query).all())


def _shown(row: Payment, returned_cents: int) -> PaymentShown:
    return PaymentShown(
        id=row.id,
        member_id=row.member_id,
        invoice_id=row.invoice_id,
        method_kind=row.method_kind,
        business_date=row.business_date,
        amount_cents=row.amount_cents,
        fee_cents=row.fee_cents,
        returned_cents=returned_cents,
        currency=row.currency,
    )


def _returned_document(row: ReturnedPayment, undone: UndoneReturn | None) -> dict[str, Any]:
    columns = ("id", "kind", "processor_id", "amount_cents", "fee_cents", "business_date")
    return {**_columns(row, columns), "undone_on": undone.business_date if undone else None}


def _columns(row: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}

"""Instant payments with their invoices, and holds, for lists and for one request's page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.payment_requests import HoldStatus, InstantPayment, PaymentHold, RequestStatus
from connector.billing.clinics import Location
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.context import Context


@dataclass(frozen=True, slots=True)
class RequestedPart:
    """One amount of a request."""

    invoice_number: int
    due: date
    cents: int
    status: str


@dataclass(frozen=True, slots=True)
class RequestView:
    """One instant payment as it stands."""

    id: str
    member_id: str
    description: str
    status: str
    accepted_at: datetime | None
    expires_on: date
    parts: Sequence[RequestedPart]

    @property
    def total_cents(self) -> int:
        return sum(part.cents for part in self.parts)

    @property
    def paid_cents(self) -> int:
        return sum(part.cents for part in self.parts if part.status == InvoiceStatus.COMPLETED)

    def document(self, *, parts: bool = False) -> dict[str, Any]:
        """For machines."""
        document = asdict(self) | {"total_cents": self.total_cents, "paid_cents": self.paid_cents}
        if not parts:
            del document["parts"]
        return document


def list_requests(context: Context, location: Location, status: RequestStatus | None = None) -> list[RequestView]:
    """The instant payments of a location, oldest first."""
    query = select(InstantPayment).where(InstantPayment.location_id == location.id)
    if status is not None:
        query = query.where(InstantPayment.status == status)
    with context.database.read() as session:
        requests = session.scalars(query.order_by(InstantPayment.created_at, InstantPayment.id)).all()
        return _views(session, requests, location.zone)


def show_request(context: Context, request_id: str) -> RequestView:
    """One instant payment. Raises DomainError when there is none."""
    with context.database.read() as session:
        request = session.get(InstantPayment, request_id)
        if request is None:
            raise DomainError(
                f"There is no payment request {request_id!r}: see `connector payment-requests list --location SLUG`."
            )
        return _views(session, [request], session.get_one(Location, request.location_id).zone)[0]


def list_holds(context: Context, location: Location, status: HoldStatus | None = None) -> Sequence[PaymentHold]:
    """The holds of a location, oldest first."""
    query = select(PaymentHold).where(PaymentHold.location_id == location.id)
    if status is not None:
        query = query.where(PaymentHold.status == status)
    with context.database.read() as session:
        return session.scalars(query.order_by(PaymentHold.created_at, PaymentHold.id)).all()


def _views(session: Session, requests: Sequence[InstantPayment], zone: ZoneInfo) -> list[RequestView]:
    parts: defaultdict[str | None, list[RequestedPart]] = defaultdict(list)
    of_these = Invoice.instant_payment_id.in_([request.id for request in requests])
    for row in session.scalars(select(Invoice).where(of_these).order_by(Invoice.period)):
        part = RequestedPart(row.number, row.due_date, row.amount_cents, row.status.value)
        parts[row.instant_payment_id].append(part)
    return [
        RequestView(
            request.id,
            request.member_id,
            request.description,
            request.status.value,
            request.accepted_at,
            business_date(request.expires_at, zone),
            parts[request.id],
        )
        for request in requests
    ]

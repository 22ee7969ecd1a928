"""Decide about an invoice by hand: charge one that waits, or let go of one that is unpaid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.payment_requests import InstantPayment, RequestStatus
from connector.billing.clinics import Location
from connector.billing.collecting.catch_up import debit_day
from connector.billing.collecting.charges import Origin
from connector.billing.invoices import UNPAID, Invoice, InvoiceStatus
from connector.billing.members import MethodKind
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.collection.plan_attempts import Payer, busy_days, payers, plan_again
from connector.use_cases.collection.settle_charge import without_debt
from connector.use_cases.context import Context
from connector.use_cases.invoices.give_up_unpaid import give_up_unpaid, money_under_way
from connector.use_cases.invoices.invoice_document import invoice_number
from connector.use_cases.invoices.lock_invoice import lock_invoice


def release_invoices(
    context: Context, invoice_ids: Sequence[str], on: date | None, actor: str, *, same_day: bool = False
) -> list[tuple[str, date]]:
    """Charge invoices that wait, each on the given day or its payer's next free one; returns their ids and days.

    `same_day` allows a second debit of a payer on one day. Raises DomainError, and releases none, when one cannot be
    charged then.
    """
    with context.database.unit_of_work() as session:
        return [_release(session, context, invoice_id, on, actor, same_day=same_day) for invoice_id in invoice_ids]


def _release(
    session: Session, context: Context, invoice_id: str, on: date | None, actor: str, *, same_day: bool
) -> tuple[str, date]:
    now = context.clock.now()
    invoice, location = find_invoice(session, invoice_id, lock=True)
    if invoice.status is not InvoiceStatus.WAITING:
        raise DomainError(f"The invoice {_name(invoice)} is {invoice.status}: only one that waits can be released.")
    payer = payers(session, [invoice.member_id]).get(invoice.member_id)
    if payer is None:
        raise DomainError(
            f"The payer of the invoice {_name(invoice)} has no usable card or bank account: "
            "let the payer give one first."
        )
    day = _day(session, location, invoice, payer, on, business_date(now, location.zone), same_day=same_day)
    plan_again(session, location, invoice, payer.method_id, Origin.STAFF, day, now)
    invoice.status = InvoiceStatus.OPEN
    session.flush()
    _remember(session, invoice, "Invoice Released", actor, now, debit_on=day.isoformat())
    return invoice.id, day


def cancel_invoice(context: Context, invoice_id: str, actor: str) -> Invoice:
    """Give up what is owed on an unpaid invoice: its number stays. Raises DomainError for any other."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        invoice, location = find_invoice(session, invoice_id, lock=True)
        if money_under_way(session, [invoice]):
            raise DomainError(
                f"Money for the invoice {_name(invoice)} is under way and cannot be called off: wait for the result."
            )
        if invoice.status not in UNPAID:
            raise DomainError(f"The invoice {_name(invoice)} is {invoice.status}: only an unpaid one can be cancelled.")
        if _is_asked_for(session, invoice):
            raise DomainError(
                f"The invoice {_name(invoice)} belongs to the payment request {invoice.instant_payment_id}: "
                "cancel that with `connector payment-requests cancel`."
            )
        if invoice.contract_id and session.get_one(Contract, invoice.contract_id).status is AgreementStatus.FAILED:
            raise DomainError(
                f"The invoice {_name(invoice)} is the first of a membership that has not begun: cancel the contract "
                f"{invoice.contract_id} with `connector members cancel`, or let its payer give another card."
            )
        today = business_date(now, location.zone)
        give_up_unpaid(session, [invoice], InvoiceStatus.CANCELLED, today, now)
        without_debt(session, invoice)
        _remember(session, invoice, "Invoice Cancelled", actor, now)
    return invoice


def forgive_invoice(context: Context, invoice_id: str, actor: str) -> Invoice:
    """Never charge a missed period: void the invoice that waits for it. Raises DomainError for any other."""
    with context.database.read() as session:
        invoice, _ = find_invoice(session, invoice_id)
    if invoice.status is not InvoiceStatus.WAITING:
        raise DomainError(
            f"The invoice {_name(invoice)} is {invoice.status}: only one that waits can be forgiven; "
            "see `connector invoices cancel`."
        )
    return cancel_invoice(context, invoice_id, actor)


def find_invoice(session: Session, invoice_id: str, *, lock: bool = False) -> tuple[Invoice, Location]:
    """The invoice with that id or printed number, and its location. Raises DomainError when there is none."""
    invoice = session.get(Invoice, invoice_id)
    prefix, dash, digits = invoice_id.rpartition("-")
    if invoice is None and dash and digits.isascii() and digits.isdigit():
        numbered = select(Invoice).join(Location, Location.id == Invoice.location_id)
        invoice = session.scalar(numbered.where(Location.slug == prefix.lower(), Invoice.number == int(digits[-12:])))
    if invoice is None:
        raise DomainError(f"There is no invoice {invoice_id!r}: see `connector invoices list --location SLUG`.")
    if lock:
        lock_invoice(session, invoice.id)
    return invoice, session.get_one(Location, invoice.location_id)


def _is_asked_for(session: Session, invoice: Invoice) -> bool:
    """Whether a payment request asks for it that goes on; what is disputed may be of one that is over."""
    request = session.get(InstantPayment, invoice.instant_payment_id) if invoice.instant_payment_id else None
    return request is not None and request.status is RequestStatus.ACTIVE


def _day(
    session: Session,
    location: Location,
    invoice: Invoice,
    payer: Payer,
    on: date | None,
    today: date,
    *,
    same_day: bool,
) -> date:
    """The day of the debit. A day that was asked for is taken as it is, or refused."""
    found = {} if same_day else busy_days(session, location.calendar, [invoice.member_id], today)
    busy = found.get(invoice.member_id, set())
    day = debit_day(on or today, busy, location.calendar, is_becs=payer.kind is MethodKind.BECS)
    if on is None or on == day:
        if day < today:
            raise DomainError(f"{day:%d/%m/%Y} has passed: choose today or a later day.")
        return day
    if on in busy:
        raise DomainError(
            f"The payer is debited on {on:%d/%m/%Y} already: choose {day:%d/%m/%Y}, "
            "or add --same-day for a second debit."
        )
    raise DomainError(f"{on:%d/%m/%Y} is no business day for bank debits: choose {day:%d/%m/%Y}.")


def _remember(session: Session, invoice: Invoice, action: str, actor: str, now: datetime, **detail: str) -> None:
    remember(
        session,
        invoice.member_id,
        action,
        now,
        location_id=invoice.location_id,
        actor=actor,
        invoice_id=invoice.id,
        **detail,
    )


def _name(invoice: Invoice) -> str:
    return f"{invoice_number(invoice)} ({invoice.id})"

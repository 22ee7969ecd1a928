"""Issue invoices: numbers without gaps, lines, and the journal entries, in the caller's unit of work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from connector.billing.clinics import Clinic, Location
from connector.billing.due_ids import invoice_id
from connector.billing.invoices import Invoice, InvoiceKind, InvoiceLine, InvoiceStatus
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.policy import FeeBearer
from connector.billing.prices.platform_fee import Tier
from connector.billing.prices.pricing import LineKind, PricedLine
from connector.ledger import recipes
from connector.ledger.accounts import Account
from connector.ledger.journal import Booking, post
from connector.money import Money, total
from connector.use_cases.invoices.platform_fees import with_platform_fee

_INCOME = {
    InvoiceKind.MEMBERSHIP: Account.MEMBERSHIP_INCOME,
    InvoiceKind.EXIT: Account.MEMBERSHIP_INCOME,
    InvoiceKind.INSTALMENT: Account.INSTALMENT_INCOME,
    InvoiceKind.INSTANT: Account.TREATMENT_INCOME,
    InvoiceKind.HOLD: Account.TREATMENT_INCOME,
}


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be invoiced. `agreement` is the invoice's column for where it comes from, and its value."""

    kind: InvoiceKind
    member_id: str
    agreement: tuple[str, str]
    period: int
    due: date
    lines: tuple[PricedLine, ...]
    status: InvoiceStatus = InvoiceStatus.OPEN
    fee_bearer: FeeBearer | None = None
    """Who bore the platform's fee when the payer signed the agreement; None without one."""

    @property
    def total(self) -> Money:
        return total((line.amount for line in self.lines), self.lines[0].amount.currency)


@dataclass(frozen=True, slots=True)
class Issued:
    """An invoice that has just been issued; one of nothing is completed at once."""

    id: str
    draft: Draft
    status: InvoiceStatus


def issue(
    session: Session,
    location: Location,
    drafts: Sequence[Draft],
    now: datetime,
    tiers: Mapping[str, Tier] | None = None,
) -> list[Issued]:
    """Issue the drafts in their order. A second invoice for the same agreement and period breaks a unique key.

    `tiers`: the platform's rates, for its fee on top where patients bear it; left out where the sum was agreed to the
    cent, such as what is taken of a hold.
    """
    if not drafts:
        return []
    if tiers is not None:
        drafts = [replace(d, lines=with_platform_fee(tiers, location, d.kind, d.lines, d.fee_bearer)) for d in drafts]
    first = take_numbers(session, location, Location.next_invoice_number, len(drafts))
    seller = seller_of(session, location)
    issued, invoices, lines, bookings = [], [], [], []
    for offset, draft in enumerate(drafts):
        row = _row(location, draft, first + offset, seller, now)
        issued.append(Issued(row["id"], draft, row["status"]))
        invoices.append(row)
        lines += [_line(row["id"], position, line) for position, line in enumerate(draft.lines)]
        if credits_ := credits_of(draft.kind, draft.lines):
            bookings.append(Booking(recipes.invoice_issued(row["id"], credits_), location.id, draft.due))
    session.execute(insert(Invoice), invoices)
    session.execute(insert(InvoiceLine), lines)
    post(session, bookings, now)
    return issued


def credits_of(kind: InvoiceKind, lines: Iterable[PricedLine]) -> dict[Account, Money]:
    """What the lines bring to each account, without accounts that get nothing."""
    cents: defaultdict[Account, int] = defaultdict(int)
    currency = ""
    for line in lines:
        currency = line.amount.currency
        gst = gst_of(line).cents
        income = Account.FEES_CHARGED_ON if line.kind is LineKind.PLATFORM_FEE else _INCOME[kind]
        cents[income] += line.amount.cents - gst
        cents[Account.GST_PAYABLE] += gst
    return {account: Money(amount, currency) for account, amount in cents.items() if amount}


def gst_of(line: PricedLine) -> Money:
    """The GST that the line contains: as it was stated, else an eleventh where 10 % were added (GST Act, s 9-70)."""
    if line.gst is not None:
        return line.gst
    if line.tax_code is TaxCode.GST_FREE:
        return Money.zero(line.amount.currency)
    return line.amount.percent(Decimal(100) / 11)


def seller_of(session: Session, location: Location) -> dict[str, Any]:
    """The practice as it is named today, for the printed invoice."""
    clinic = session.get_one(Clinic, location.clinic_id)
    return {
        "name": clinic.name,
        "trading_name": location.trading_name or location.name,
        "abn": location.abn or clinic.abn,
        "address": location.address,
        "phone": location.phone,
        "email": location.email,
        "timezone": location.timezone,
        "prefix": location.slug.upper(),
    }


def take_numbers(session: Session, location: Location, counter: InstrumentedAttribute[int], count: int = 1) -> int:
    """The first of so many consecutive numbers. The row stays locked until the commit, so none is lost or doubled."""
    statement = (
        update(Location)
        .where(Location.id == location.id)
        .values({counter: counter + count})
        .returning(counter)
        .execution_options(synchronize_session=False)
    )
    return session.scalars(statement).one() - count


def _row(location: Location, draft: Draft, number: int, seller: dict[str, Any], now: datetime) -> dict[str, Any]:
    column, agreement_id = draft.agreement
    agreements = dict.fromkeys(("contract_id", "payment_plan_id", "instant_payment_id", "payment_hold_id"))
    return {
        "id": invoice_id(agreement_id, draft.kind, draft.period, draft.due),
        "location_id": location.id,
        "number": number,
        "member_id": draft.member_id,
        "kind": draft.kind,
        **agreements,
        column: agreement_id,
        "period": draft.period,
        "due_date": draft.due,
        "amount_cents": draft.total.cents,
        "currency": draft.total.currency,
        "status": draft.status if draft.total else InvoiceStatus.COMPLETED,
        "issued_by": seller,
        "issued_at": now,
    }


def _line(invoice_id: str, position: int, line: PricedLine) -> dict[str, Any]:
    return {
        "invoice_id": invoice_id,
        "position": position,
        "member_id": line.member_id,
        "kind": line.kind,
        "description": line.description,
        "amount_cents": line.amount.cents,
        "gst_cents": gst_of(line).cents,
        "tax_code": line.tax_code,
    }

"""The platform's fee on its way: on the invoice where the patient bears it, on the charge, and in the books.

What is booked is what was really asked for: the line that the patient was invoiced, or what Stripe was told to keep.
The rates of the day of settlement count only where neither is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.collecting.charges import Charge, Payment
from connector.billing.invoices import Invoice, InvoiceKind
from connector.billing.members import MethodKind
from connector.billing.policy import FeeBearer
from connector.billing.prices.platform_fee import FeeCategory, Tier, effective_bearer, fee, tier_named, with_fee
from connector.billing.prices.platform_fees import FeeCollection, FeeStatement, PlatformFee
from connector.billing.prices.pricing import LineKind, PricedLine
from connector.billing.prices.shares import divide
from connector.clock import business_date
from connector.errors import DomainError
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.money import Money
from connector.use_cases.context import Context
from connector.use_cases.invoices.lines import lines_of


def category_of(kind: InvoiceKind) -> FeeCategory:
    """The rate for an invoice: what is paid for a membership, also for leaving it early, or anything else."""
    is_membership = kind in (InvoiceKind.MEMBERSHIP, InvoiceKind.EXIT)
    return FeeCategory.MEMBERSHIP if is_membership else FeeCategory.OTHER


def tier_of(tiers: Mapping[str, Tier], location: Location) -> Tier:
    """The rates of the location. Raises DomainError when they are not in the settings, or not any more."""
    name = location.policy.platform_tier
    try:
        return tier_named(name, tiers)
    except DomainError:
        raise DomainError(
            f"No money of the location {location.slug!r} can be taken or booked, because there are no rates for its "
            f"platform tier {name[:40]!r}: add them to [platform.tiers] of connector.toml, or choose another tier with "
            f"`connector locations set {location.slug} platform_tier=NAME`."
        ) from None


def with_platform_fee(
    tiers: Mapping[str, Tier],
    location: Location,
    kind: InvoiceKind,
    lines: Sequence[PricedLine],
    agreed: FeeBearer | None,
) -> tuple[PricedLine, ...]:
    """The lines of an invoice that is about to be issued, with the fee on top where the patient bears it.

    `agreed`: who bore it when the payer agreed to what is invoiced; None of what belongs to no agreement.

    Raises DomainError for a tier that is not in the settings, so that nothing is charged whose fee cannot be booked.
    """
    bearer = effective_bearer(location.policy.fee_bearer, agreed)
    return with_fee(lines, tier_of(tiers, location), category_of(kind), bearer, location.currency)[0]


def application_fee_cents(
    context: Context, location: Location, kind: InvoiceKind, amount: Money, on_top: Money | None = None
) -> int:
    """Cents of a charge that Stripe is to keep for the platform: 0 where none is configured, and never all of it.

    `on_top`: the fee that the amount contains, where the patient bears it. Stripe takes less than the amount only
    (Stripe: application_fee_amount). Raises DomainError as above.
    """
    tier = tier_of(context.tiers, location)
    if not context.fee_kept_by_stripe:
        return 0
    wanted = fee(tier, category_of(kind), amount).amount if on_top is None else on_top
    return max(0, min(wanted.cents, amount.cents - 1))


def application_fee_of(session: Session, context: Context, location: Location, charge: Charge) -> int:
    """The same for the charge of an invoice: of what is charged, or its share of the fee that the patient bears.

    What is charged of an invoice after a dispute over a part is less than the invoice.
    """
    invoice = session.get_one(Invoice, charge.invoice_id)
    lines = lines_of(session, invoice)
    borne = any(line.kind is LineKind.PLATFORM_FEE for line in lines)
    on_top = Money(divide(lines, charge.amount_cents)[1], charge.currency) if borne else None
    return application_fee_cents(context, location, invoice.kind, charge.amount, on_top)


def book_platform_fee(
    session: Session, context: Context, location: Location, payment: Payment, invoice: Invoice, now: datetime
) -> None:
    """Book the fee of a payment that has just been recorded, in the caller's unit of work; once for each payment.

    A fee of nothing makes no row. The payment must have been flushed. Raises DomainError as above.
    """
    lines = lines_of(session, invoice)
    charged = next((line for line in lines if line.kind is LineKind.PLATFORM_FEE), None)
    _, on_top = divide(lines, payment.amount_cents)
    kept = session.get_one(Charge, payment.charge_id).application_fee_cents
    tier = tier_of(context.tiers, location)
    if kept:
        amount = Money(kept, payment.currency)
    elif charged or payment.method_kind is MethodKind.DESK:
        # What is paid at the practice bears no fee but one that its payer was invoiced.
        amount = Money(on_top, payment.currency)
    else:
        amount = fee(tier, category_of(invoice.kind), payment.amount).amount
    if not amount:
        return
    said = charged is not None and charged.gst is not None and charged.amount == amount
    gst = charged.gst if charged and charged.gst and said else amount.percent(tier.gst_percent)
    day = _month_still_open(session, location, payment.business_date, now)
    session.add(
        PlatformFee(
            payment_id=payment.id,
            location_id=location.id,
            amount_cents=amount.cents,
            gst_cents=gst.cents,
            currency=payment.currency,
            bearer=FeeBearer.PATIENT if charged else FeeBearer.PRACTICE,
            collection=FeeCollection.APPLICATION_FEE if kept else FeeCollection.STATEMENT,
            business_date=day,
        )
    )
    post(session, [Booking(recipes.platform_fee(payment.id, amount, gst), location.id, day)], now)


def _month_still_open(session: Session, location: Location, day: date, now: datetime) -> date:
    """The day itself, or today when the statement of its month is made already: no fee is ever left out of all.

    A payment that is being recorded holds its location's key, for which a statement waits, and the other way round.
    """
    statements = select(func.count()).where(
        FeeStatement.location_id == location.id, FeeStatement.month == day.replace(day=1)
    )
    return business_date(now, location.zone) if session.scalar(statements) else day

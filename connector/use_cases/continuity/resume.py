"""Resume with a database that was set back: adopt what was done since, then work on.

What is due has the same ids in every copy (`due_ids`), so the same invoices and charges are decided on once more, and
those that Stripe knows already are taken over with what became of them. Then the practice systems are searched for what
stands there. Whatever belongs to an agreement that this database has never heard of is named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.payment_requests import PaymentHold
from connector.billing.clinics import Location, LocationStatus
from connector.billing.collecting.charges import LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt, Payment
from connector.billing.invoices import UNPAID, Invoice, InvoiceStatus
from connector.billing.members import PaymentMethod
from connector.billing.processor import ChargeReport, ChargeStatus, ListedCharge
from connector.clock import business_date
from connector.database.seal import SEAL, Seal
from connector.errors import DomainError
from connector.use_cases.collection.follow_money import follow_charge
from connector.use_cases.collection.plan_attempts import FirstTry, next_generation, plan_first
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.settle_charge import settle_charge
from connector.use_cases.collection.sweep import NEWS_KEPT, sweep
from connector.use_cases.containment import Told, attempted, contained
from connector.use_cases.context import Context
from connector.use_cases.continuity.find_entries import find_entries
from connector.use_cases.continuity.require_current import change_seal, require_current
from connector.use_cases.invoices.issue_due import IssueTally, issue_due
from connector.use_cases.requests.request_payment import charge_due_requests

log = structlog.get_logger()

MARGIN = timedelta(days=1)
"""So much more is looked at than what the database seems not to know."""


@dataclass
class Resumption(Told):
    """What was found out, and whether the work goes on."""

    since: datetime
    invoiced: int = 0
    adopted: int = 0
    """Charges that Stripe had and the database did not know of."""
    strangers: list[ListedCharge] = field(default_factory=list)
    """Those among them that belong to nothing in this database: a person looks at each."""
    done: bool = False


def resume(context: Context, actor: str) -> Resumption:
    """Catch up with what was done since, and let the work go on unless something could not be read.

    It may be interrupted and said again. Raises DomainError when the database is current, and EdgeError.
    """
    report = Resumption(_known_until(context) - MARGIN)
    tally = IssueTally()
    for location in context.locations():
        if location.status is LocationStatus.ACTIVE:
            with contained(location, report.tell):
                _decide(context, location, tally)
    report.invoiced = tally.invoiced
    for listed in context.processor.charges_since(report.since):
        what = f"The payment {listed.processor_id} cannot be adopted"
        attempted(partial(_adopt, context, listed, report), report.tell, what, object_id=listed.processor_id)
    _follow_unpaid(context, report)
    swept = sweep(context, report.since)
    for problem in [*swept.problems, *read_news(context).problems]:
        report.tell(problem)
    for location in context.locations():
        with contained(location, report.tell):
            find_entries(context, location, business_date(report.since, location.zone))
    _remember(context, report, actor)
    if swept.complete and not report.problems:
        _take_over(context)
        report.done = True
    log.warning("seal.resumed", adopted=report.adopted, strangers=len(report.strangers), done=report.done)
    return report


def _known_until(context: Context) -> datetime:
    """Up to when the database surely knows everything. Raises DomainError when it is current, and EdgeError."""
    try:
        require_current(context)
    except DomainError:
        with context.database.read() as session:
            # Not how far the news was read: that has moved on since the database was set back.
            seal = session.get(Seal, SEAL)
            return seal.changed_at if seal else context.clock.now() - NEWS_KEPT
    raise DomainError("This database is the newest of its kind and works: there is nothing to resume.")


def _decide(context: Context, location: Location, tally: IssueTally) -> None:
    """Issue what has fallen due, with the charges that were perhaps made of it. Nothing is sent here."""
    issue_due(context, location, tally)
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        charge_due_requests(session, location, business_date(now, location.zone), now)


def _adopt(context: Context, listed: ListedCharge, report: Resumption) -> None:
    """Take over one of our payment objects that the database does not know, as far as it has come."""
    with context.database.unit_of_work() as session:
        if _is_foreign(session, listed) or _is_known(session, listed.processor_id):
            return
        charge = _own_hold(session, listed) or _own_charge(session, listed, context.clock.now())
        if charge is None:
            report.strangers.append(listed)
            return
    report.adopted += 1
    if isinstance(charge, Charge):
        state = context.processor.read_charge(listed.processor_id)
        with context.database.unit_of_work() as session:
            _as_sent(session, charge, listed, state)
        settle_charge(context, charge.id, state)
    else:
        follow_charge(context, listed.processor_id)


def _is_foreign(session: Session, listed: ListedCharge) -> bool:
    """Whether somebody else made it, e.g. another installation on the same account at Stripe."""
    return listed.location_id is None or session.get(Location, listed.location_id) is None


def _is_known(session: Session, processor_id: str) -> bool:
    of_charge = select(Charge.id).where(Charge.processor_id == processor_id)
    of_hold = select(PaymentHold.id).where(PaymentHold.processor_id == processor_id)
    return session.scalar(of_charge) is not None or session.scalar(of_hold) is not None


def _own_hold(session: Session, listed: ListedCharge) -> PaymentHold | None:
    hold = session.get(PaymentHold, listed.invoice_id or "")
    if hold is None or hold.processor_id is not None:
        return None
    hold.processor_id = listed.processor_id
    return hold


def _own_charge(session: Session, listed: ListedCharge, now: datetime) -> Charge | None:
    """The charge that the payment object was made for, which then bears its id; None when it is of nothing we know.

    Also where the amount is another one, because a price was changed after the backup: what came of it is told then,
    but nobody pays for the same period twice.
    """
    charge = session.get(Charge, listed.charge_id or "")
    if charge is None:
        charge = _made_again(session, listed, now)
    if charge is None or charge.processor_id is not None:
        return None
    charge.processor_id = listed.processor_id
    return charge


def _made_again(session: Session, listed: ListedCharge, now: datetime) -> Charge | None:
    """The charge with its try, for an invoice that waits for a person this time, or was asked for once more."""
    invoice = session.get(Invoice, listed.invoice_id or "")
    method = session.scalar(select(PaymentMethod).where(PaymentMethod.processor_id == listed.method_id))
    if invoice is None or method is None or method.member_id != invoice.member_id:
        return None
    location, generation = session.get_one(Location, invoice.location_id), next_generation(session, invoice.id)
    again = FirstTry(invoice.id, listed.amount, method.id, invoice.due_date, generation, listed.charge_id)
    plan_first(session, location, [again], now)
    return session.get_one(Charge, listed.charge_id)


def _as_sent(session: Session, charge: Charge, listed: ListedCharge, state: ChargeReport) -> None:
    """The try that was planned is the one that was made, unless the payment object was never confirmed."""
    if state.status is ChargeStatus.OPEN and state.failure_code is None:
        return
    attempt = session.scalar(
        select(ChargeAttempt).where(ChargeAttempt.charge_id == charge.id, ChargeAttempt.state.in_(LIVE_ATTEMPT))
    )
    if attempt is not None and attempt.state is AttemptState.PLANNED:
        attempt.state, attempt.sent_at = AttemptState.SENDING, listed.created


def _follow_unpaid(context: Context, report: Resumption) -> None:
    """Charges known before may have been tried again, and their money may have come."""
    unpaid = (
        select(Charge.processor_id)
        .join(Invoice, Invoice.id == Charge.invoice_id)
        .where(Charge.processor_id.is_not(None), Charge.id.not_in(select(Payment.charge_id)))
        .where(Invoice.status.in_((*UNPAID, InvoiceStatus.PROCESSING)))
    )
    with context.database.read() as session:
        open_charges = session.scalars(unpaid.order_by(Charge.id)).all()
    for processor_id in open_charges:
        what = f"The payment {processor_id} cannot be followed"
        attempted(partial(follow_charge, context, str(processor_id)), report.tell, what, object_id=str(processor_id))


def _take_over(context: Context) -> None:
    """From now on this is the database that works, on this machine; every other copy notices and stops."""
    context.installation.settle_here()
    with context.database.read() as session:
        begun = session.get(Seal, SEAL) is not None
    if begun:
        change_seal(context, context.clock.now())


def _remember(context: Context, report: Resumption, actor: str) -> None:
    detail = {"adopted": report.adopted, "strangers": [listed.processor_id for listed in report.strangers]}
    now, locations = context.clock.now(), context.locations()
    with context.database.unit_of_work() as session:
        for location in locations:
            remember(session, location.id, "Work Resumed", now, location_id=location.id, actor=actor, **detail)

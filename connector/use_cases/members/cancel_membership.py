"""Cancel a membership under the location's lock-in policy, with the exact sum known before anybody confirms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.schedule import first_due_from
from connector.billing.clinics import Location
from connector.billing.collecting.catch_up import debit_day
from connector.billing.invoices import InvoiceKind, InvoiceStatus
from connector.billing.members import Member, MethodKind
from connector.billing.offers.lock_in import ExitTerms, settle
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.policy import EarlyCancel
from connector.billing.prices.platform_fee import Tier
from connector.billing.prices.pricing import LineKind, PricedLine, amount_of
from connector.clock import business_date
from connector.errors import DomainError
from connector.money import Money
from connector.use_cases.collection.plan_attempts import FirstTry, payers, plan_first
from connector.use_cases.context import Context
from connector.use_cases.invoices.issue import Draft, issue
from connector.use_cases.invoices.price_periods import Prices
from connector.use_cases.members.end_contracts import close_contract, tell_end
from connector.use_cases.members.leave_household import found_household
from connector.use_cases.members.memberships import (
    NOT_BEGUN,
    contract_for,
    dependent_cover,
    dependents_of,
    no_contract,
)
from connector.use_cases.members.new_person import require_email
from connector.use_cases.recovery.recover import begin_recovery


@dataclass(frozen=True, slots=True)
class Consent:
    """What the person who cancels has decided."""

    override: bool = False
    """Cancel within a lock-in that blocks it; nothing is charged then."""
    with_dependents: bool = False
    promote: str = ""
    """Dependent who becomes the account holder of the others."""
    agreed: Money | None = None
    """The sum that was shown; it is refused when another is owed by now."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a cancellation came to."""

    terms: ExitTerms
    status: AgreementStatus
    """Of the contract: cancelled, or as it was, while a notice runs."""
    new_contract_id: str | None
    """Of the dependents who go on without the holder."""


def preview_cancel(context: Context, contract_id: str, consent: Consent | None = None) -> ExitTerms:
    """What cancelling today would mean; changes nothing. Raises DomainError for what cannot be cancelled any more.

    With the consent that is to be given, whatever else would be refused is refused here, before anybody is asked.
    """
    with context.database.read() as session:
        contract = session.get(Contract, contract_id)
        if contract is None:
            raise no_contract(contract_id)
        location = session.get_one(Location, contract.location_id)
        _refuse_twice(contract)
        today = business_date(context.clock.now(), location.zone)
        terms, _ = _terms(session, context.tiers, location, contract, today)
        if consent is not None:
            _check(session, contract, terms, consent)
        return terms


def cancel_membership(context: Context, contract_id: str, consent: Consent, *, actor: str) -> Leaving:
    """Cancel a contract for good, or give notice. Raises DomainError when it is refused, and then changes nothing."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        contract, location = contract_for(session, contract_id)
        _refuse_twice(contract)
        terms, parts = _terms(session, context.tiers, location, contract, business_date(now, location.zone))
        staying = _check(session, contract, terms, consent)
        if not terms.allowed:
            remember(session, contract.id, "Lock-in Overridden", now, location_id=location.id, actor=actor)
        new_id = None
        if staying:
            start = contract.anchor if contract.status in NOT_BEGUN else terms.last_day + timedelta(days=1)
            new_id = found_household(session, location, contract, staying, start, now, actor).id
        if terms.due and location.policy.early_cancel is EarlyCancel.NOTICE:
            contract.ends_on = terms.last_day
            tell_end(session, location, contract, terms.last_day, now)
            detail = {"ends_on": terms.last_day.isoformat(), "owed_cents": terms.owed.cents}
            remember(session, contract.id, "Notice Given", now, location_id=location.id, actor=actor, **detail)
        else:
            period = contract.next_period
            close_contract(session, location, contract, terms.last_day, now, actor)
            _charge(session, location, contract, period, parts, now)
        return Leaving(terms, contract.status, new_id)


def _refuse_twice(contract: Contract) -> None:
    if contract.status is AgreementStatus.CANCELLED:
        raise DomainError(f"The contract {contract.id} is cancelled already: a cancellation is final.")
    if contract.ends_on is not None:
        raise DomainError(
            f"The contract {contract.id} is under notice already: it ends on {contract.ends_on:%d/%m/%Y}."
        )


def _terms(
    session: Session, tiers: Mapping[str, Tier], location: Location, contract: Contract, today: date
) -> tuple[ExitTerms, list[PricedLine]]:
    """The terms of leaving today, and the lines of the periods that are owed, exactly as they would be billed."""
    nothing = Money.zero(contract.currency)
    if contract.status in NOT_BEGUN or contract.anchor is None or contract.next_due is None:
        return ExitTerms(True, nothing, (), today, "The membership has not begun: nothing is owed."), []
    period, next_due, policy = contract.next_period, contract.next_due, location.policy.early_cancel
    if contract.status is AgreementStatus.SUSPENDED:
        if next_due < today:
            period, next_due = first_due_from(contract.anchor, contract.frequency, today)
        # Nothing is billed in a pause, so there is no notice that could run in it.
        policy = EarlyCancel.ALLOW if policy is EarlyCancel.NOTICE else policy
    prices, skipped = Prices(session, location, [contract.id]), period - contract.next_period

    def lines(number: int, due: date) -> tuple[PricedLine, ...]:
        return prices.invoice_lines(tiers, contract, number, due, skipped=skipped)

    terms = settle(
        policy,
        frequency=contract.frequency,
        price_per_period=amount_of(lines(period, next_due), contract.currency),
        anchor=contract.anchor,
        next_due=next_due,
        lock_in_until=contract.lock_in_until,
        today=today,
        notice_days=location.policy.cancel_notice_days,
    )
    parts = [line for n, due in enumerate(terms.due) for line in lines(period + n, due)]
    # A fee that is still to come, a discount that runs out or a change of plan makes one period unlike another.
    exact = amount_of(parts, contract.currency)
    return replace(terms, owed=exact, reason=terms.reason.replace(str(terms.owed), str(exact))), parts


def _check(session: Session, contract: Contract, terms: ExitTerms, consent: Consent) -> list[Cover]:
    """Raise DomainError unless this may be done; returns the dependents who stay, the new account holder first."""
    if not terms.allowed and not consent.override:
        raise DomainError(f"{terms.reason} Repeat with --override to cancel nevertheless.")
    if consent.agreed is not None and consent.agreed != terms.owed:
        raise DomainError(f"What is owed has changed meanwhile, to {terms.owed}: look at it and cancel again.")
    dependents = list(dependents_of(session, contract))
    if consent.promote:
        if consent.with_dependents:
            raise DomainError("Either cancel the dependents or promote one of them: choose one of the two.")
        holder = dependent_cover(session, contract, consent.promote)
        require_email(session.get_one(Member, holder.member_id))
        return [holder, *(cover for cover in dependents if cover.id != holder.id)]
    if dependents and not consent.with_dependents:
        people = "1 person depends" if len(dependents) == 1 else f"{len(dependents)} people depend"
        raise DomainError(
            f"{people} on the contract {contract.id}: cancel for all with --cancel-dependents, or make one of them "
            "the account holder with --promote MEMBER."
        )
    return []


def _charge(
    session: Session,
    location: Location,
    contract: Contract,
    period: int,
    parts: Sequence[PricedLine],
    now: datetime,
) -> None:
    """Invoice what is owed for leaving, each person's part as a line of its own, and collect it at once."""
    cents: defaultdict[tuple[str | None, TaxCode], int] = defaultdict(int)
    gst = 0
    for part in parts:
        cents[part.member_id, part.tax_code] += part.amount.cents
        gst += part.gst.cents if part.gst else 0
    lines = tuple(
        _exit_line(member_id, tax_code, Money(amount, contract.currency), Money(gst, contract.currency))
        for (member_id, tax_code), amount in cents.items()
        if amount
    )
    if not lines:
        return
    today = business_date(now, location.zone)
    payer = payers(session, [contract.member_id]).get(contract.member_id)
    status = InvoiceStatus.OPEN if payer else InvoiceStatus.OVERDUE
    draft = Draft(InvoiceKind.EXIT, contract.member_id, ("contract_id", contract.id), period, today, lines, status)
    (issued,) = issue(session, location, [draft], now)
    if payer:
        day = debit_day(today, (), location.calendar, is_becs=payer.kind is MethodKind.BECS)
        plan_first(session, location, [FirstTry(issued.id, draft.total, payer.method_id, day)], now)
    else:
        begin_recovery(session, location, issued.id, today)


def _exit_line(member_id: str | None, tax_code: TaxCode, amount: Money, fee_gst: Money) -> PricedLine:
    """One person's part, or the platform's fee on all of it, which is nobody's and states its own GST."""
    if member_id is None:
        return PricedLine(LineKind.PLATFORM_FEE, None, "SmilePass fee", amount, tax_code, fee_gst)
    return PricedLine(LineKind.EXIT_FEE, member_id, "Remainder of the lock-in period", amount, tax_code)

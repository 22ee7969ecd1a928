"""Import members from a file: a good row becomes a member with a pending contract, a bad one a line of the report.

Rows go in by whole batches. A run that was stopped or killed is finished by running it again; who is in stays as is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.clinics import location_by_slug
from connector.billing.contracts import AgreementStatus, Contract
from connector.billing.member_cells import MemberFileRules, MemberRow, person_key
from connector.billing.member_file import RefusedRow, read_member_file
from connector.billing.members import Member
from connector.billing.plans import plan_by_name
from connector.billing.schedule import Frequency
from connector.clock import business_date
from connector.errors import DomainError
from connector.files import NotAnOrdinaryFile, open_ordinary
from connector.money import Money
from connector.use_cases.context import Context

BATCH = 500
"""Rows per unit of work: few enough to stop at once, many enough that waiting for the disk does not matter."""

FILE_MAX = 200_000_000
"""Bytes; more than any practice has members."""

_KNOWN_OTHERWISE = "The person is a member of this location already, under another id: nothing was changed."


@dataclass
class ImportReport:
    """What became of the rows, and what the caller has still to do for them."""

    imported: int = 0
    unchanged: int = 0
    refusals: list[RefusedRow] = field(default_factory=list)
    to_invite: list[str] = field(default_factory=list)
    """Contracts whose members have not been invited yet, also by an earlier run that was cut short."""
    to_adopt: list[tuple[str, str]] = field(default_factory=list)
    """Pending contracts, each with the id of the payment method at Stripe that is to start it."""

    @property
    def refused(self) -> int:
        return len(self.refusals)


@dataclass(frozen=True, slots=True)
class _Offer:
    """Where the members go, and what they sign."""

    location_id: str
    plan_id: str
    currency: str
    prices: dict[Frequency, Money]
    today: date
    invite: bool


def import_members(
    context: Context,
    file: Path,
    *,
    location_slug: str,
    plan_name: str,
    frequency: Frequency = Frequency.MONTHLY,
    invite: bool = True,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import the good rows of a CSV file; importing it again changes nothing. Makes no outside call and sends nothing.

    `frequency` is for rows that name none; `progress` is told the number of rows done after each batch.
    Raises DomainError for an unknown location or plan, and for a file that cannot be read as a whole.
    """
    offer = _offer(context, location_slug, plan_name, invite=invite)
    rules = MemberFileRules(offer.today, frozenset(offer.prices), frequency, email_needed=invite)
    people = _people(context, offer.location_id)
    report, done = ImportReport(), 0
    for batch in _batches(file, rules):
        report.refusals += [row for row in batch if isinstance(row, RefusedRow)]
        _import(context, offer, [row for row in batch if isinstance(row, MemberRow)], people, report)
        done += len(batch)
        if progress:
            progress(done)
    report.refusals.sort(key=lambda refusal: refusal.line)
    return report


def _batches(file: Path, rules: MemberFileRules) -> Iterator[list[MemberRow | RefusedRow]]:
    try:
        with open_ordinary(file) as stream:
            if os.fstat(stream.fileno()).st_size > FILE_MAX:
                raise DomainError(f"The file is larger than {FILE_MAX} bytes: split it.")
            rows = read_member_file(stream, rules)
            while batch := list(islice(rows, BATCH)):
                yield batch
    except NotAnOrdinaryFile:
        raise DomainError("This is not an ordinary file: save the list as a file and import that.") from None
    except OSError as error:
        raise DomainError(f"The file cannot be read ({error.strerror}): check its name and its permissions.") from None


def _offer(context: Context, location_slug: str, plan_name: str, *, invite: bool) -> _Offer:
    with context.database.read() as session:
        location = location_by_slug(session, location_slug)
        plan = plan_by_name(session, location, plan_name)
        prices = {price.frequency: Money(price.amount_cents, location.currency) for price in plan.prices}
        today = business_date(context.clock.now(), location.zone)
        return _Offer(location.id, plan.id, location.currency, prices, today, invite)


def _people(context: Context, location_id: str) -> frozenset[str]:
    """The key of every person whom the location knows before the import, whatever id they came with."""
    columns = (Member.given_name, Member.family_name, Member.date_of_birth, Member.email)
    with context.database.read() as session:
        found = session.execute(
            select(*columns).where(Member.location_id == location_id).execution_options(yield_per=BATCH)
        )
        return frozenset(person_key(*person) for person in found)


def _import(
    context: Context, offer: _Offer, rows: Sequence[MemberRow], people: frozenset[str], report: ImportReport
) -> None:
    """Decide on one batch and store it in one unit of work; the report is changed only after the commit."""
    unchanged: list[MemberRow] = []
    signed: list[tuple[MemberRow, Member, Contract]] = []
    refusals: list[RefusedRow] = []
    try:
        with context.database.unit_of_work() as session:
            known = _known(session, offer, rows)
            for row in rows:
                if row.external_id in known:
                    unchanged.append(row)
                elif row.person_key in people:
                    refusals.append(RefusedRow(row.line, "", _KNOWN_OTHERWISE))
                else:
                    signed.append((row, *_sign_up(context, offer, row)))
            session.add_all(member for _, member, _ in signed)
            session.flush()
            session.add_all(contract for _, _, contract in signed)
            waiting = _waiting(session, offer, unchanged)
    except IntegrityError:
        raise DomainError(
            "Another import is adding the same people: wait until it has ended, then repeat this."
        ) from None
    report.imported += len(signed)
    report.unchanged += len(unchanged)
    report.refusals += refusals
    for row, _, contract in signed:
        _hand_over(report, offer, row, contract.id, may_invite=True)
    for row in unchanged:
        for contract_id, may_invite in waiting.get(row.external_id, []):
            _hand_over(report, offer, row, contract_id, may_invite=may_invite)


def _known(session: Session, offer: _Offer, rows: Sequence[MemberRow]) -> frozenset[str]:
    wanted = [row.external_id for row in rows]
    members = select(Member.external_id).where(Member.location_id == offer.location_id, Member.external_id.in_(wanted))
    return frozenset(session.scalars(members))


def _waiting(session: Session, offer: _Offer, rows: Sequence[MemberRow]) -> dict[str, list[tuple[str, bool]]]:
    """By external id: the pending contracts for this plan, and whether their invitation has yet to be sent."""
    wanted = [row.external_id for row in rows]
    pending = (
        select(Member.external_id, Contract.id, Contract.invited_at, Member.email)
        .join(Contract, Contract.member_id == Member.id)
        .where(Member.location_id == offer.location_id, Member.external_id.in_(wanted))
        .where(Contract.status == AgreementStatus.PENDING, Contract.plan_id == offer.plan_id)
    )
    found: dict[str, list[tuple[str, bool]]] = {}
    for external_id, contract_id, invited_at, email in session.execute(pending):
        found.setdefault(external_id, []).append((contract_id, invited_at is None and email != ""))
    return found


def _hand_over(report: ImportReport, offer: _Offer, row: MemberRow, contract_id: str, *, may_invite: bool) -> None:
    """Tell the caller what starts the contract: the method that exists already, or else an invitation."""
    if row.processor_method_id:
        report.to_adopt.append((contract_id, row.processor_method_id))
    elif offer.invite and may_invite:
        report.to_invite.append(contract_id)


def _sign_up(context: Context, offer: _Offer, row: MemberRow) -> tuple[Member, Contract]:
    now = context.clock.now()
    member = Member(
        id=ids.new_id("mem"),
        location_id=offer.location_id,
        external_id=row.external_id,
        given_name=row.given_name,
        family_name=row.family_name,
        date_of_birth=row.date_of_birth,
        email=row.email,
        phone=row.phone,
        address=row.address,
        suburb=row.suburb,
        state=row.state,
        postcode=row.postcode,
        processor_customer_id=None,
        created_at=now,
    )
    price = offer.prices[row.frequency]
    contract = Contract(
        id=ids.new_id("con"),
        location_id=offer.location_id,
        member_id=member.id,
        plan_id=offer.plan_id,
        frequency=row.frequency,
        price_cents=price.cents,
        currency=price.currency,
        status=AgreementStatus.PENDING,
        # Until the contract starts, the anchor is the date that was agreed for it, if one was.
        anchor=row.start_date,
        next_period=0,
        next_due=None,
        created_at=now,
    )
    return member, contract

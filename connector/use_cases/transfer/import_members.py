"""Import members from a file: a good row becomes a member, mostly with a contract, a bad one a line of the report.

The file is read twice, because a dependent may stand before the account holder. Rows go in by whole batches. A run
that was stopped or killed is finished by running it again; who is in stays as is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import LocationStatus, location_by_slug
from connector.billing.intake.cells import BadCell
from connector.billing.intake.csv_rows import RefusedRow, ignored_columns
from connector.billing.intake.member_cells import MemberFileRules, MemberRow, person_key
from connector.billing.intake.member_file import COLUMNS, read_member_file
from connector.billing.members import Member, PaymentMethod
from connector.billing.offers.plans import MembershipPlan, PlanVersion, plan_by_name
from connector.clock import business_date
from connector.errors import DomainError
from connector.files import NotAnOrdinaryFile, open_ordinary
from connector.use_cases.context import Context
from connector.use_cases.members.adopt_method import Adoption
from connector.use_cases.transfer.compare_members import Difference, differences
from connector.use_cases.transfer.imported_member import (
    HOLDER_DEPENDS,
    NO_HOLDER,
    Household,
    NewRows,
    Offer,
    households,
)

BATCH = 500
"""Rows per unit of work: few enough to stop at once, many enough that waiting for the disk does not matter."""

FILE_MAX = 200_000_000
"""Bytes; more than any practice has members."""

T = TypeVar("T")

_KNOWN_OTHERWISE = "The person is a member of this location already, under another id: nothing was changed."
_CUSTOMER_KNOWN = "The customer at Stripe is another member of this location already: correct the file."


@dataclass
class ImportReport:
    """What became of the rows, and what the caller has still to do for them."""

    imported: int = 0
    unchanged: int = 0
    refusals: list[RefusedRow] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    """Unchanged rows that say something else than what is stored."""
    to_invite: list[str] = field(default_factory=list)
    """Contracts whose members have not been invited yet, also by an earlier run that was cut short."""
    asked: list[str] = field(default_factory=list)
    """Payment requests for the balances of new members, whose messages are queued."""
    not_asked: list[str] = field(default_factory=list)
    """Those that nobody was told of, because the members are not to be written to."""
    to_adopt: list[Adoption] = field(default_factory=list)
    """Payment methods at Stripe that are to start pending contracts."""
    ignored: list[str] = field(default_factory=list)
    """Columns that nobody looks at."""

    @property
    def refused(self) -> int:
        return len(self.refusals)


@dataclass
class _Run:
    """What one import knows while it goes through the file."""

    offer: Offer
    invite: bool
    people: frozenset[str]
    report: ImportReport
    dependents: set[str] = field(default_factory=set)
    """Their ids in the file."""
    done: int = 0


def import_members(
    context: Context,
    file: Path,
    *,
    location_slug: str,
    plan_name: str = "",
    frequency: Frequency = Frequency.MONTHLY,
    invite: bool = True,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import the good rows of a CSV file; importing it again changes nothing. Makes no outside call and sends nothing.

    `plan_name` and `frequency` are for rows that name none; `progress` is told the rows done after each batch.
    `invite`: whether members may be written to; the messages that ask for their balances are queued then.
    Raises DomainError for an unknown location or plan, for a file that cannot be read as a whole, and with `invite`
    for a location where nobody can sign up now.
    """
    offer = _offer(context, location_slug, plan_name)
    if invite and offer.location.status is not LocationStatus.ACTIVE:
        raise DomainError(
            f"The location {location_slug!r} takes no sign-ups and payments now, so nobody can be invited: import with "
            f"--no-invite, or begin with `connector locations activate {location_slug}`."
        )
    terms = {name: version.terms for name, (_, version) in offer.plans.items()}
    rules = MemberFileRules(
        offer.today,
        frozenset(terms[""].prices if "" in terms else ()),
        frequency,
        email_needed=invite,
        plans=terms,
        currency=offer.location.currency,
    )
    run = _Run(offer, invite, _people(context, offer.location.id), ImportReport())
    _first_pass(context, file, rules, run, progress)
    if run.dependents:
        _second_pass(context, file, rules, run, progress)
    with file.open("rb") as stream:
        run.report.ignored = ignored_columns(stream, COLUMNS)
    run.report.refusals.sort(key=lambda refusal: refusal.line)
    run.report.differences.sort(key=lambda difference: difference.line)
    return run.report


def _first_pass(
    context: Context, file: Path, rules: MemberFileRules, run: _Run, progress: Callable[[int], None] | None
) -> None:
    """All but the dependents."""
    for batch in read_batches(file, lambda stream: read_member_file(stream, rules)):
        run.report.refusals += [row for row in batch if isinstance(row, RefusedRow)]
        rows = [row for row in batch if isinstance(row, MemberRow)]
        run.dependents.update(row.external_id for row in rows if row.holder)
        waiting = sum(bool(row.holder) for row in rows)
        _import(context, run, [row for row in rows if not row.holder])
        run.done += len(batch) - waiting
        if progress and len(batch) > waiting:
            progress(run.done)


def _second_pass(
    context: Context, file: Path, rules: MemberFileRules, run: _Run, progress: Callable[[int], None] | None
) -> None:
    """The dependents, now that all account holders are in."""
    for batch in read_batches(file, lambda stream: read_member_file(stream, rules)):
        rows = [row for row in batch if isinstance(row, MemberRow) and row.holder]
        if rows:
            _import(context, run, rows)
            run.done += len(rows)
            if progress:
                progress(run.done)


def read_batches(file: Path, read: Callable[[BinaryIO], Iterator[T]]) -> Iterator[list[T]]:
    """The rows of an ordinary file by batches. Raises DomainError when it cannot be read."""
    try:
        with open_ordinary(file) as stream:
            if os.fstat(stream.fileno()).st_size > FILE_MAX:
                raise DomainError(f"The file is larger than {FILE_MAX} bytes: split it.")
            rows = read(stream)
            while batch := list(islice(rows, BATCH)):
                yield batch
    except NotAnOrdinaryFile:
        raise DomainError("This is not an ordinary file: save the list as a file and import that.") from None
    except OSError as error:
        raise DomainError(f"The file cannot be read ({error.strerror}): check its name and its permissions.") from None


def _offer(context: Context, location_slug: str, plan_name: str) -> Offer:
    now = context.clock.now()
    with context.database.read() as session:
        location = location_by_slug(session, location_slug)
        query = (
            select(MembershipPlan, PlanVersion)
            .join(PlanVersion, PlanVersion.plan_id == MembershipPlan.id)
            .where(MembershipPlan.location_id == location.id, PlanVersion.number == MembershipPlan.version)
        )
        plans = {plan.name: (plan, version) for plan, version in session.execute(query)}
        if plan_name:
            plans[""] = plans[plan_by_name(session, location, plan_name).name]
    return Offer(location, plans, business_date(now, location.zone), now)


def _people(context: Context, location_id: str) -> frozenset[str]:
    """Digests of everybody who is a member of the location already."""
    columns = (Member.given_name, Member.family_name, Member.date_of_birth, Member.email)
    with context.database.read() as session:
        found = session.execute(
            select(*columns).where(Member.location_id == location_id).execution_options(yield_per=BATCH)
        )
        return frozenset(person_key(*person) for person in found)


def _import(context: Context, run: _Run, rows: Sequence[MemberRow]) -> None:
    """Decide on one batch and store it in one unit of work; the report is changed only after the commit."""
    unchanged: list[MemberRow] = []
    new = NewRows()
    signed: list[tuple[MemberRow, str, str | None]] = []
    refusals: list[RefusedRow] = []
    location = run.offer.location
    try:
        with context.database.unit_of_work() as session:
            known = _known(session, run.offer, rows)
            taken = _taken_customers(session, rows)
            homes = households(session, location, [row.holder for row in rows if row.holder])
            for row in rows:
                if row.external_id in known:
                    unchanged.append(row)
                    continue
                try:
                    _refuse_known(row, run.people, taken)
                    contract_id = new.add(run.offer, row, _household(row, homes, run.dependents))
                    signed.append((row, new.members[-1].id, contract_id))
                except BadCell as bad:
                    refusals.append(RefusedRow(row.line, bad.column, bad.reason))
            new.store(session, run.offer, ask=run.invite)
            waiting = _waiting(session, run.offer, unchanged)
            plan = run.offer.plans[""][0].name if "" in run.offer.plans else ""
            differing = differences(session, location, unchanged, plan)
    except IntegrityError:
        raise DomainError(
            "Another import is adding the same people: wait until it has ended, then repeat this."
        ) from None
    report = run.report
    report.imported += len(signed)
    report.unchanged += len(unchanged)
    report.refusals += refusals
    report.differences += differing
    (report.asked if run.invite else report.not_asked).extend(request.id for request in new.requests)
    for row, member_id, contract_id in signed:
        _hand_over(run, row, member_id, contract_id, may_invite=contract_id is not None)
    for row in unchanged:
        for member_id, contract_id, may_invite in waiting.get(row.external_id, []):
            _hand_over(run, row, member_id, contract_id, may_invite=may_invite)


def _refuse_known(row: MemberRow, people: Collection[str], customers: Collection[str]) -> None:
    if row.person_key in people:
        raise BadCell("", _KNOWN_OTHERWISE)
    if row.processor_customer_id in customers:
        raise BadCell("stripe_customer", _CUSTOMER_KNOWN)


def _household(row: MemberRow, homes: dict[str, Household | str], dependents: Collection[str]) -> Household | None:
    """Where a dependent belongs; None for others. Raises BadCell."""
    if not row.holder:
        return None
    home = homes.get(row.holder, HOLDER_DEPENDS if row.holder in dependents else NO_HOLDER)
    if isinstance(home, str):
        raise BadCell("holder", home)
    return home


def _known(session: Session, offer: Offer, rows: Sequence[MemberRow]) -> frozenset[str]:
    wanted = [row.external_id for row in rows]
    members = select(Member.external_id).where(Member.location_id == offer.location.id, Member.external_id.in_(wanted))
    return frozenset(session.scalars(members))


def _taken_customers(session: Session, rows: Sequence[MemberRow]) -> frozenset[str]:
    wanted = [row.processor_customer_id for row in rows if row.processor_customer_id]
    taken = session.scalars(select(Member.processor_customer_id).where(Member.processor_customer_id.in_(wanted)))
    return frozenset(customer for customer in taken if customer)


def _waiting(
    session: Session, offer: Offer, rows: Sequence[MemberRow]
) -> dict[str, list[tuple[str, str | None, bool]]]:
    """By external id: the member and the pending contract, and whether its invitation has yet to be sent.

    Somebody who only pays has no contract, and waits for as long as no payment method is kept.
    """
    wanted = [row.external_id for row in rows]
    mine = (Member.location_id == offer.location.id, Member.external_id.in_(wanted))
    pending = (
        select(Member.external_id, Member.id, Contract.id, Contract.invited_at, Member.email)
        .join(Contract, Contract.member_id == Member.id)
        .where(*mine, Contract.status == AgreementStatus.PENDING)
    )
    found: dict[str, list[tuple[str, str | None, bool]]] = {}
    for external_id, member_id, contract_id, invited_at, email in session.execute(pending):
        may_invite = invited_at is None and email != ""
        found.setdefault(external_id, []).append((member_id, contract_id, may_invite))
    payers = [row.external_id for row in rows if not row.is_member]
    without = select(Member.external_id, Member.id).where(
        *mine, Member.external_id.in_(payers), Member.id.not_in(select(PaymentMethod.member_id))
    )
    for external_id, member_id in session.execute(without):
        found.setdefault(external_id, []).append((member_id, None, False))
    return found


def _hand_over(run: _Run, row: MemberRow, member_id: str, contract_id: str | None, *, may_invite: bool) -> None:
    """Tell the caller what starts the contract: the method that exists already, or else an invitation."""
    if row.processor_method_id:
        adoption = Adoption(
            row.line,
            member_id,
            contract_id,
            row.processor_method_id,
            row.mandate_id,
            has_customer=bool(row.processor_customer_id),
        )
        run.report.to_adopt.append(adoption)
    elif run.invite and may_invite and contract_id:
        run.report.to_invite.append(contract_id)

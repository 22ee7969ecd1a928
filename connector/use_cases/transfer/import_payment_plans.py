"""Import payment plans that began elsewhere: what is left of each goes on here, on the same days."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import first_due_from
from connector.billing.clinics import Location, location_by_slug
from connector.billing.intake.csv_rows import RefusedRow, ignored_columns
from connector.billing.intake.payment_plan_file import (
    COLUMNS,
    PaymentPlanFileRules,
    PaymentPlanRow,
    read_payment_plan_file,
)
from connector.billing.members import Member
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.collection.plan_attempts import payers
from connector.use_cases.context import Context
from connector.use_cases.transfer.import_members import read_batches

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Of ids: Crockford's base 32."""
_NO_MEMBER = "The payer is not a member of this location: import the members first, or correct the id."


@dataclass
class PlanImportReport:
    """What became of the rows."""

    imported: int = 0
    unchanged: int = 0
    refusals: list[RefusedRow] = field(default_factory=list)
    without_method: list[tuple[int, str]] = field(default_factory=list)
    """Lines and payers of plans that nobody can be charged for until the payer gives a payment method."""
    ignored: list[str] = field(default_factory=list)
    """Columns that nobody looks at."""


def import_payment_plans(
    context: Context, file: Path, *, location_slug: str, progress: Callable[[int], None] | None = None
) -> PlanImportReport:
    """Start the rest of each plan of a CSV file; importing it again changes nothing, and nobody is sent anything.

    `progress` is told the number of rows done after each batch. Raises DomainError when nothing can be read.
    """
    with context.database.read() as session:
        location = location_by_slug(session, location_slug)
    today = business_date(context.clock.now(), location.zone)
    rules = PaymentPlanFileRules(today, location.currency, location.policy)
    report, done = PlanImportReport(), 0
    for batch in read_batches(file, lambda stream: read_payment_plan_file(stream, rules)):
        report.refusals += [row for row in batch if isinstance(row, RefusedRow)]
        _import(context, location, [row for row in batch if isinstance(row, PaymentPlanRow)], report)
        done += len(batch)
        if progress:
            progress(done)
    with file.open("rb") as stream:
        report.ignored = ignored_columns(stream, COLUMNS)
    report.refusals.sort(key=lambda refusal: refusal.line)
    return report


def plan_id(location: Location, external_id: str) -> str:
    """The plan's id here: made of the location and the id in the file, so that a second import finds it.

    The first hundred bits of a BLAKE2b hash, in the alphabet and length of all ids.
    """
    digest = blake2b(f"{location.id}\x1f{external_id}".encode(), digest_size=13).digest()
    number = int.from_bytes(digest, "big") >> 4
    return "pp_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(95, -1, -5))


def _import(context: Context, location: Location, rows: Sequence[PaymentPlanRow], report: PlanImportReport) -> None:
    """One batch in one unit of work; the report is changed only after the commit."""
    new: list[tuple[PaymentPlanRow, PaymentPlan]] = []
    refusals: list[RefusedRow] = []
    unchanged = 0
    try:
        with context.database.unit_of_work() as session:
            ids = {row.line: plan_id(location, row.external_id) for row in rows}
            known = _known(session, ids.values())
            members = _members(session, location, [row.member for row in rows])
            for row in rows:
                if ids[row.line] in known:
                    unchanged += 1
                elif member_id := members.get(row.member):
                    new.append((row, _plan(context, location, row, ids[row.line], member_id)))
                else:
                    refusals.append(RefusedRow(row.line, "member", _NO_MEMBER))
            _store(session, context, location, new)
            paying = payers(session, {plan.member_id for _, plan in new})
    except IntegrityError:
        raise DomainError(
            "Another import is adding the same plans: wait until it has ended, then repeat this."
        ) from None
    report.imported += len(new)
    report.unchanged += unchanged
    report.refusals += refusals
    report.without_method += [(row.line, plan.member_id) for row, plan in new if plan.member_id not in paying]


def _store(
    session: Session, context: Context, location: Location, new: Sequence[tuple[PaymentPlanRow, PaymentPlan]]
) -> None:
    session.add_all(plan for _, plan in new)
    session.flush()
    for row, plan in new:
        remember(
            session,
            plan.id,
            "Payment Plan Taken Over",
            context.clock.now(),
            location_id=location.id,
            paid_elsewhere_cents=row.paid.cents,
            left_cents=plan.total_cents,
        )


def _known(session: Session, plan_ids: Collection[str]) -> frozenset[str]:
    return frozenset(session.scalars(select(PaymentPlan.id).where(PaymentPlan.id.in_(plan_ids))))


def _members(session: Session, location: Location, wanted: Sequence[str]) -> dict[str, str]:
    """Member ids by the ids in the file: those of the file of members, or our own."""
    query = select(Member.external_id, Member.id).where(
        Member.location_id == location.id, Member.external_id.in_(wanted) | Member.id.in_(wanted)
    )
    found: dict[str, str] = {}
    for external_id, member_id in session.execute(query):
        found[external_id] = found[member_id] = member_id
    return found


def _plan(context: Context, location: Location, row: PaymentPlanRow, identity: str, member_id: str) -> PaymentPlan:
    now, rest = context.clock.now(), row.rest
    passed, _ = first_due_from(row.cycle_from, rest.frequency, rest.first_due)
    return PaymentPlan(
        id=identity,
        location_id=location.id,
        member_id=member_id,
        description=row.description,
        total_cents=rest.total.cents,
        currency=rest.total.currency,
        deposit_cents=0,
        setup_fee_cents=0,
        instalment_count=rest.count,
        frequency=rest.frequency,
        anchor=row.cycle_from,
        # The first instalment here is not the first of its cycle.
        anchor_number=1 - passed,
        next_number=1,
        next_due=rest.first_due,
        status=AgreementStatus.ACTIVE,
        accepted_at=now,
        fee_bearer=row.fee_bearer,
        created_at=now,
    )

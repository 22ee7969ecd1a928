"""List a location's members with their contracts, for the front desk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from connector.billing.clinics import Location
from connector.billing.contracts import Contract
from connector.billing.members import Member
from connector.billing.plans import MembershipPlan
from connector.matching.models import PatientLink
from connector.use_cases.context import Context


@dataclass(frozen=True, slots=True, repr=False)
class MemberLine:
    """One contract with its member. Has no repr: the name is personal."""

    member_id: str
    external_id: str
    name: str
    contract_id: str
    plan: str
    frequency: str
    price_cents: int
    status: str
    next_due: date | None
    pms_patient_id: str | None


def list_members(context: Context, location: Location, limit: int) -> list[MemberLine]:
    """The location's contracts in the order in which their members came in."""
    query = (
        select(Member, Contract, MembershipPlan.name, PatientLink.pms_patient_id)
        .join(Contract, Contract.member_id == Member.id)
        .join(MembershipPlan, MembershipPlan.id == Contract.plan_id)
        .outerjoin(PatientLink, (PatientLink.member_id == Member.id) & PatientLink.ended_at.is_(None))
        .where(Member.location_id == location.id)
        .order_by(Member.created_at, Member.external_id)
        .limit(limit)
    )
    with context.database.read() as session:
        return [_line(*row) for row in session.execute(query).tuples()]


def _line(member: Member, contract: Contract, plan: str, patient_id: str | None) -> MemberLine:
    return MemberLine(
        member_id=member.id,
        external_id=member.external_id,
        name=f"{member.given_name} {member.family_name}",
        contract_id=contract.id,
        plan=plan,
        frequency=contract.frequency.value,
        price_cents=contract.price_cents,
        status=contract.status.value,
        next_due=contract.next_due,
        pms_patient_id=patient_id,
    )

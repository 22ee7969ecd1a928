"""List a location's members with their contracts, for the front desk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.matching.models import PatientLink
from connector.use_cases.context import Context


@dataclass(frozen=True, slots=True, repr=False)
class MemberLine:
    """One contract with its member. Has no repr: the name is personal."""

    member_id: str
    external_id: str
    name: str
    contract_id: str
    position: str
    plan: str
    frequency: str
    price_cents: int
    status: str
    next_due: date | None
    pms_patient_id: str | None


def list_members(
    context: Context, location: Location, limit: int, status: AgreementStatus | None = None
) -> list[MemberLine]:
    """The location's people and contracts in the order in which they came in; of one status only, if one is given."""
    query = (
        select(Member, Contract, Cover, MembershipPlan.name, PatientLink.pms_patient_id)
        .join(Cover, (Cover.member_id == Member.id) & Cover.until_period.is_(None))
        .join(Contract, Contract.id == Cover.contract_id)
        .join(PlanVersion, PlanVersion.id == Cover.plan_version_id)
        .join(MembershipPlan, MembershipPlan.id == PlanVersion.plan_id)
        .outerjoin(PatientLink, (PatientLink.member_id == Member.id) & PatientLink.ended_at.is_(None))
        .where(Member.location_id == location.id)
        .order_by(Member.created_at, Member.external_id)
        .limit(limit)
    )
    if status is not None:
        query = query.where(Contract.status == status)
    with context.database.read() as session:
        return [_line(*row) for row in session.execute(query)]


def _line(member: Member, contract: Contract, cover: Cover, plan: str, patient_id: str | None) -> MemberLine:
    return MemberLine(
        member_id=member.id,
        external_id=member.external_id,
        name=f"{member.given_name} {member.family_name}",
        contract_id=contract.id,
        position=cover.position.value,
        plan=plan,
        frequency=contract.frequency.value,
        price_cents=cover.price_cents,
        status=contract.status.value,
        next_due=contract.next_due,
        pms_patient_id=patient_id,
    )

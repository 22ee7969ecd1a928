"""Compare the rows of a file with the members who are in already: an import changes none of them, but tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.clinics import Location
from connector.billing.intake.member_cells import MemberRow
from connector.billing.intake.member_file import TEST_METHOD
from connector.billing.members import Member, PaymentMethod
from connector.billing.offers.plans import MembershipPlan, PlanVersion

_PERSONAL = (
    *("given_name", "family_name", "date_of_birth", "gender", "email", "phone"),
    *("address", "suburb", "state", "postcode"),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that says something else than what is stored."""

    line: int
    columns: tuple[str, ...]

    def __str__(self) -> str:
        first, last = self.columns[:-1], self.columns[-1]
        named = f"{', '.join(first)} and {last} differ" if first else f"{last} differs"
        return f"line {self.line}: {named} from what is stored"


def differences(session: Session, location: Location, rows: Sequence[MemberRow], default_plan: str) -> list[Difference]:
    """The rows of members who are in already that differ, each with its columns. Blank cells say nothing."""
    wanted = [row.external_id for row in rows]
    query = select(Member).where(Member.location_id == location.id, Member.external_id.in_(wanted))
    members = {member.external_id: member for member in session.scalars(query)}
    member_ids = [member.id for member in members.values()]
    agreed = _agreed(session, member_ids)
    methods = _methods(session, member_ids)
    found = []
    for row in rows:
        if member := members.get(row.external_id):
            stored = {column: getattr(member, column) for column in _PERSONAL}
            stored["stripe_customer"] = member.processor_customer_id
            stored |= agreed.get(member.id, {})
            said = _said(row, default_plan)
            columns = [
                column for column, value in said.items() if column in stored and not _same(value, stored[column])
            ]
            if row.processor_method_id and not _has_method(row, methods.get(member.id, set())):
                columns.append("stripe_payment_method")
            if columns:
                found.append(Difference(row.line, tuple(columns)))
    return found


def _said(row: MemberRow, default_plan: str) -> dict[str, Any]:
    """What the row says, by column."""
    said: dict[str, Any] = {column: getattr(row, column) for column in _PERSONAL}
    said |= {
        "stripe_customer": row.processor_customer_id,
        "plan": row.plan or default_plan,
        "price": row.price_cents,
        "frequency": row.frequency if row.names_frequency else None,
        "member_since": row.member_since,
        "lock_in_until": None if row.holder else row.lock_in_until,
        "holder": row.holder,
        "fee_bearer": row.fee_bearer,
    }
    return {column: value for column, value in said.items() if value}


def _same(said: Any, stored: Any) -> bool:
    return said in stored if isinstance(stored, tuple) else bool(said == stored)


def _has_method(row: MemberRow, methods: set[str]) -> bool:
    """A method that is not there yet may still be on its way; Stripe's test names never are what they become."""
    return not methods or row.processor_method_id in methods or row.processor_method_id.startswith(TEST_METHOD)


def _agreed(session: Session, member_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """By member: what their newest cover says."""
    holder = aliased(Member)
    query = (
        select(Cover, Contract, MembershipPlan.name, holder.external_id)
        .join(Contract, Contract.id == Cover.contract_id)
        .join(holder, holder.id == Contract.member_id)
        .join(PlanVersion, PlanVersion.id == Cover.plan_version_id)
        .join(MembershipPlan, MembershipPlan.id == PlanVersion.plan_id)
        .where(Cover.member_id.in_(member_ids), Cover.until_period.is_(None))
        .where(Contract.status != AgreementStatus.CANCELLED)
        .order_by(Cover.created_at, Cover.id)
    )
    return {
        cover.member_id: {
            "plan": plan,
            "price": cover.price_cents,
            "frequency": contract.frequency,
            "member_since": cover.starts_on,
            "lock_in_until": contract.lock_in_until,
            "fee_bearer": contract.fee_bearer,
            "holder": () if contract.member_id == cover.member_id else (contract.member_id, holder_id),
        }
        for cover, contract, plan, holder_id in session.execute(query)
    }


def _methods(session: Session, member_ids: Sequence[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    query = select(PaymentMethod.member_id, PaymentMethod.processor_id).where(PaymentMethod.member_id.in_(member_ids))
    for member_id, method_id in session.execute(query):
        found.setdefault(member_id, set()).add(method_id)
    return found

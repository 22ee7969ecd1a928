"""List a location's members with their contracts, for the front desk, and find people by what is known of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.errors import DomainError
from connector.matching.models import PatientLink
from connector.use_cases.context import Context


@dataclass(frozen=True, slots=True, repr=False)
class MemberLine:
    """One contract with its member; people without any have empty texts. Has no repr: the name is personal."""

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
    return members_page(context, location, limit, status)[0]


def members_page(
    context: Context, location: Location, limit: int, status: AgreementStatus | None = None
) -> tuple[list[MemberLine], int]:
    """The first so many lines of `list_members`, and how many there are in all."""
    query = _LINES.join(*_COVERED).join(*_CONTRACT).join(*_VERSION).join(*_PLAN)
    query = query.outerjoin(*_LINK).where(Member.location_id == location.id)
    if status is not None:
        query = query.where(Contract.status == status)
    with context.database.read() as session:
        total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
        rows = session.execute(query.order_by(Member.created_at, Member.external_id).limit(limit))
        return [_line(*row) for row in rows], total


def find_members(context: Context, location: Location, text: str, limit: int) -> tuple[list[MemberLine], int]:
    """The lines of people whose name, e-mail address or telephone number holds the text, and how many people they are.

    People without a contract are found, too. At most `limit` people are shown. Raises DomainError for an empty text.
    """
    words = _plain(text).split()
    if not words:
        raise DomainError("Say what to look for: a name, an e-mail address or a telephone number.")
    query = _LINES.outerjoin(*_COVERED).outerjoin(*_CONTRACT).outerjoin(*_VERSION).outerjoin(*_PLAN).outerjoin(*_LINK)
    # Names are compared in all scripts alike here, which databases do each in their own way.
    everybody = select(Member).where(Member.location_id == location.id).order_by(Member.created_at, Member.external_id)
    with context.database.read() as session:
        found = [member.id for member in session.scalars(everybody) if _meant(member, words, text)]
        rows = [
            row
            for batch in _batches(found[:limit])
            for row in session.execute(
                query.where(Member.id.in_(batch)).order_by(Member.created_at, Member.external_id, Contract.created_at)
            )
        ]
        return [_line(*row) for row in rows], len(found)


def names_of(context: Context, member_ids: Iterable[str]) -> dict[str, str]:
    """The full names of these people by id, for tables that staff read; never for logs."""
    named = select(Member.id, Member.given_name, Member.family_name)
    with context.database.read() as session:
        return {
            member_id: f"{given} {family}"
            for batch in _batches(sorted(set(member_ids)))
            for member_id, given, family in session.execute(named.where(Member.id.in_(batch)))
        }


_LINES = select(Member, Contract, Cover, MembershipPlan.name, PatientLink.pms_patient_id)
_COVERED = Cover, (Cover.member_id == Member.id) & Cover.until_period.is_(None)
_CONTRACT = Contract, Contract.id == Cover.contract_id
_VERSION = PlanVersion, PlanVersion.id == Cover.plan_version_id
_PLAN = MembershipPlan, MembershipPlan.id == PlanVersion.plan_id
_LINK = PatientLink, (PatientLink.member_id == Member.id) & PatientLink.ended_at.is_(None)
_BATCH = 500
_PHONE_DIGITS = 4
"""Fewer are no telephone number, and would be found in most."""


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many at a time as fit into one query."""
    return (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))


def _meant(member: Member, words: Sequence[str], text: str) -> bool:
    known = _plain(f"{member.given_name} {member.family_name} {member.email}")
    if all(word in known for word in words):
        return True
    # A number is kept with its country's code in front, in the place of the 0 that people type.
    digits = re.sub(r"[\s()+./-]", "", text).removeprefix("0")
    return digits.isdecimal() and len(digits) >= _PHONE_DIGITS and digits in member.phone


def _plain(text: str) -> str:
    """Without case and accents."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _line(
    member: Member, contract: Contract | None, cover: Cover | None, plan: str | None, patient_id: str | None
) -> MemberLine:
    return MemberLine(
        member_id=member.id,
        external_id=member.external_id,
        name=f"{member.given_name} {member.family_name}",
        contract_id=contract.id if contract else "",
        position=cover.position.value if cover else "",
        plan=plan or "",
        frequency=contract.frequency.value if contract else "",
        price_cents=cover.price_cents if cover else 0,
        status=contract.status.value if contract else "",
        next_due=contract.next_due if contract else None,
        pms_patient_id=patient_id,
    )

"""A person whom staff type in, measured by the same rules as a row of an import, and found again when known already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.intake.card_numbers import without_card_number
from connector.billing.intake.member_cells import (
    BadCell,
    MemberFileRules,
    MemberRow,
    check_cells,
    person_key,
)
from connector.billing.members import Member
from connector.errors import DomainError
from connector.use_cases.patient_pages.revoke_links import Contact, heed_new_contact


@dataclass(frozen=True, slots=True, repr=False)
class PersonDetails:
    """A person as typed in; what is not known is empty. Has no repr: all of it is personal."""

    given_name: str
    family_name: str
    born: date | None = None
    email: str = ""
    phone: str = ""

    @property
    def cells(self) -> dict[str, str]:
        born = self.born.isoformat() if self.born else ""
        texts = {"given_name": self.given_name, "family_name": self.family_name}
        return {**texts, "date_of_birth": born, "email": self.email, "phone": self.phone}


def join(
    session: Session, location: Location, details: PersonDetails, today: date, now: datetime, actor: str
) -> Member:
    """The member of these details, new or known from an earlier membership, in the caller's unit of work.

    Raises DomainError for details that cannot be, and for a person who is on a contract already.
    """
    row = checked(details.cells, today)
    # Whoever adds people to a location waits here, so that the same person is never added twice.
    session.get_one(Location, location.id, with_for_update=True)
    member = _known(session, location, row)
    if member is None:
        member = _new(location, row, now)
        session.add(member)
    else:
        _refuse_who_is_covered(session, member)
        before = Contact.of(member)
        member.phone = row.phone or member.phone
        heed_new_contact(session, member, before, now, actor)
    session.flush()
    return member


def reach(session: Session, member: Member, given: Contact, today: date, now: datetime, actor: str) -> None:
    """Take over a new address or number, if one is given, and end the links that went to the old one.

    Raises DomainError when the member cannot be invited by e-mail.
    """
    details = PersonDetails(
        member.given_name,
        member.family_name,
        member.date_of_birth,
        given.email or member.email,
        given.phone or member.phone,
    )
    row = checked(details.cells, today)
    before = Contact.of(member)
    member.email, member.phone = row.email, row.phone
    heed_new_contact(session, member, before, now, actor)
    require_email(member)


def require_email(member: Member) -> None:
    """Raise DomainError unless an invitation can be sent."""
    if not member.email:
        # Whoever is being added has no id yet that could be looked up.
        raise DomainError("No e-mail address is known for the invitation: give one with --email.")


def checked(cells: Mapping[str, str], today: date) -> MemberRow:
    """The person of these cells as a row of an import would be. Raises DomainError that names the option to correct."""
    address = " ".join(cells.get(name, "") for name in ("address", "suburb", "state", "postcode"))
    without_card_number(*cells.values(), address)
    try:
        return check_cells(0, cells, MemberFileRules(today, frozenset(Frequency), email_needed=False))
    except BadCell as error:
        option = "born" if error.column == "date_of_birth" else error.column.replace("_", "-")
        raise DomainError(f"--{option}: {error.reason}") from None


def _known(session: Session, location: Location, row: MemberRow) -> Member | None:
    same_birth = select(Member).where(Member.location_id == location.id, Member.date_of_birth == row.date_of_birth)
    for member in session.scalars(same_birth.order_by(Member.created_at)):
        key = person_key(member.given_name, member.family_name, member.date_of_birth, member.email)
        if key == row.person_key:
            return member
    return None


def _refuse_who_is_covered(session: Session, member: Member) -> None:
    query = (
        select(Contract.id)
        .join(Cover, Cover.contract_id == Contract.id)
        .where(Cover.member_id == member.id, Cover.until_period.is_(None))
        .where(Contract.status != AgreementStatus.CANCELLED)
    )
    if contract_id := session.scalars(query).first():
        raise DomainError(f"This person is a member already, on the contract {contract_id}: nothing was changed.")


def _new(location: Location, row: MemberRow, now: datetime) -> Member:
    member_id = ids.new_id("mem")
    return Member(
        id=member_id,
        location_id=location.id,
        external_id=member_id,
        given_name=row.given_name,
        family_name=row.family_name,
        date_of_birth=row.date_of_birth,
        email=row.email,
        phone=row.phone,
        created_at=now,
    )

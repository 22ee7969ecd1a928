"""List the people who work with the connector, with what they may do and where."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from connector.billing.clinics import Clinic, Location
from connector.billing.staff import Role, StaffStatus, StaffUser
from connector.use_cases.context import Context
from connector.use_cases.practice.staff_permissions import works_at


@dataclass(frozen=True, slots=True, repr=False)
class StaffLine:
    """One user as shown to staff. Has no repr: it is personal."""

    user_id: str
    clinic: str
    given_name: str
    family_name: str
    email: str
    phone: str
    role: Role
    status: StaffStatus
    locations: list[str]
    """Short names, in order."""


def list_staff(context: Context, clinic_name: str = "") -> list[StaffLine]:
    """All users, or those of one clinic, by clinic and name."""
    query = select(StaffUser, Clinic.name).join(Clinic, Clinic.id == StaffUser.clinic_id)
    if clinic_name:
        query = query.where(Clinic.name == clinic_name)
    query = query.order_by(Clinic.name, StaffUser.family_name, StaffUser.given_name, StaffUser.id)
    with context.database.read() as session:
        slugs: dict[str, str] = dict(session.execute(select(Location.id, Location.slug)).all())
        return [
            StaffLine(
                user_id=user.id,
                clinic=clinic,
                given_name=user.given_name,
                family_name=user.family_name,
                email=user.email,
                phone=user.phone,
                role=user.role,
                status=user.status,
                locations=sorted(slugs[key] for key in works_at(session, user)),
            )
            for user, clinic in session.execute(query)
        ]

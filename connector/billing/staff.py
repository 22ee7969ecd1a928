"""The people who work with the connector at a practice, what they may do, and where."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base, state_column


class Role(StrEnum):
    """What a staff user may do."""

    ADMIN = "admin"
    """Everything: plans, settings, staff users, and all that follows."""
    LIMITED = "limited"
    """Members, payments and linking at the locations that the user belongs to."""


class StaffStatus(StrEnum):
    """Life of a staff user."""

    PENDING = "pending"
    """Invited; the invitation has not been accepted."""
    ACTIVE = "active"
    DISABLED = "disabled"


class StaffUser(Base):
    """One person of the practice's team."""

    __tablename__ = "staff_user"
    __table_args__ = (UniqueConstraint("clinic_id", "email"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinic.id"))
    given_name: Mapped[str]
    family_name: Mapped[str]
    email: Mapped[str]
    phone: Mapped[str] = mapped_column(default="")
    role: Mapped[Role] = mapped_column(state_column(Role))
    status: Mapped[StaffStatus] = mapped_column(state_column(StaffStatus))
    created_at: Mapped[datetime]


class StaffLocation(Base):
    """A location where a staff user works. An admin works at all of them."""

    __tablename__ = "staff_location"

    staff_user_id: Mapped[str] = mapped_column(ForeignKey("staff_user.id"), primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"), primary_key=True)

"""The practice: a clinic and its locations. A location has the time zone and the currency that all else follows."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from connector.clock import zone
from connector.database.base import Base
from connector.errors import DomainError


class Clinic(Base):
    """The account that owns locations."""

    __tablename__ = "clinic"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class Location(Base):
    """One surgery: plans, members, payments and reports all belong to one."""

    __tablename__ = "location"

    id: Mapped[str] = mapped_column(primary_key=True)
    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinic.id"))
    slug: Mapped[str] = mapped_column(unique=True)
    """Short name for commands and URLs."""
    name: Mapped[str]
    timezone: Mapped[str]
    """IANA name; decides which business date an instant belongs to."""
    currency: Mapped[str]
    pms_adapter: Mapped[str]
    pms_settings: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    @property
    def zone(self) -> ZoneInfo:
        return zone(self.timezone)


def location_by_slug(session: Session, slug: str) -> Location:
    """The location of that short name. Raises DomainError when there is none."""
    location = session.scalar(select(Location).where(Location.slug == slug))
    if location is None:
        slugs = sorted(session.scalars(select(Location.slug)))
        known = f"the locations are {', '.join(slugs)}" if slugs else "add one with `connector locations add`"
        raise DomainError(f"There is no location {slug!r}: {known}.")
    return location

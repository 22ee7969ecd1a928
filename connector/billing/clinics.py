"""The practice: a clinic and its locations. A location has the time zone and the currency that all else follows."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from connector.billing.collecting.business_days import BusinessCalendar, calendar_of
from connector.billing.policy import BillingPolicy, policy_of
from connector.clock import zone
from connector.database.base import Base, state_column
from connector.errors import DomainError


class Clinic(Base):
    """The account that owns locations."""

    __tablename__ = "clinic"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    abn: Mapped[str] = mapped_column(default="")
    """Australian Business Number of the legal entity, digits only; a location may have one of its own."""
    contact: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]


class LocationStatus(StrEnum):
    """Whether a location may take money."""

    PENDING = "pending"
    """The payment account is not seen to be ready: nobody can sign up or pay. It opens by itself once it is."""
    ACTIVE = "active"
    PAUSED = "paused"
    """Closed by staff, who open it again."""


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
    status: Mapped[LocationStatus] = mapped_column(state_column(LocationStatus), default=LocationStatus.ACTIVE)
    region: Mapped[str] = mapped_column(default="")
    """State whose public holidays count, e.g. NSW; empty: the state of the time zone."""
    trading_name: Mapped[str] = mapped_column(default="")
    abn: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="")
    phone: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(default="")
    website: Mapped[str] = mapped_column(default="")
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Billing settings that differ from the defaults; read them through `policy`."""
    next_invoice_number: Mapped[int] = mapped_column(default=1)
    """Counted inside the transaction that issues, so numbers have no gaps."""
    next_credit_note_number: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]

    @property
    def zone(self) -> ZoneInfo:
        return zone(self.timezone)

    @property
    def policy(self) -> BillingPolicy:
        return policy_of(self.settings)

    @property
    def calendar(self) -> BusinessCalendar:
        return calendar_of(self.timezone, self.region)


def all_locations(session: Session) -> list[Location]:
    """Every location, by short name."""
    return list(session.scalars(select(Location).order_by(Location.slug)))


def location_by_slug(session: Session, slug: str) -> Location:
    """The location of that short name. Raises DomainError when there is none."""
    location = session.scalar(select(Location).where(Location.slug == slug))
    if location is None:
        slugs = sorted(session.scalars(select(Location.slug)))
        known = f"the locations are {', '.join(slugs)}" if slugs else "add one with `connector locations add`"
        raise DomainError(f"There is no location {slug!r}: {known}.")
    return location

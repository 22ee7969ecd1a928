"""The settings of a location: how it bills, how it is known, and whether it may take money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import CONNECTOR, remember
from connector.billing.clinics import Clinic, Location, LocationStatus, location_by_slug
from connector.billing.collecting.business_days import calendar_of
from connector.billing.policy import BillingPolicy, changed, policy_of
from connector.billing.prices.platform_fee import tier_named
from connector.billing.processor import AccountReport
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.practice import contact_details
from connector.use_cases.transfer.stop_billing import refuse_exported_location


@dataclass(frozen=True, slots=True)
class Setting:
    """One billing setting of a location, in the form in which it is kept."""

    name: str
    value: Any
    default: Any

    @property
    def changed(self) -> bool:
        return bool(self.value != self.default)


def list_settings(context: Context, slug: str) -> list[Setting]:
    """All billing settings of the location, in the order of the document. Raises DomainError."""
    with context.database.read() as session:
        location = location_by_slug(session, slug)
    values = location.policy.model_dump(mode="json")
    defaults = BillingPolicy().model_dump(mode="json")
    return [Setting(name, values[name], defaults[name]) for name in BillingPolicy.model_fields]


def change_settings(context: Context, slug: str, changes: Mapping[str, str], actor: str) -> list[Setting]:
    """Set billing settings by text, an empty one to its default; returns what differs from before, as it is now.

    Raises DomainError when they do not fit together, and then changes nothing.
    """
    with context.database.unit_of_work() as session:
        location = _locked(session, slug)
        before = location.policy.model_dump(mode="json")
        stored = changed(location.settings, changes)
        policy = policy_of(stored)
        tier_named(policy.platform_tier, context.tiers)
        after = policy.model_dump(mode="json")
        differing = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
        location.settings = stored
        _remember(session, location, "Settings Changed", differing, actor, context.clock.now())
    defaults = BillingPolicy().model_dump(mode="json")
    return [Setting(name, new, defaults[name]) for name, (_, new) in differing.items()]


def edit_location(context: Context, slug: str, changes: Mapping[str, str], actor: str) -> None:
    """Change how the location is named and reached: its columns by name, an empty text to remove one.

    Invoices that are issued keep what was true on their day. Raises DomainError, and then changes nothing.
    """
    wanted = {name: _CHECKED[name](text) for name, text in changes.items()}
    with context.database.unit_of_work() as session:
        location = _locked(session, slug)
        if wanted.get("region"):
            calendar_of(location.timezone, wanted["region"])
        differing = {
            name: (getattr(location, name), text) for name, text in wanted.items() if getattr(location, name) != text
        }
        for name, (_, text) in differing.items():
            setattr(location, name, text)
        _remember(session, location, "Location Edited", differing, actor, context.clock.now())


def edit_clinic(context: Context, name: str, changes: Mapping[str, str], actor: str) -> None:
    """Change the ABN or the contact person of the company. Raises DomainError, and then changes nothing."""
    wanted = {field: _CHECKED_OF_CLINIC[field](text) for field, text in changes.items()}
    with context.database.unit_of_work() as session:
        clinic = locked_clinic(session, name)
        for field, text in wanted.items():
            setattr(clinic, field, text)
        # Only which fields: a contact is a person, and the history cannot be changed when it must be forgotten.
        remember(session, clinic.id, "Clinic Edited", context.clock.now(), actor=actor, fields=sorted(wanted))


def activate_location(context: Context, slug: str, actor: str, *, override: bool = False) -> AccountReport:
    """Let the location take money once its Stripe account can; returns what the account can do.

    One that was exported needs `override`. Raises DomainError when it cannot, or charges in another currency, and
    EdgeError when Stripe cannot be asked.
    """
    with context.database.read() as session:
        location = location_by_slug(session, slug)
        if not override:
            refuse_exported_location(session, location)
    account = context.processor.check_account()
    if not account.charges_enabled or not (account.card or account.becs):
        raise DomainError(
            "The Stripe account cannot take payments yet: complete what its dashboard asks for, and try again."
        )
    with context.database.unit_of_work() as session:
        location = _locked(session, slug)
        if account.currency != location.currency:
            raise DomainError(
                f"The location {slug!r} charges in {location.currency} and its Stripe account in {account.currency}: "
                "connect an account of that currency."
            )
        _become(session, location, LocationStatus.ACTIVE, "Location Activated", actor, context.clock.now())
    return account


def pause_location(context: Context, slug: str, actor: str) -> None:
    """Let nobody sign up or pay at the location until it is activated again. Raises DomainError."""
    with context.database.unit_of_work() as session:
        location = _locked(session, slug)
        _become(session, location, LocationStatus.PAUSED, "Location Paused", actor, context.clock.now())


def locked_clinic(session: Session, name: str) -> Clinic:
    """The clinic of that name, locked for a change. Raises DomainError when there is none."""
    clinic = session.scalar(select(Clinic).where(Clinic.name == name).with_for_update())
    if clinic is None:
        known = ", ".join(sorted(session.scalars(select(Clinic.name)))) or "none yet"
        raise DomainError(f"There is no clinic of that name: the clinics are {known}.")
    return clinic


def open_pending(context: Context, location: Location) -> None:
    """A location that waits for its payment account opens once that is ready. Raises as `activate_location`."""
    if location.status is LocationStatus.PENDING:
        activate_location(context, location.slug, CONNECTOR)


def require_active(location: Location) -> None:
    """Raise DomainError unless the location may take sign-ups and payments."""
    if location.status is not LocationStatus.ACTIVE:
        raise DomainError(
            f"The location {location.slug!r} takes no sign-ups and payments now: "
            f"begin with `connector locations activate {location.slug}`."
        )


_CHECKED: Mapping[str, Callable[[str], str]] = {
    "trading_name": lambda text: contact_details.one_line("trading name", text, contact_details.NAME_MAX),
    "abn": contact_details.abn,
    "address": lambda text: contact_details.one_line("address", text),
    "phone": contact_details.phone,
    "email": contact_details.email,
    "website": contact_details.website,
    "region": contact_details.region,
}
"""Columns of a location that can be edited, with the check of each."""

_CHECKED_OF_CLINIC: Mapping[str, Callable[[str], str]] = {
    "abn": contact_details.abn,
    "contact": lambda text: contact_details.one_line("contact", text, contact_details.NAME_MAX),
}


def _locked(session: Session, slug: str) -> Location:
    """The location, read again under a lock: what two people change at once adds up. Raises DomainError."""
    location = location_by_slug(session, slug)
    session.refresh(location, with_for_update=True)
    return location


def _become(
    session: Session, location: Location, status: LocationStatus, action: str, actor: str, now: datetime
) -> None:
    if location.status is not status:
        location.status = status
        remember(session, location.id, action, now, location_id=location.id, actor=actor)


def _remember(
    session: Session,
    location: Location,
    action: str,
    differing: Mapping[str, tuple[Any, Any]],
    actor: str,
    now: datetime,
) -> None:
    """Old and new value of each; nothing when nothing differs."""
    if differing:
        detail = {name: {"old": old, "new": new} for name, (old, new) in differing.items()}
        remember(session, location.id, action, now, location_id=location.id, actor=actor, **detail)

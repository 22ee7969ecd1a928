"""What a staff user may do, and where: one rule for every way in."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.staff import Role, StaffLocation, StaffStatus, StaffUser


class Action(StrEnum):
    """What somebody wants to do. The work of the front desk comes first, what is for admins after it."""

    MANAGE_MEMBERS = "manage_members"
    """Invite, enrol, suspend and cancel members, and change their plans."""
    TAKE_PAYMENTS = "take_payments"
    """Ask for payments, payment plans and holds; capture and release them."""
    LINK_PATIENTS = "link_patients"
    POST_TO_LEDGER = "post_to_ledger"
    """Post, or mark as recorded, what waits for a person."""
    GIVE_REFUNDS = "give_refunds"
    OVERRIDE_LOCK_IN = "override_lock_in"
    SEE_REPORTS = "see_reports"
    """Day reports, key figures, payouts and fees."""
    MANAGE_PLANS = "manage_plans"
    """Membership plans, templates of payment plans, promo codes."""
    MANAGE_SETTINGS = "manage_settings"
    MANAGE_USERS = "manage_users"


FRONT_DESK = frozenset({Action.MANAGE_MEMBERS, Action.TAKE_PAYMENTS, Action.LINK_PATIENTS, Action.POST_TO_LEDGER})
"""What limited users may do at their locations."""


def may(role: Role, status: StaffStatus, locations: Collection[str], action: Action, location: str | None) -> bool:
    """Whether a user with that role and status may do it.

    `locations`: ids of the locations where the user works (`works_at`), so that even an admin has no say in another
    clinic. `location`: where it is to be done; None for the clinic as a whole, which is an admin's business.
    """
    if status is not StaffStatus.ACTIVE:
        return False
    if location is None:
        return role is Role.ADMIN
    return location in locations and (role is Role.ADMIN or action in FRONT_DESK)


def works_at(session: Session, user: StaffUser) -> frozenset[str]:
    """Ids of the locations where the user works: of an admin, all of the clinic."""
    query = select(Location.id).where(Location.clinic_id == user.clinic_id)
    if user.role is Role.LIMITED:
        query = query.join(StaffLocation, StaffLocation.location_id == Location.id).where(
            StaffLocation.staff_user_id == user.id
        )
    return frozenset(session.scalars(query))

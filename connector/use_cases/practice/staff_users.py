"""The team of a clinic: invite people, let them accept, change what they may do, and shut them out again.

A clinic's row is locked by whoever changes its team, so that two changes at once cannot leave it without an admin.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.clinics import Clinic, Location
from connector.billing.links import LinkKind, SecureLink, consume, end, find, mint
from connector.billing.staff import Role, StaffLocation, StaffStatus, StaffUser
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.use_cases.context import Context
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.practice import contact_details
from connector.use_cases.practice.location_settings import locked_clinic

INVITATION_LASTS = timedelta(days=7)

_CONSUMED = "consumed"
"""Why an accepted invitation ended."""


@dataclass(frozen=True, slots=True, repr=False)
class StaffDetails:
    """A person as typed in. Has no repr: all of it is personal."""

    given_name: str
    family_name: str
    email: str
    phone: str = ""

    def checked(self) -> StaffDetails:
        """The same in the form in which it is kept. Raises DomainError for what cannot be."""
        if not self.email.strip():
            raise DomainError("The e-mail address is missing: the invitation goes there.")
        return StaffDetails(
            contact_details.name("given name", self.given_name),
            contact_details.name("family name", self.family_name),
            contact_details.email(self.email),
            contact_details.phone(self.phone),
        )


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that was just made. The code is shown once and cannot be read again."""

    user_id: str
    code: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Invitation({self.user_id})"


def add_user(
    context: Context, clinic_name: str, details: StaffDetails, role: Role, location_slugs: Sequence[str], actor: str
) -> Invitation:
    """Add somebody to the team of a clinic and invite them. Raises DomainError, and then adds nobody."""
    person, now = details.checked(), context.clock.now()
    with context.database.unit_of_work() as session:
        clinic = locked_clinic(session, clinic_name)
        locations = _locations(session, clinic.id, location_slugs)
        _check_email_unused(session, clinic.id, person.email)
        user = StaffUser(
            id=ids.new_id("usr"),
            clinic_id=clinic.id,
            given_name=person.given_name,
            family_name=person.family_name,
            email=person.email,
            phone=person.phone,
            role=role,
            status=StaffStatus.PENDING,
            created_at=now,
        )
        _check_place(role, locations)
        session.add(user)
        session.flush()
        _place(session, user.id, locations)
        remember(session, user.id, "Staff User Added", now, actor=actor, role=role.value, locations=sorted(locations))
        return _invite(session, user, actor, now)


def invite_user(context: Context, user_id: str, actor: str) -> Invitation:
    """Invite somebody again who has not accepted yet; the older invitation is revoked. Raises DomainError."""
    with context.database.unit_of_work() as session:
        user = _locked(session, user_id)
        if user.status is not StaffStatus.PENDING:
            raise DomainError(f"The user {user_id} is {user.status}: only who is pending can be invited.")
        return _invite(session, user, actor, context.clock.now())


def accept_invitation(context: Context, code: str) -> str:
    """Let the person in whose invitation has that code; returns the user's id.

    Raises DomainError, with one sentence for every code that cannot be used: it tells nothing about which exist.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        link = find(session, code.strip())
        user = _locked(session, link.subject_id) if link and link.kind is LinkKind.STAFF else None
        if not link or not user or user.status is not StaffStatus.PENDING or not consume(session, link.id, now):
            raise DomainError("This invitation cannot be used: ask an admin of the practice for a new one.")
        user.status = StaffStatus.ACTIVE
        remember(session, user.id, "Staff Invitation Accepted", now, actor=f"staff:{user.id}")
        return user.id


def edit_user(
    context: Context,
    user_id: str,
    changes: Mapping[str, str],
    role: Role | None,
    location_slugs: Sequence[str],
    actor: str,
) -> bool:
    """Change a user: the details named (fields of StaffDetails), the role unless None, the locations unless empty.

    Returns whether a new invitation is needed, because the open one went to another address. Raises DomainError, also
    when the clinic would lose its last active admin, and then changes nothing.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        user = _locked(session, user_id)
        before = {field.name: getattr(user, field.name) for field in fields(StaffDetails)}
        person, role = StaffDetails(**{**before, **changes}).checked(), role or user.role
        locations = _locations(session, user.clinic_id, location_slugs) or _own_locations(session, user.id)
        if role is not Role.ADMIN:
            _check_not_last_admin(session, user)
        _check_place(role, locations)
        again = person.email != user.email and user.status is StaffStatus.PENDING
        if person.email != user.email:
            _check_email_unused(session, user.clinic_id, person.email)
        if again:
            end(session, LinkKind.STAFF, user.id, "address changed", now)
        user.given_name, user.family_name = person.given_name, person.family_name
        user.email, user.phone, user.role = person.email, person.phone, role
        _place(session, user.id, locations)
        remember(session, user.id, "Staff User Edited", now, actor=actor, role=role.value, locations=sorted(locations))
        return again


def disable_user(context: Context, user_id: str, actor: str) -> None:
    """Shut a user out, and revoke an open invitation. Raises DomainError for the clinic's last active admin."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        user = _locked(session, user_id)
        if user.status is StaffStatus.DISABLED:
            return
        _check_not_last_admin(session, user)
        user.status = StaffStatus.DISABLED
        end(session, LinkKind.STAFF, user.id, "disabled", now)
        remember(session, user.id, "Staff User Disabled", now, actor=actor)


def enable_user(context: Context, user_id: str, actor: str) -> StaffStatus:
    """Let a disabled user in again; whoever never accepted an invitation is pending. Returns the status."""
    with context.database.unit_of_work() as session:
        user = _locked(session, user_id)
        if user.status is StaffStatus.DISABLED:
            accepted = select(SecureLink.id).where(
                SecureLink.kind == LinkKind.STAFF,
                SecureLink.subject_id == user.id,
                SecureLink.ended_because == _CONSUMED,
            )
            user.status = StaffStatus.ACTIVE if session.scalars(accepted).first() else StaffStatus.PENDING
            remember(session, user.id, "Staff User Enabled", context.clock.now(), actor=actor)
        return user.status


def invitation_code(session: Session, user_id: str, now: datetime) -> str:
    """A fresh code for a pending user, in the caller's unit of work; it revokes the older one.

    For whoever writes the invitation: only a hash of the code is kept, so each message carries one of its own.
    """
    return mint(session, LinkKind.STAFF, user_id, None, now, now + INVITATION_LASTS)


def _invite(session: Session, user: StaffUser, actor: str, now: datetime) -> Invitation:
    code, home = invitation_code(session, user.id, now), _home(session, user)
    occasion = now.isoformat()
    queue_message(
        session, home, MessageKind.STAFF_INVITATION, user.id, occasion, now, staff_user_id=user.id, urgent=True
    )
    remember(session, user.id, "Staff User Invited", now, actor=actor)
    return Invitation(user.id, code, now + INVITATION_LASTS)


def _home(session: Session, user: StaffUser) -> Location:
    """The first location where the user works: the message goes out in its name."""
    theirs = _own_locations(session, user.id)
    query = select(Location).where(Location.clinic_id == user.clinic_id).order_by(Location.created_at, Location.id)
    everywhere = session.scalars(query).all()
    return next((location for location in everywhere if location.id in theirs), everywhere[0])


def _locked(session: Session, user_id: str) -> StaffUser:
    """The user, with the clinic's team locked. Raises DomainError when there is none."""
    clinic_id = session.scalar(select(StaffUser.clinic_id).where(StaffUser.id == user_id))
    if clinic_id is None:
        raise DomainError(f"There is no user {user_id!r}: see `connector users list`.")
    session.get_one(Clinic, clinic_id, with_for_update=True)
    return session.get_one(StaffUser, user_id)


def _locations(session: Session, clinic_id: str, slugs: Sequence[str]) -> frozenset[str]:
    """Ids of these locations. Raises DomainError for one that the clinic does not have."""
    theirs = select(Location.slug, Location.id).where(Location.clinic_id == clinic_id)
    known: dict[str, str] = dict(session.execute(theirs).all())
    if unknown := [slug for slug in slugs if slug not in known]:
        raise DomainError(f"The clinic has no location {unknown[0]!r}: its locations are {', '.join(sorted(known))}.")
    return frozenset(known[slug] for slug in slugs)


def _own_locations(session: Session, user_id: str) -> frozenset[str]:
    return frozenset(session.scalars(select(StaffLocation.location_id).where(StaffLocation.staff_user_id == user_id)))


def _place(session: Session, user_id: str, locations: Collection[str]) -> None:
    session.execute(delete(StaffLocation).where(StaffLocation.staff_user_id == user_id))
    session.add_all(StaffLocation(staff_user_id=user_id, location_id=key) for key in sorted(locations))


def _check_place(role: Role, locations: Collection[str]) -> None:
    if role is Role.LIMITED and not locations:
        raise DomainError("A limited user works at one location at least: name it with --location.")


def _check_email_unused(session: Session, clinic_id: str, email: str) -> None:
    same = select(StaffUser.id).where(StaffUser.clinic_id == clinic_id, StaffUser.email == email)
    if user_id := session.scalar(same):
        raise DomainError(f"The user {user_id} has this e-mail address already: change that one, or give another.")


def _check_not_last_admin(session: Session, user: StaffUser) -> None:
    if user.role is not Role.ADMIN or user.status is not StaffStatus.ACTIVE:
        return
    admins = select(func.count()).where(
        StaffUser.clinic_id == user.clinic_id, StaffUser.role == Role.ADMIN, StaffUser.status == StaffStatus.ACTIVE
    )
    if session.scalar(admins) == 1:
        raise DomainError(f"The user {user.id} is the clinic's last active admin: make somebody else an admin first.")

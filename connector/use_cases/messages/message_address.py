"""Where a message goes: the member's, the staff user's or the location's own contacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.billing.staff import Role, StaffStatus, StaffUser
from connector.errors import DomainError
from connector.messaging.kinds import CHANNELS, Channel
from connector.messaging.models import Message
from connector.messaging.sms import e164

HOME = "AU"
"""Where telephone numbers without a country code belong, when the location's zone does not say."""


@dataclass(frozen=True, slots=True, repr=False)
class Addresses:
    """What can be reached on the channels of a message. Has no repr: addresses are personal."""

    known: Mapping[Channel, str]
    missing: str
    """What is to be done when there is none, in one sentence."""


def addresses_of(session: Session, message: Message) -> Addresses:
    """The addresses on the channels that the message's kind has."""
    location = session.get_one(Location, message.location_id)
    email, phone, whose = _contact(session, message, location)
    known = {}
    if email:
        known[Channel.EMAIL] = email
    if number := _mobile(phone, location):
        known[Channel.SMS] = number
    usable = {channel: address for channel, address in known.items() if channel in CHANNELS[message.kind]}
    return Addresses(usable, f"There is no address for it: enter the e-mail address of {whose}, and send it again.")


def _contact(session: Session, message: Message, location: Location) -> tuple[str, str, str]:
    if message.member_id is not None:
        member = session.get_one(Member, message.member_id)
        return member.email, member.phone, f"the member {member.id}"
    if message.staff_user_id is not None:
        user = session.get_one(StaffUser, message.staff_user_id)
        return user.email, user.phone, f"the user {user.id}"
    return location.email or _admin(session, location), location.phone, f"the location {location.slug}"


def _admin(session: Session, location: Location) -> str:
    """The address of the clinic's first admin, who hears of what has no other recipient."""
    query = select(StaffUser.email).where(
        StaffUser.clinic_id == location.clinic_id, StaffUser.role == Role.ADMIN, StaffUser.status == StaffStatus.ACTIVE
    )
    return session.scalars(query.order_by(StaffUser.created_at, StaffUser.id)).first() or ""


def _mobile(phone: str, location: Location) -> str | None:
    """The number in E.164; None for none, and for one that takes no SMS, e.g. of a landline."""
    try:
        return e164(phone, location.calendar.country or HOME) if phone else None
    except DomainError:
        return None

"""Correct what is known of a person: name, birth date, and how to reach them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.billing.activity import remember
from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.members.new_person import checked
from connector.use_cases.patient_pages.link_history import EDITED
from connector.use_cases.patient_pages.revoke_links import Contact, heed_new_contact

EDITABLE = (
    *("given_name", "family_name", "date_of_birth", "gender", "email", "phone"),
    *("address", "suburb", "state", "postcode"),
)
"""Fields of a person that staff may correct, by their names in a file of members."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What came of it."""

    changed: list[str]
    """The fields that are new."""
    ended: list[str]
    """What the links were about that went to the old address or number, and have ended with it."""
    phone_forgotten: bool
    """Whether a number was forgotten that had been given with one of these links."""


def edit_member(context: Context, member_id: str, changes: Mapping[str, str], *, actor: str) -> Corrected:
    """Correct fields of EDITABLE, each given as text, an empty one to forget it.

    The history keeps which fields were changed, and never what they hold. Links that were sent to an address or number
    which was wrong end in the same unit of work. Raises DomainError, and then changes nothing.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        member = session.get(Member, member_id, with_for_update=True)
        if member is None:
            raise DomainError(f"There is no member {member_id!r}: see `connector members find --location SLUG`.")
        location = session.get_one(Location, member.location_id)
        before = Contact.of(member)
        known = {name: str(getattr(member, name) or "") for name in EDITABLE}
        row = checked({**known, **changes}, business_date(now, location.zone))
        # Only what was asked for is touched: what is known already may be written in an older form.
        changed = [name for name in EDITABLE if name in changes and getattr(member, name) != getattr(row, name)]
        for name in changed:
            setattr(member, name, getattr(row, name))
        if changed:
            remember(
                session,
                member_id,
                EDITED,
                now,
                location_id=location.id,
                actor=actor,
                fields=", ".join(changed),
            )
        phone = member.phone
        ended = heed_new_contact(session, member, before, now, actor)
        return Corrected(changed, ended, phone_forgotten=member.phone != phone)
